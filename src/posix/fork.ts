// fork() that keeps Node alive, and what JavaScript must be told in the child.

import { writeSync } from '../builtin/fs.js';
import { constants, uptime } from '../builtin/os.js';
import { addon, type ConfinementRequest, type Refusal } from './addon.js';
import { reapEnding } from './ending.js';
import { errorText, integer, outOfRange, posixError } from './errors.js';
import { runChildHooks, runParentHooks } from './fork-hooks.js';
import { refuseUnknown } from './known.js';
import { type RecordLockPolicy, recordLockPolicy, refuseRecordLocks } from './lock.js';
import { tellWorkers } from './workers.js';

/** Options of {@link fork}. */
export interface ForkOptions {
  /**
   * `'running'` (default): the parent goes on. `'frozen'`: its other threads stay stopped for good,
   * so that nothing of it runs on beside the child; it may only wait in C and `_exit`. `'main-thread'`: the
   * main thread goes on and may run JavaScript, with the helpers of V8 and libuv; Workers stay
   * stopped for good, and threads that wait for something from outside.
   */
  parent?: 'running' | 'frozen' | 'main-thread';
  /** How long the other threads have to come to rest, in ms. Default 5000. */
  timeoutMs?: number;
  /**
   * The parent keeps its record locks (fcntl(2)), the child has none, as POSIX says: a database that is
   * open in both is not protected from the child. `'refuse'` (default): EBUSY if there are any, with the
   * file. `'lose'`: the child will not use it.
   */
  recordLocks?: RecordLockPolicy;
}

/** How long the other threads have to come to rest unless told otherwise, in ms. */
export const QUIESCE_TIMEOUT_MS = 5000;

/** In the order of `Parent` in native/fork/fork.h. */
const PARENTS: readonly string[] = ['running', 'frozen', 'main-thread'];

/** In the order of `HeldThreads` in native/fork/revive.h. */
const HELD: readonly string[] = ['none', 'for-copy', 'for-spare'];

/**
 * Copies the process, every thread included; the program goes on in both.
 *
 * Sockets, files and pipes are shared with the child, timers and pending work are in both. Child
 * processes stay the parent's. The hooks of {@link onFork} run before it returns.
 * @returns 0 in the child, the child's process id in the parent
 * @throws ENOTSUP where it cannot work, with the reason; EBUSY if a thread does not come to rest in
 * time, naming it, if there are record locks (option `recordLocks`), or if a Worker has child processes; EFAULT if
 * an addon has given back the memory of a handle of the event loop; EAGAIN, ENOMEM if the kernel refuses; ERR_NOT_MAIN_THREAD from a Worker. After an
 * error nothing has changed.
 * @see fork(2)
 */
export function fork(options: ForkOptions = {}): number {
  refuseUnknown(options, ['parent', 'timeoutMs', 'recordLocks'], 'options');
  // Its copy would read from the same pipes, and wait for the end of what is not its own.
  refuseChildren(
    'fork',
    childProcesses().filter(({ worker }) => worker),
  );
  const pid = forkProcess(options);
  if (pid === 0) prepareChild();
  else if (options.parent !== 'frozen') runParentHooks({ pid });
  return pid;
}

/** An exception would reach the caller, who takes it for a refusal, in two processes. */
function prepareChild(): void {
  try {
    runChildHooks({ moved: false });
  } catch (error) {
    writeSync(2, `${errorText(error)}\n`);
    addon._exit(1);
  }
}

/** What {@link forkProcess} can beside. */
export interface CopyOptions extends ForkOptions {
  /**
   * `'none'` (default): all of the child's other threads run at once. Otherwise only V8's and libuv's
   * helpers do, and the others when `addon.releaseThreads()` is called: with `'for-spare'` all of them,
   * with `'for-copy'` Workers that wait for their event loop never.
   */
  heldThreads?: 'none' | 'for-copy' | 'for-spare';
  /**
   * Whether one more process has the child's memory, so that its end is heard of before that is freed,
   * where the kernel lets it: `addon.memoryHolder()`, a child of this process. See native/fork/holder.h.
   */
  memoryHolder?: boolean;
}

