// From a Node process to another program.

import { fstatSync } from '../builtin/fs.js';
import type { Pidfile } from '../pidfile/pidfile.js';
import { setCloseOnExec } from '../posix/descriptor.js';
import { execve } from '../posix/process.js';
import { setSignalDisposition } from '../posix/signal.js';
import { trace } from '../posix/trace.js';

/** What to pass to execve(2). */
export interface Executable {
  path: string;
  argv: readonly string[];
}

/**
 * Becomes another program, which goes on to hold the pidfile.
 * @throws the error of execve(2)
 */
export function execInto(
  { path, argv }: Executable,
  env: Readonly<Record<string, string | undefined>>,
  pidfile?: Pidfile,
): never {
  pidfile?.passOn();
  // libuv has marked them when Node started, whoever they lead to.
  for (const fd of [0, 1, 2]) if (isOpen(fd)) setCloseOnExec(fd, false);
  // Node ignores them, and execve(2) would pass that on.
  setSignalDisposition('SIGPIPE', 'default');
  setSignalDisposition('SIGXFSZ', 'default');
  trace?.('daemon', `becomes ${path}`);
  return execve(path, argv, env);
}

function isOpen(fd: number): boolean {
  try {
    fstatSync(fd);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EBADF') return false;
    throw error;
  }
}
