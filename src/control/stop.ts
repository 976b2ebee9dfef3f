// Stops a daemon and what it has started, and makes sure of it.

import { constants as os } from '../builtin/os.js';
import { Pidfile } from '../pidfile/pidfile.js';
import { posixError } from '../posix/errors.js';
import { refuseUnknown } from '../posix/known.js';
import { signalName } from '../posix/process.js';
import { Family, type Relative } from './family.js';
import { ProcessHandle } from './handle.js';
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
  /** Called after each signal that was sent, to the daemon or to what it has left. */
  onSignal?: (signal: NodeJS.Signals, pid: number) => void;
}

/** What {@link stopDaemon} did. */
export interface Stopped {
  /** The pid that the daemon had; undefined if none was running. */
  pid: number | undefined;
  /** The signals it was sent; the last of them ended it. */
  signals: NodeJS.Signals[];
  /** What it had started and did not end itself, and was ended after it. */
  left: LeftProcess[];
}

/** A process that a daemon has left, and that was ended. */
export interface LeftProcess {
  pid: number;
  /** Its program and arguments. */
  command: string;
  /** The signals it was sent; the last of them ended it. */
  signals: NodeJS.Signals[];
}

/**
 * Stops a daemon: sends it the signals of the schedule until it has ended. Signals only the process
 * that has the pidfile locked, and that very one, even if its pid is given away meanwhile. Removes
 * the pidfile if the daemon could not.
 *
 * What the daemon has started is its to end. What it leaves is then sent the same schedule: its
 * descendants; whoever is in a session of their own; and of a daemon that was started under a name,
 * also when that has ended before, whoever is in its session. This process and those that it descends
 * from are left out. Where there is no /proc nothing is known of them.
 * @throws ETIMEDOUT if it, or what it has left, still runs when the schedule is over; EPERM if this
 * user may not signal it, or that; as {@link findDaemon} does
 */
export async function stopDaemon(target: Target, options: StopOptions = {}): Promise<Stopped> {
  refuseUnknown(options, ['schedule', 'signal', 'onSignal'], 'options');
  const { schedule = DEFAULT_SCHEDULE } = options;
  const steps = typeof schedule === 'string' ? parseSchedule(schedule) : schedule;
  using handle = holdDaemon(target);
  const family = new Family(target, handle?.pid);
  const signals = handle === undefined ? [] : await endDaemon(handle, family, steps, options);
  if (handle !== undefined && !handle.ended) {
    const how = `process ${handle.pid} still runs after ${signals.join(', ')}`;
    throw posixError(-os.errno.ETIMEDOUT, 'stopDaemon', undefined, how);
  }
  if (handle !== undefined) Pidfile.clear(pidfileOf(target), handle.pid);
  return { pid: handle?.pid, signals, left: await endRest(family, steps, options) };
}

/** @returns the signals that it was sent */
async function endDaemon(
  handle: ProcessHandle,
  family: Family,
  steps: readonly Step[],
  { signal: abort, onSignal }: StopOptions,
): Promise<NodeJS.Signals[]> {
  const signals: NodeJS.Signals[] = [];
  for (const step of walk(steps)) {
    if ('signal' in step) {
      // It may have started more, of which nobody will know once it has ended.
      family.look();
      if (!send(handle, step.signal)) break;
      const name = nameOf(step.signal);
      signals.push(name);
      onSignal?.(name, handle.pid);
    } else if (await handle.wait(step.wait, abort)) {
      break;
    }
  }
  return signals;
}

/** How long what a daemon leaves may take to end by itself, in ms: what was told by it, or waits for it. */
const GRACE = 100;

async function endRest(
  family: Family,
  steps: readonly Step[],
  { signal: abort, onSignal }: StopOptions,
): Promise<LeftProcess[]> {
  const left = new Map<number, LeftProcess>();
  const hidden = new Set<number>();
  await waitForAll(family, GRACE, abort);
  for (const step of walk(steps)) {
    if ('wait' in step) {
      await waitForAll(family, step.wait, abort);
      continue;
    }
    const name = nameOf(step.signal);
    const told = family.look().filter((relative) => tell(relative, step.signal, hidden));
    // There is nobody, or nobody that this user may signal.
    if (told.length === 0) break;
    for (const relative of told) {
      const { pid, command } = relative;
      const entry = left.get(pid) ?? { pid, command, signals: [] };
      left.set(pid, entry);
      entry.signals.push(name);
      onSignal?.(name, pid);
    }
  }
  refuseSurvivors(family.look(), hidden);
  return [...left.values()];
}

/**
 * @param hidden gets the pid of one that this user may not signal, which shows when all is over
 * @returns false for such a one, and if it has ended
 */
function tell(relative: Relative, signal: NodeJS.Signals | number, hidden: Set<number>): boolean {
  using handle = ProcessHandle.open(relative);
  try {
    handle?.signal(signal);
    return handle !== undefined;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code !== 'ESRCH' && code !== 'EPERM') throw error;
    if (code === 'EPERM') hidden.add(relative.pid);
    return false;
  }
}

/** Until none is left, also of those that they have started meanwhile. */
async function waitForAll(family: Family, timeout: number, abort?: AbortSignal): Promise<void> {
  const deadline = performance.now() + timeout;
  for (let alive = family.look(); alive.length > 0; alive = family.look()) {
    for (const relative of alive) {
      using handle = ProcessHandle.open(relative);
      const time = Math.max(0, Math.ceil(deadline - performance.now()));
      if (handle !== undefined && !(await handle.wait(time, abort))) return;
    }
  }
}

function refuseSurvivors(alive: readonly Relative[], refused: ReadonlySet<number>): void {
  if (alive.length === 0) return;
  const who = alive.map(({ pid, command }) => `process ${pid} (${command})`).join(', ');
  const hidden = alive.some(({ pid }) => refused.has(pid));
  const why = hidden ? 'this user may not signal all of them' : 'the schedule is over';
  const text = `the daemon has ended, but what it had started still runs, and ${why}: ${who}`;
  throw posixError(-os.errno[hidden ? 'EPERM' : 'ETIMEDOUT'], 'stopDaemon', undefined, text);
}

function nameOf(signal: NodeJS.Signals | number): NodeJS.Signals {
  return typeof signal === 'number' ? signalName(signal) : signal;
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