/** {@link fork} without the hooks of onFork(): it is for the caller to run those. */
export function forkProcess(options: CopyOptions): number {
  const {
    parent = 'running',
    timeoutMs = QUIESCE_TIMEOUT_MS,
    heldThreads = 'none',
    memoryHolder = false,
    recordLocks,
  } = options;
  const mode = PARENTS.indexOf(parent);
  if (mode < 0) throw outOfRange('options.parent', "'running', 'frozen' or 'main-thread'", parent);
  const lockPolicy = recordLockPolicy(recordLocks);
  const timeout = integer(timeoutMs, 'options.timeoutMs', 0);
  if (lockPolicy === 'refuse') refuseRecordLocks('fork');
  // Drawn here, so that node:crypto is loaded once and not in every child.
  const rotation = crypto().randomBytes(6).readUIntBE(0, 6) / 2 ** 48;
  const result = addon.fork(mode, timeout, HELD.indexOf(heldThreads), memoryHolder);
  if (typeof result !== 'number') throw refusal(result, 'fork');
  if (result !== 0 && parent !== 'running') exitPastThreads();
  if (result === 0) {
    exitWithThreads();
    // The Workers of such a copy do nothing any more.
    tellProcessId(heldThreads !== 'for-copy');
    renewRandomStocks();
    rotateMathRandom(rotation);
  }
  return result;
}

/**
 * Forks twice with setsid(2) in between, and returns in the grandchild only, which takes over the
 * caller's memory, nothing copied if it need not be, its descriptors and its record locks. The caller waits for its word, and exits with the code it gives:
 * see native/fork/move.h and native/detach/launcher.h.
 * @param confinement applied in the daemon before anything else of it runs
 * @param waits whether the program runs on in the daemon while the caller waits: if the caller has
 * privileges, or the confinement takes some, the daemon gets a copy of the memory instead
 * @returns the descriptor to give that word on
 * @throws what the kernel refused of the confinement; otherwise as {@link fork} does, in the caller, with nothing changed
 */
export function detach(
  quiesceTimeoutMs: number,
  readyTimeoutMs: number,
  confinement: ConfinementRequest | undefined,
  waits: boolean,
): number {
  const result = addon.detach(quiesceTimeoutMs, readyTimeoutMs, confinement, waits);
  if (typeof result !== 'number') throw refusal(result, 'daemonize');
  tellProcessId();
  return result;
}

/** Whether {@link fork} can work here. `reason` says why not. */
export function forkSupport(): { supported: true } | { supported: false; reason: string } {
  const reason = addon.forkSupport();
  return reason === '' ? { supported: true } : { supported: false, reason };
}

function refusal([errno, sentence, call]: Refusal, name: string): Error {
  // Asked only now: to load node:worker_threads takes as long as the fork.
  refuseWorkers(name);
  return posixError(errno, call, undefined, sentence || undefined);
}

/** @throws ERR_NOT_MAIN_THREAD */
export function refuseWorkers(name: string): void {
  const { isMainThread } = process.getBuiltinModule('node:worker_threads');
  if (isMainThread) return;
  throw Object.assign(new Error(`${name}() works from the main thread only, not from a Worker`), {
    code: 'ERR_NOT_MAIN_THREAD',
  });
}

/** A child process that runs. */
export interface Child {
  pid: number;
  /** '' where the kernel does not tell. */
  name: string;
  /** Whether a Worker has started it. */
  worker: boolean;
}

/** How much earlier than Node's own start a child must have come to be, in s: those are no ticks. */
const TICKS = 0.02;

/**
 * What this program has started, by whatever means. Not what a shell had, which then exec'ed it.
 */
export function childProcesses(): Child[] {
  reapEnding();
  const all = addon.childProcesses();
  const known = new Set(all.map(({ pid }) => pid));
  const handles = addon.loopHandles().children.filter((pid) => !known.has(pid));
  const start = all.length === 0 ? 0 : uptime() - process.uptime() - TICKS;
  return [
    ...all.filter(({ started }) => started >= start),
    ...handles.map((pid) => ({ pid, name: '', worker: false })),
  ];
}

/** @throws EBUSY: they stay the children of the process that gives way */
export function refuseChildren(name: string, children: readonly Child[]): void {
  if (children.length === 0) return;
  const list = children
    .map((it) => `${it.pid} ${it.name}`.trim() + (it.worker ? ' of a Worker' : ''))
    .join(', ');
  const detail = `child processes are running (pid ${list}); start them after ${name}()`;
  throw posixError(-constants.errno.EBUSY, name, undefined, detail);
}

/** How process.exit() ends the process; undefined: as Node does. */
let reallyExit: ((code?: number) => never) | undefined;
interface Exiting {
  reallyExit(code?: number): never;
}

