// How to run this program again, from its start.

import { constants as os } from '../builtin/os.js';
import { posixError } from '../posix/errors.js';
import { shared } from '../posix/shared.js';

// As they were: programs take words out of process.argv as they understand them, and move elsewhere.
const { argv0, argv, execArgv, cwd } = shared('image', () => ({
  argv0: process.argv0,
  argv: [...process.argv],
  execArgv: [...process.execArgv],
  cwd: workingDirectory(),
}));

/** What execve(2) needs, and where. */
export interface Image {
  path: string;
  argv: string[];
  /** The file that it reads, if it is one. */
  script: string[];
  /** Where the program was started; undefined: here. */
  cwd: string | undefined;
}

/** undefined: it was removed. A new image starts there as well. */
export function workingDirectory(): string | undefined {
  try {
    return process.cwd();
  } catch {
    return undefined;
  }
}

/**
 * Node's own options, the program and its arguments, unchanged.
 * @param call for whom, in the error
 * @throws ENOTSUP if the program came from a place that cannot be read again
 */
export function sameImage(call: 'daemonize' | 'supervise'): Image {
  return {
    path: process.execPath,
    argv: [argv0, ...words(call)],
    script: argv[1] === undefined || isEvaluated() || isSingleExecutable() ? [] : [argv[1]],
    cwd: cwd === workingDirectory() ? undefined : cwd,
  };
}

function words(call: string): string[] {
  const { _eval: code } = process as { _eval?: string };
  // A single executable application holds its script; argv[1] is its own path once more.
  if (isSingleExecutable()) return argv.slice(2);
  if (code !== undefined) {
    const given = execArgv.some((option) => option === code || option.endsWith(`=${code}`));
    if (!given) throw unrepeatable(call, 'its text came from standard input, which has been read');
    return [...execArgv, '--', ...argv.slice(1)];
  }
  if (argv[1] === undefined) throw unrepeatable(call, 'there is no script: Node reads commands');
  return [...execArgv, ...argv.slice(1)];
}

const isEvaluated = (): boolean => (process as { _eval?: string })._eval !== undefined;

function isSingleExecutable(): boolean {
  // Asked only then: to load the module takes longer than the rest of this.
  return argv[1] === process.execPath && process.getBuiltinModule('node:sea')?.isSea() === true;
}

function unrepeatable(call: string, reason: string): Error {
  return posixError(
    -os.errno.ENOTSUP,
    call,
    undefined,
    `the exec engine cannot run this program again: ${reason}. Put it into a file`,
  );
}
