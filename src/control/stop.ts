// Stops a daemon, and makes sure of it.

import { constants as os } from '../builtin/os.js';
import { Pidfile } from '../pidfile/pidfile.js';
import { posixError } from '../posix/errors.js';
import { signalName } from '../posix/process.js';
import { DEFAULT_SCHEDULE, parseSchedule, type Step, walk } from './schedule.js';
import { holdDaemon, send } from './signal.js';
import { pidfileOf, type Target } from './target.js';

/** Options of {@link stopDaemon}. */
export interface StopOptions {
  /**
   * Which signals to send and how many seconds to wait after each, as start-stop-daemon(8) writes
   * it. Default `TERM/10/KILL/5`.
   */
  schedule?: string | readonly Step[];
  /** Gives up; what was sent is not undone. */
  signal?: AbortSignal;
  /** Called after each signal that was sent. */
  onSignal?: (signal: NodeJS.Signals, pid: number) => void;
}

/** What {@link stopDaemon} did. */
export interface Stopped {
  /** The pid that the daemon had; undefined if none was running. */
  pid: number | undefined;
  /** The signals it was sent; the last of them ended it. */
  signals: NodeJS.Signals[];
}

/**
 * Stops a daemon: sends it the signals of the schedule until it has ended. Signals only the process
 * that has the pidfile locked, and that very one, even if its pid is given away meanwhile. Removes
 * the pidfile if the daemon could not.
 * @throws ETIMEDOUT if it still runs when the schedule is over; EPERM if this user may not signal it;
 * as {@link findDaemon} does
 */
export async function stopDaemon(target: Target, options: StopOptions = {}): Promise<Stopped> {
  const { schedule = DEFAULT_SCHEDULE, signal: abort, onSignal } = options;
  const steps = typeof schedule === 'string' ? parseSchedule(schedule) : schedule;
  using handle = holdDaemon(target);
  if (handle === undefined) return { pid: undefined, signals: [] };
  const { pid } = handle;
  const signals: NodeJS.Signals[] = [];
  for (const step of walk(steps)) {
    if ('signal' in step) {
      if (!send(handle, step.signal)) break;
      const name = typeof step.signal === 'number' ? signalName(step.signal) : step.signal;
      signals.push(name);
      onSignal?.(name, pid);
    } else if (await handle.wait(step.wait, abort)) {
      break;
    }
  }
  if (!handle.ended) {
    const how = `process ${pid} still runs after ${signals.join(', ')}`;
    throw posixError(-os.errno.ETIMEDOUT, 'stopDaemon', pidfileOf(target), how);
  }
  Pidfile.clear(pidfileOf(target), pid);
  return { pid, signals };
}

/**
 * Stops a daemon, if it runs, and starts it again.
 * @param start does so; called once the old one has ended and its pidfile is free
 * @returns what `start` returned
 * @throws as {@link stopDaemon} does; then `start` was not called
 */
export async function restartDaemon<T>(
  target: Target,
  start: () => T | Promise<T>,
  options: StopOptions = {},
): Promise<T> {
  await stopDaemon(target, options);
  return await start();
}
