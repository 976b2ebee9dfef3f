// A function in a copy of this process.

import { integer, invalidType, outOfRange } from '../posix/errors.js';
import { QUIESCE_TIMEOUT_MS } from '../posix/fork.js';
import { type RecordLockPolicy, recordLockPolicy } from '../posix/lock.js';
import { Copy } from './copy.js';
import { JobExitedError } from './errors.js';
import { decode, type Frame } from './frames.js';
import { type Answer, type CopySettings, silenceCallbacks } from './inside.js';
import { watch } from './watch.js';

/** Options of {@link inFork}. */
export interface JobOptions {
  /** Ends the copy; the promise is rejected with the signal's reason. */
  signal?: AbortSignal;
  /** How long the function may take, in ms. Default 0: as long as it likes. */
  timeout?: number;
  /**
   * How much memory the copy may have of its own, in bytes: what it shares with the parent does not
   * count. It is looked at four times a second. Default 0: no limit.
   */
  memoryLimit?: number;
  /** 'inherit' (default): what the function prints goes where this process prints; 'ignore': nowhere. */
  stdio?: 'inherit' | 'ignore';
  /** The copy's process.title. Default: this process's. */
  title?: string;
  /**
   * Whether the function needs the event loop: it is then copied in the next turn of that, not at the
   * call. Default: whether it is an `async` function.
   */
  async?: boolean;
  /** How long the other threads of this process have to come to rest, in ms. Default 5000. */
  quiesceTimeout?: number;
  /**
   * What becomes of record locks, fcntl(2), as databases have them: a copy cannot have them. 'refuse'
   * (default): EBUSY, with the file, if this process holds one; 'lose': the copy has none, and must leave
   * such files alone.
   */
  recordLocks?: RecordLockPolicy;
}

/** What the function gets. */
export interface JobContext {
  /** Sends a value to the parent, which receives it by iterating over the {@link Job}. @throws DataCloneError */
  send(value: unknown): void;
}

/** The promise of {@link inFork}; to iterate over it yields what the function sends meanwhile. */
export interface Job<T> extends Promise<T>, AsyncIterable<unknown> {
  /** The copy's process id; undefined before it was made. */
  readonly pid: number | undefined;
}

const OPTIONS: Readonly<Record<keyof JobOptions, true>> = {
  signal: true,
  timeout: true,
  memoryLimit: true,
  stdio: true,
  title: true,
  async: true,
  quiesceTimeout: true,
  recordLocks: true,
};

/** The options of a job with their defaults. */
export type JobSettings = ReturnType<typeof checkOptions>;

/** The options, checked. */
export function checkOptions(options: JobOptions) {
  for (const key of Object.keys(options)) {
    if (key in OPTIONS) continue;
    throw Object.assign(
      new TypeError(`Unknown option "${key}". Known are: ${Object.keys(OPTIONS).join(', ')}`),
      { code: 'ERR_INVALID_ARG_VALUE' },
    );
  }
  const { signal, timeout = 0, memoryLimit = 0, stdio = 'inherit', title } = options;
  if (signal !== undefined && !(signal instanceof AbortSignal)) {
    throw invalidType('options.signal', 'an AbortSignal', signal);
  }
  integer(timeout, 'options.timeout', 0);
  integer(memoryLimit, 'options.memoryLimit', 0, Number.MAX_SAFE_INTEGER);
  if (stdio !== 'inherit' && stdio !== 'ignore') {
    throw outOfRange('options.stdio', "'inherit' or 'ignore'", stdio);
  }
  const { quiesceTimeout = QUIESCE_TIMEOUT_MS } = options;
  integer(quiesceTimeout, 'options.quiesceTimeout', 0);
  const recordLocks = recordLockPolicy(options.recordLocks);
  return { signal, timeout, memoryLimit, stdio, title, quiesceTimeout, recordLocks };
}

/**
 * Runs a function in a copy of this process and resolves with what it returns. Everything that the
 * function can see is there as it was when the copy was made; whatever it does to it happens there only.
 *
 * The copy is made at the call; of an `async` function in the next turn of the event loop. Nothing of
 * the parent's goes on in it: its timers, servers, sockets, watched files and Workers, its listeners for
 * 'exit' and signals; standard input is empty. It ends with the function, and with the parent. Result,
 * error and messages are cloned (structured clone), of any size.
 * @param fn gets a context with `send(value)`
 * @returns rejects with what the function throws; with ERR_JOB_EXITED and `exitCode` or `signal` if the
 * copy ended without an answer; ERR_JOB_TIMEOUT, ERR_JOB_MEMORY; the reason of `signal`; DataCloneError
 * for a result that cannot be cloned; ERR_JOB_NOT_ASYNC for a promise from a function that is not `async`;
 * and as fork() throws: ENOTSUP, EBUSY, EAGAIN, ENOMEM
 * @throws ERR_INVALID_ARG_TYPE, ERR_INVALID_ARG_VALUE, ERR_OUT_OF_RANGE
 * @see fork(2)
 */