/** Node's way to the end waits for every thread, and those that are stopped for good do not come. */
function exitPastThreads(): void {
  if (reallyExit !== undefined) return;
  const exiting = process as unknown as Exiting;
  reallyExit = exiting.reallyExit;
  exiting.reallyExit = leave;
  process.on('exit', leaveAtEnd);
  process.on('uncaughtExceptionMonitor', printUncaught);
}

/** In a child, which has them all. */
function exitWithThreads(): void {
  if (reallyExit === undefined) return;
  (process as unknown as Exiting).reallyExit = reallyExit;
  process.off('exit', leaveAtEnd);
  process.off('uncaughtExceptionMonitor', printUncaught);
  reallyExit = undefined;
}

function leave(code?: number): never {
  addon._exit(code ?? 0);
  throw new Error('unreachable');
}

/** An 'exit' listener, for a program that comes to its end without process.exit(). */
function leaveAtEnd(code: number): void {
  const listeners = process.rawListeners('exit') as ((code: number) => void)[];
  for (const later of listeners.slice(listeners.indexOf(leaveAtEnd) + 1)) later.call(process, code);
  leave(Number(process.exitCode ?? code));
}

/** Node would print it after the 'exit' listeners, of which one does not return. */
function printUncaught(error: unknown): void {
  const isCaught =
    process.listenerCount('uncaughtException') > 0 || process.hasUncaughtExceptionCaptureCallback();
  if (!isCaught) writeSync(2, `Uncaught ${errorText(error)}\n`);
}

/** process.pid is cached; not writable, but configurable. */
function tellProcessId(workersToo = true): void {
  const value = addon.getpid();
  Object.defineProperty(process, 'pid', { value, enumerable: true, configurable: true });
  if (workersToo) tellWorkers(value);
}

/** Not imported: it takes milliseconds to load, and many a program has no other use for it. */
const crypto = () => process.getBuiltinModule('node:crypto');

// How much Node's lib/internal/crypto/random.js keeps in stock.
const UUIDS_PER_REFILL = 128;
const INTEGERS_PER_REFILL = 1024;

/** Parent and child would give out the same bytes of Node's stocks. OpenSSL reseeds by itself. */
function renewRandomStocks(): void {
  const { moduleLoadList } = process as { moduleLoadList?: readonly string[] };
  if (moduleLoadList?.includes('NativeModule internal/crypto/random') === false) return;
  const { randomUUID, randomInt } = crypto();
  renewStock(randomUUID, UUIDS_PER_REFILL);
  renewStock(() => randomInt(2), INTEGERS_PER_REFILL);
}

/** Uses them up: a child then renews them with its first draw, as long as nobody draws before. */
export function emptyRandomStocks(): void {
  const { randomUUID, randomInt } = crypto();
  renewStock(randomUUID, UUIDS_PER_REFILL);
  for (let drawn = 1; drawn < UUIDS_PER_REFILL; drawn++) randomUUID();
  renewStock(() => randomInt(2), INTEGERS_PER_REFILL);
  for (let drawn = 1; drawn < INTEGERS_PER_REFILL; drawn++) randomInt(2);
}

/** Draws until the stock is filled again, which the first draw does if it was never used. */
function renewStock(draw: () => unknown, size: number): void {
  const before = nextAsyncId();
  draw();
  // The job that fills it takes a number as well.
  if (nextAsyncId() - before > 1) return;
  for (let drawn = 1; drawn < size; drawn++) draw();
}

/** The highest number that async_hooks has given out so far. */
export const lastAsyncId = (): number => nextAsyncId();

function nextAsyncId(): number {
  const { AsyncResource } = process.getBuiltinModule('node:async_hooks');
  return new AsyncResource('doublefork', { requireManualDestroy: true }).asyncId();
}

/** On a function that stands in for Math.random: the native one. */
const NATIVE = Symbol.for('doublefork.Math.random');
type Random = typeof Math.random & { [NATIVE]?: typeof Math.random };
const native = Math.random;

/**
 * Siblings would draw the same numbers from Math.random(), whose state nobody can set. To skip a
 * random count of draws only shifts the sequence: one sibling draws later what the other drew
 * before. A random rotation of [0, 1) keeps the distribution and shares no number.
 */
function rotateMathRandom(rotation: number): void {
  // A generator of the program's own, such as a seeded one, is its own to renew.
  const original = (Math.random as Random)[NATIVE] ?? Math.random;
  if (original !== native && original === Math.random) return;
  const rotated: Random = function random() {
    const drawn = original() + rotation;
    return drawn < 1 ? drawn : drawn - 1;
  };
  rotated[NATIVE] = original;
  Math.random = rotated;
}
