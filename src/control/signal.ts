// Tells a daemon something.

import { constants as os } from '../builtin/os.js';
import { type Commands, signalOf } from '../detach/commands.js';
import { posixError } from '../posix/errors.js';
import { refuseUnknown } from '../posix/known.js';
import { signalName, signalNumber } from '../posix/process.js';
import { signalFate } from '../posix/processes.js';
import { ProcessHandle } from './handle.js';
import { daemonStatus, findDaemon, pidfileOf, type Target } from './target.js';

/** Options of {@link signalDaemon}. */
export interface SignalOptions {
  /** Names of signals beside those that every daemon knows; the same as its option `commands`. */
  commands?: Commands;
  /** Sends it also to a daemon that does not listen to it, and that may end by it. Default false. */
  force?: boolean;
}

/** Those that are sent to end a process, which needs no handler for that. */
const ENDING = new Set(
  [
    ...([
      'SIGTERM',
      'SIGINT',
      'SIGQUIT',
      'SIGKILL',
      'SIGABRT',
      'SIGSEGV',
      'SIGBUS',
      'SIGFPE',
    ] as const),
    ...(['SIGILL', 'SIGTRAP', 'SIGSYS', 'SIGXCPU', 'SIGXFSZ', 'SIGPIPE'] as const),
  ].map((name) => os.signals[name]),
);

/** Those that stop a process, or have it go on, whether or not it listens. */
const HALTING = new Set(
  (['SIGSTOP', 'SIGTSTP', 'SIGTTIN', 'SIGTTOU', 'SIGCONT'] as const).map(
    (name) => os.signals[name],
  ),
);

/**
 * Sends a signal to a daemon, and to nobody else.
 * @param signal a signal or a command, such as `'reload'`
 * @returns the pid of the daemon
 * @throws ENOTSUP, with nothing sent, if the signal is to tell the daemon something and the daemon does
 * not listen to it: it would end by it, or never know; see {@link SignalOptions.force}. ESRCH if it is not running; EPERM if this user may not: then it is alive; ERR_OUT_OF_RANGE
 * for a signal that there is not; as {@link findDaemon} does
 */
export function signalDaemon(
  target: Target,
  signal: string | number,
  options: SignalOptions = {},
): number {
  refuseUnknown(options, ['commands', 'force'], 'options');
  const wanted = signalOf(signal, options.commands);
  using handle = holdDaemon(target);
  if (handle !== undefined && options.force !== true) refuseDeaf(target, handle, wanted);
  if (handle === undefined || !send(handle, wanted)) {
    const { pidfile, reason } = daemonStatus(target);
    const label = 'name' in target ? target.name : `the daemon of ${pidfile}`;
    throw posixError(-os.errno.ESRCH, 'kill', undefined, `${label} is not running: ${reason}`);
  }
  return handle.pid;
}

/** SIGHUP ends a program that has no handler for it. Where /proc does not tell it is sent. */
function refuseDeaf(target: Target, { pid }: ProcessHandle, signal: NodeJS.Signals | number): void {
  const number = signalNumber(signal);
  if (ENDING.has(number) || HALTING.has(number)) return;
  const fate = signalFate(pid, number);
  if (fate === undefined || fate === 'heard') return;
  const label = 'name' in target ? target.name : `the daemon of ${pidfileOf(target)}`;
  const name = signalName(number);
  const why =
    fate === 'ignored' || UNNOTICED.has(number)
      ? `it ignores ${name}`
      : `it has no handler for ${name}, and would end`;
  const text = `${label} (pid ${pid}) was sent nothing: ${why}`;
  throw posixError(-os.errno.ENOTSUP, 'kill', undefined, text);
}

/** Those that do nothing to a process without a handler. */
const UNNOTICED = new Set(
  (['SIGCHLD', 'SIGURG', 'SIGWINCH'] as const).map((name) => os.signals[name]),
);

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
    const why = `process ${handle.pid} is running, and is another user's: this user may not signal it`;
    throw posixError(-os.errno.EPERM, 'kill', undefined, why);
  }
}