export function inFork<T>(
  fn: (context: JobContext) => T | PromiseLike<T>,
  options: JobOptions = {},
): Job<T> {
  if (typeof fn !== 'function') throw invalidType('fn', 'of type function', fn);
  const settings = checkOptions(options);
  const { async: usesLoop = isAsync(fn) } = options;
  const messages = new Messages();
  const { answer, copy } = runInCopy(fn, usesLoop, settings, (frame) =>
    messages.push(decode(frame)),
  );
  const promise = answer.then(resultOf).finally(() => messages.end());
  return Object.defineProperties(promise, {
    pid: { get: () => copy()?.pid, enumerable: true },
    [Symbol.asyncIterator]: { value: () => messages.iterate() },
  }) as Job<T>;
}

/** A function that runs in a copy. */
interface Running {
  /** The last of what it says. Rejects as {@link inFork} does, but for what the function throws. */
  answer: Promise<Frame>;
  /** undefined: it is not made yet. */
  copy: () => Copy | undefined;
}

/**
 * What {@link inFork} does, with the answer as it came.
 * @param usesLoop whether it is copied in the next turn of the event loop
 * @param hear called with each message
 */
export function runInCopy<T>(
  fn: (context: JobContext) => T | PromiseLike<T>,
  usesLoop: boolean,
  settings: JobSettings,
  hear: (message: Frame) => void = () => {},
): Running {
  let copy: Copy | undefined;
  let failure: Error | undefined;
  let answered: (answer: Frame) => void;
  const answer = new Promise<Frame>((resolve) => {
    answered = resolve;
  });
  const end = (reason: Error): void => {
    failure ??= reason;
    copy?.kill();
  };
  const start = (): void => {
    if (settings.signal?.aborted === true) return;
    const main = (inside: Answer, own: CopySettings) => perform(fn, usesLoop, inside, own);
    copy = Copy.fork(main, settings, (frame) => {
      if (frame.kind === 'message') return hear(frame);
      copy?.answered();
      answered(frame);
    });
  };
  const run = async (): Promise<Frame> => {
    settings.signal?.throwIfAborted();
    if (usesLoop) await nextTurn(() => start());
    else start();
    settings.signal?.throwIfAborted();
    // Rejected, or this is the copy, which returns to its event loop.
    if (copy === undefined) return new Promise(() => {});
    using _watch = watch(copy, settings.signal, settings, end);
    // Not its end: to free the memory of a large copy takes the kernel longer than to make it. If both are
    // there, the answer was first, unless the copy was told to end before it could be heard.
    const first = await Promise.race([
      answer,
      copy.ended.then((ended) => Promise.race([answer, ended])),
    ]);
    if (failure !== undefined) throw failure;
    if ('kind' in first) return first;
    throw new JobExitedError(first);
  };
  return { answer: run(), copy: () => copy };
}

/** In the copy. */
function perform<T>(
  fn: (context: JobContext) => T | PromiseLike<T>,
  usesLoop: boolean,
  answer: Answer,
  { lastAsyncId }: CopySettings,
): void {
  if (usesLoop) silenceCallbacks(lastAsyncId, answer);
  const result = fn({ send: (value) => answer.send('message', value) });
  if (!isThenable(result)) answer.finish('result', result);
  if (!usesLoop) answer.finish('error', notAsync());
  process.on('beforeExit', () => answer.finish('error', neverSettled()));
  result.then(
    (value) => answer.finish('result', value),
    (error) => answer.finish('error', error),
  );
}

function notAsync(): Error {
  return Object.assign(
    new TypeError(
      'The function returned a promise and is no async function: declare it async, or set the option `async: true`, ' +
        'so that it is copied when the event loop can go on with it',
    ),
    { code: 'ERR_JOB_NOT_ASYNC' },
  );
}

function neverSettled(): Error {
  return Object.assign(
    new Error('The promise of the function was never settled: nothing was left that could do it'),
    { code: 'ERR_JOB_UNSETTLED' },
  );
}

/** What the function has returned. @throws what it has thrown */
export function resultOf(answer: Frame): unknown {
  const value = decode(answer);
  if (answer.kind === 'error') throw value;
  return value;
}

/** Nothing is due before it: no promise of the program's that was settled, no process.nextTick(). */
export const nextTurn = (action: () => void): Promise<void> =>
  new Promise((resolve, reject) => {
    setImmediate(() => {
      try {
        action();
        resolve();
      } catch (error) {
        reject(error);
      }
    });
  });

export const isThenable = (value: unknown): value is PromiseLike<never> =>
  typeof (value as PromiseLike<never> | undefined)?.then === 'function';

const AsyncFunction = (async () => {}).constructor;
/** Whether a function was declared `async`. */
export const isAsync = (fn: unknown): boolean => fn instanceof AsyncFunction;

/** What a function has sent, kept until it is asked for. */
class Messages {
  readonly #waiting: unknown[] = [];
  #ended = false;
  #wake: (() => void) | undefined;

  push(value: unknown): void {
    this.#waiting.push(value);
    this.#wake?.();
  }

  end(): void {
    this.#ended = true;
    this.#wake?.();
  }

  async *iterate(): AsyncGenerator<unknown, void> {
    for (;;) {
      while (this.#waiting.length > 0) yield this.#waiting.shift();
      if (this.#ended) return;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }
}
