// Tells a daemon something.

import { constants as os } from '../builtin/os.js';
import { type Commands, signalOf } from '../detach/commands.js';
import { posixError } from '../posix/errors.js';
import { ProcessHandle } from './handle.js';
import { daemonStatus, findDaemon, type Target } from './target.js';

/** Options of {@link signalDaemon}. */
export interface SignalOptions {
  /** Names of signals beside those that every daemon knows; the same as its option `commands`. */
  commands?: Commands;
}

/**
 * Sends a signal to a daemon, and to nobody else.
 * @param signal a signal or a command, such as `'reload'`
 * @returns the pid of the daemon
 * @throws ESRCH if it is not running; EPERM if this user may not: then it is alive; ERR_OUT_OF_RANGE
 * for a signal that there is not; as {@link findDaemon} does
 */
export function signalDaemon(
  target: Target,
  signal: string | number,
  options: SignalOptions = {},
): number {
  const wanted = signalOf(signal, options.commands);
  using handle = holdDaemon(target);
  if (handle === undefined || !send(handle, wanted)) {
    const { pidfile, reason } = daemonStatus(target);
    throw posixError(-os.errno.ESRCH, 'kill', pidfile, `it is not running: ${reason}`);
  }
  return handle.pid;
}

/** The running daemon, held on to; undefined if there is none. */
export function holdDaemon(target: Target): ProcessHandle | undefined {
  const found = findDaemon(target);
  return found && ProcessHandle.open(found);
}

/** @returns false if it has ended meanwhile. @throws EPERM */
export function send(handle: ProcessHandle, signal: NodeJS.Signals | number): boolean {
  try {
    handle.signal(signal);
    return true;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ESRCH') return false;
    if (code !== 'EPERM') throw error;
    const why = `process ${handle.pid} is running, and this user may not signal it`;
    throw posixError(-os.errno.EPERM, 'kill', undefined, why);
  }
}
