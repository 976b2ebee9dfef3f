// How to run this program again, from its start.

import { readFileSync, realpathSync, statSync } from '../builtin/fs.js';
import { constants as os } from '../builtin/os.js';
import { isAbsolute, resolve } from '../builtin/path.js';
import { posixError } from '../posix/errors.js';
import { findExecutable } from '../posix/path.js';
import { shared } from '../posix/shared.js';

// As they were: programs take words out of process.argv as they understand them, and move elsewhere.
const { argv0, argv, execArgv, cwd, pwd, searched } = shared('image', () => ({
  argv0: process.argv0,
  argv: [...process.argv],
  execArgv: [...process.execArgv],
  cwd: workingDirectory(),
  pwd: process.env.PWD,
  searched: process.env.PATH ?? '',
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

/**
 * This program from where its names lead now: one that runs goes on as what it is, also after a link in
 * them was switched. Workers of the exec engine, which read it again, are of its version then.
 * @throws ENOTSUP as {@link sameImage}
 */
export function thisVersion(call: 'supervise'): Image {
  const image = sameImage(call);
  const scripts = new Map(image.script.map((path) => [path, realPath(path)]));
  return { ...image, argv: image.argv.map((word) => scripts.get(word) ?? word) };
}

function realPath(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    // Found by Node under another name, such as one without its extension.
    return path;
  }
}

/**
 * This program by the names with which it was started, for a later start that is to find what they lead
 * to then: a link in them may be switched, and Node replaced. The working directory is `$PWD`, if that
 * led there: the kernel knows it only by where it was.
 * @throws ENOTSUP as {@link sameImage}
 */
export function imageByName(call: 'daemonize' | 'supervise'): () => Image {
  const { argv: same, script } = sameImage(call);
  const directory = logicalDirectory();
  const rename = (path: string) =>
    cwd !== undefined && directory !== undefined && path.startsWith(`${cwd}/`)
      ? resolve(directory, path.slice(cwd.length + 1))
      : path;
  const scripts = new Set(script);
  const words = same.map((word) => (scripts.has(word) ? rename(word) : word));
  const interpreter = interpreterByName(directory);
  return () => ({
    path: interpreter(),
    argv: words,
    script: script.map(rename),
    cwd: directory,
  });
}

function logicalDirectory(): string | undefined {
  if (cwd === undefined || pwd === undefined || !isAbsolute(pwd)) return cwd;
  const [named, real] = [pwd, cwd].map((path) => statSync(path, { throwIfNoEntry: false }));
  const isSame = named !== undefined && named.ino === real?.ino && named.dev === real.dev;
  return isSame ? pwd : cwd;
}

/** As a shell has found it; where that is not how it was found, by its path. */
function interpreterByName(directory: string | undefined): () => string {
  const find = () => findExecutable(argv0, directory ?? '/', searched);
  try {
    if (realpathSync(find()) === process.execPath) return find;
  } catch {
    // Not found: it was started by somebody who gave it another name.
  }
  return () => process.execPath;
}

function words(call: string): string[] {
  refuseUnreadableArguments(call);
  const { _eval: code } = process as { _eval?: string };
  // A single executable application holds its script; argv[1] is its own path once more.
  if (isSingleExecutable()) return argv.slice(2);
  if (code !== undefined) {
    const given = execArgv.some((option) => option === code || option.endsWith(`=${code}`));
    if (!given)
      throw unrepeatable(
        call,
        'its text came from standard input, which has been read. Put it into a file',
      );
    return [...execArgv, '--', ...argv.slice(1)];
  }
  if (argv[1] === undefined)
    throw unrepeatable(call, 'there is no script: Node reads commands. Put them into a file');
  return [...execArgv, ...argv.slice(1)];
}

const isEvaluated = (): boolean => (process as { _eval?: string })._eval !== undefined;

function isSingleExecutable(): boolean {
  // Asked only then: to load the module takes longer than the rest of this. It has its own name twice,
  // as it was called or as a path, by the version of Node.
  const named = argv[1] === argv0 || argv[1] === process.execPath;
  return named && process.getBuiltinModule('node:sea')?.isSea() === true;
}

/**
 * Node has put U+FFFD where bytes of an argument are no UTF-8: the new image would be given another
 * argument, silently.
 */
function refuseUnreadableArguments(call: string): void {
  const index = argv.findIndex((word) => word.includes('\ufffd'));
  if (index < 0 || isCommandLineText()) return;
  throw unrepeatable(call, `argument ${index} is not valid UTF-8, and cannot be passed on`);
}

/** Whether all of the command line is UTF-8, with such a character of the user's own in it. */
function isCommandLineText(): boolean {
  try {
    const bytes = readFileSync('/proc/self/cmdline');
    return Buffer.from(bytes.toString('utf8')).equals(bytes);
  } catch {
    // No /proc: it cannot be known.
    return false;
  }
}

function unrepeatable(call: string, reason: string): Error {
  return posixError(
    -os.errno.ENOTSUP,
    call,
    undefined,
    `the exec engine cannot run this program again: ${reason}`,
  );
}
