// Copies of this process that take jobs in turn.

import { constants } from '../builtin/os.js';
import { integer, invalidType, outOfRange, posixError } from '../posix/errors.js';
import { forkSupport } from '../posix/fork.js';
import { PoolClosedError } from './errors.js';
import type { Executor } from './executor.js';
import { Image } from './image.js';
import { checkOptions, type JobOptions, nextTurn, resultOf, runInCopy } from './in-fork.js';
import { Member, type Task } from './member.js';
import { callModule, moduleUrl } from './module.js';
import { Threads } from './threads.js';

/** Options of {@link createPool}. */
export interface PoolOptions<A, R> extends Omit<JobOptions, 'signal' | 'async'> {
  /**
   * Does one job, in a copy: gets what {@link Pool.run} is given. It may be async. Or the path or URL of
   * a module that exports such a function as its default, which each copy, or thread, loads for itself.
   */
  run: ((argument: A) => R | PromiseLike<R>) | string | URL;
  /**
   * 'fork': copies of this process. 'threads': worker_threads, by way of the package piscina; `run` must be a
   * module. 'auto' (default): fork where that works, else threads.
   */
  engine?: 'auto' | 'fork' | 'threads';
  /** How many copies there are. Default: as many as processors. */
  size?: number;
  /** How many jobs may wait for a copy. Default 100. */
  queue?: number;
  /** A copy is replaced after so many jobs. Default 0: never. */
  maxJobsPerWorker?: number;
  /** A copy without work ends after so many ms, and is made again when there is. Default 0: never. */
  idleTimeout?: number;
  /** Whether each job has a copy of its own, made for it. Default false. */
  isolate?: boolean;
}

/** How one job is run. */
export interface RunOptions {
  /** Ends the job, and the copy that is at it; its promise is rejected with the signal's reason. */
  signal?: AbortSignal;
}

/** What a pool is doing. The names are those of prom-client's gauges and counters, without a prefix. */
export interface PoolStats {
  /** Copies that there are now. */
  workers: number;
  /** Jobs that a copy is at. */
  running: number;
  /** Jobs that wait for a copy. */
  queued: number;
  /** Calls of run() that wait for room in the queue. */
  waiting: number;
  /** Jobs that were done, and jobs that were not, since the pool was made. */
  completed_total: number;
  failed_total: number;
  /** Copies that were made since then. */
  forks_total: number;
  /** How long jobs that began have waited before, in all. In seconds. */
  waited_seconds_total: number;
}

/** Options of {@link jobs}. */
export interface JobsOptions<A, R>
  extends Omit<PoolOptions<A, R>, 'isolate' | 'engine' | 'maxJobsPerWorker' | 'idleTimeout'> {
  /**
   * 'image': this process is copied once, in the next turn of the event loop, and each job from that copy, with
   * what was in memory then. 'parent': each job from this process, as it is when the job begins.
   */
  from: 'image' | 'parent';
}

const DEFAULT_QUEUE = 100;

export class Pool<A, R> implements AsyncDisposable {
  readonly #run: (argument: A) => R | PromiseLike<R>;
  /** Where each job is run; undefined: in copies that take one after the other. */
  readonly #executor: Executor | undefined;
  readonly #job: ReturnType<typeof checkOptions>;
  readonly #size: number;
  readonly #limit: number;
  readonly #maxJobs: number;
  readonly #idleTimeout: number;
  /** Those that may be given jobs, and all that have not ended yet. */
  readonly #members = new Set<Member>();
  readonly #alive = new Set<Member>();
  readonly #idle: Member[] = [];
  readonly #queue: Task[] = [];
  /** run() calls that wait for room, in order. */
  readonly #waiting: (() => void)[] = [];
  readonly #idleTimers = new WeakMap<Member, NodeJS.Timeout>();
  #starting = 0;
  #closed = false;
  #drained: (() => void)[] = [];
  /** Jobs that the executor is at. */
  #given = 0;
  readonly #totals = { completed: 0, failed: 0, forks: 0, waited: 0 };

  constructor(options: PoolOptions<A, R>, from: JobsOptions<A, R>['from'] = 'parent') {
    const { run, size, queue = DEFAULT_QUEUE, maxJobsPerWorker = 0, ...others } = options;
    const { idleTimeout = 0, isolate = false, engine = 'auto', ...job } = others;
    const module = typeof run === 'function' ? undefined : moduleUrl(run, 'options.run');
    this.#job = checkOptions(job);
    this.#run =
      typeof run === 'function' ? run : (argument) => callModule(module!, argument) as Promise<R>;
    this.#size = integer(size ?? availableParallelism(), 'options.size', 1, 10_000);
    this.#limit = integer(queue, 'options.queue', 0);
    this.#maxJobs = integer(maxJobsPerWorker, 'options.maxJobsPerWorker', 0);
    this.#idleTimeout = integer(idleTimeout, 'options.idleTimeout', 0);
    if (typeof isolate !== 'boolean')
      throw invalidType('options.isolate', 'of type boolean', isolate);
    const withoutFork = whyThreads(engine, module);
    if (withoutFork !== undefined) {
      refuseOfThreads({ ...options, isolate, maxJobsPerWorker }, withoutFork);
      const { timeout, memoryLimit } = this.#job;
      const limits = { size: this.#size, idleTimeout, timeout, memoryLimit };
      this.#executor = new Threads(module!, limits, withoutFork);
    } else if (from === 'image') {
      this.#executor = new Image(this.#run, this.#job);
    } else if (isolate) {
      this.#executor = copyForEach(this.#run, this.#job);
    } else {
      for (let i = 0; i < this.#size; i++) this.#start();
    }
  }

  /**
   * Has a copy do a job; waits for room in the queue first.
   * @returns what `run` returns there. Rejects with what it throws, and as {@link inFork} does for a job
   * that is cancelled, takes too long or whose copy ends; ERR_POOL_CLOSED
   */
  run = async (argument: A, options: RunOptions = {}): Promise<R> => {
    options.signal?.throwIfAborted();
    while (!this.#hasRoom()) {
      if (this.#closed) throw new PoolClosedError();
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
      options.signal?.throwIfAborted();
    }
    if (this.#closed) throw new PoolClosedError();
    return this.#enqueue(argument, options);
  };

  /** The same, at once or not at all. @returns undefined: the queue is full */
  tryRun = (argument: A, options: RunOptions = {}): Promise<R> | undefined => {
    if (this.#closed) throw new PoolClosedError();
    return this.#hasRoom() ? this.#enqueue(argument, options) : undefined;
  };

  /**
   * The results of many jobs, as many at a time as there are copies.
   * @param options `ordered` (default true): in the order of the arguments; else as they are done
   */
  async *map(
    items: Iterable<A> | AsyncIterable<A>,
    { ordered = true, signal }: { ordered?: boolean } & RunOptions = {},
  ): AsyncGenerator<R, void> {
    const pending = new Set<Promise<unknown>>();
    const order: Promise<R>[] = [];
    const done: R[] = [];
    const begin = (item: A) => {
      const job = this.run(item, signal === undefined ? {} : { signal });
      // Whoever iterates hears of it, at its turn.
      job.catch(() => {});
      const settled = job
        .then((value) => void done.push(value))
        .finally(() => pending.delete(settled));
      settled.catch(() => {});
      pending.add(settled);
      order.push(job);
    };
    for await (const item of items) {
      begin(item);
      while (order.length >= this.#size && ordered) yield await order.shift()!;
      while (pending.size >= this.#size && !ordered) await Promise.race(pending);
      while (done.length > 0 && !ordered) yield done.shift()!;
    }
    while (ordered && order.length > 0) yield await order.shift()!;
    while (!ordered && (pending.size > 0 || done.length > 0)) {
      if (done.length === 0) await Promise.race(pending);
      else yield done.shift()!;
    }
  }

  get stats(): PoolStats {
    const running = [...this.#members].filter(({ isBusy }) => isBusy).length;
    return {
      workers: this.#members.size + this.#given,
      running: running + this.#given,
      queued: this.#queue.length,
      waiting: this.#waiting.length,
      completed_total: this.#totals.completed,
      failed_total: this.#totals.failed,
      forks_total: this.#totals.forks,
      waited_seconds_total: this.#totals.waited / 1000,
    };
  }

  /** Resolves when no job runs or waits. */
  async drain(): Promise<void> {
    while (!this.#isQuiet()) await new Promise<void>((resolve) => this.#drained.push(resolve));
  }

  /** Takes no more jobs, does those that it has, and ends the copies. Resolves when they are gone. */
  async close(): Promise<void> {
    this.#closed = true;
    for (const resume of this.#waiting.splice(0)) resume();
    await this.drain();
    while (this.#starting > 0) await new Promise((resolve) => setImmediate(resolve));
    const members = [...this.#alive];
    for (const member of members) member.end();
    await Promise.all([...members.map(({ ended }) => ended), this.#executor?.close()]);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #hasRoom(): boolean {
    // A copy that is free, is being made, or may be made, takes a job that then waits no more.
    const free =
      this.#executor === undefined
        ? this.#idle.length + this.#starting + this.#size - this.#members.size
        : this.#size - this.#given;
    return this.#queue.length < this.#limit + free;
  }

  #isQuiet(): boolean {
    const { running, queued, waiting } = this.stats;
    return running + queued + waiting === 0;
  }

  #enqueue(argument: A, { signal }: RunOptions): Promise<R> {
    return new Promise<R>((resolve, reject) => {
      this.#queue.push({
        argument,
        signal,
        since: performance.now(),
        done: (value) => {
          this.#totals.completed++;
          resolve(value as R);
        },
        failed: (reason) => {
          this.#totals.failed++;
          reject(reason);
        },
      });
      this.#next();
    });
  }

  /** Gives waiting jobs to copies that have none, and lets in who waits for room. */
  #next(): void {
    if (this.#executor === undefined) this.#giveToMembers();
    else this.#giveToExecutor(this.#executor);
    if (this.#hasRoom()) this.#waiting.shift()?.();
    if (this.#isQuiet()) for (const resolve of this.#drained.splice(0)) resolve();
  }

  #giveToMembers(): void {
    while (this.#idle.length > 0) {
      const task = this.#take();
      if (task === undefined) break;
      const member = this.#idle.pop()!;
      clearTimeout(this.#idleTimers.get(member));
      try {
        member.give(task, this.#job);
      } catch (error) {
        task.failed(error);
        this.#rest(member);
      }
    }
    const needed = this.#queue.length - this.#starting;
    for (let i = 0; i < needed && this.#members.size < this.#size; i++) this.#start();
  }

  #giveToExecutor(executor: Executor): void {
    while (this.#given < this.#size) {
      const task = this.#take();
      if (task === undefined) break;
      this.#given++;
      if (!(executor instanceof Threads)) this.#totals.forks++;
      void executor
        .run(task.argument, task.signal)
        .then(task.done, task.failed)
        .then(() => {
          this.#given--;
          this.#next();
        });
    }
  }

  /** The next job that is still wanted. */
  #take(): Task | undefined {
    for (;;) {
      const task = this.#queue.shift();
      if (task === undefined) return undefined;
      this.#totals.waited += performance.now() - task.since;
      if (task.signal?.aborted !== true) return task;
      task.failed(task.signal.reason);
    }
  }

  /** Makes a copy, in the next turn: its event loop has to turn. */
  #start(): void {
    const member = new Member();
    this.#members.add(member);
    this.#starting++;
    nextTurn(() => {
      this.#starting--;
      this.#totals.forks++;
      const isHere = member.start(this.#run, this.#job, {
        free: () => {
          if (this.#maxJobs > 0 && member.jobs >= this.#maxJobs) member.end();
          else this.#rest(member);
          this.#next();
        },
        ended: () => {
          this.#alive.delete(member);
          this.#forget(member);
          this.#next();
        },
      });
      if (!isHere) return;
      this.#alive.add(member);
      this.#rest(member);
      this.#next();
    }).catch((error) => {
      this.#forget(member);
      // The kernel, or a thread, is in the way: whoever waits longest hears of it.
      this.#take()?.failed(error);
      this.#next();
    });
  }

  #rest(member: Member): void {
    this.#idle.push(member);
    if (this.#idleTimeout === 0) return;
    const timer = setTimeout(() => {
      this.#forget(member);
      member.end();
    }, this.#idleTimeout);
    this.#idleTimers.set(member, timer.unref());
  }

  #forget(member: Member): void {
    this.#members.delete(member);
    const at = this.#idle.indexOf(member);
    if (at >= 0) this.#idle.splice(at, 1);
    clearTimeout(this.#idleTimers.get(member));
  }
}

/** Each job in a copy of this process, made for it. */
function copyForEach<A, R>(
  run: (argument: A) => R | PromiseLike<R>,
  settings: ReturnType<typeof checkOptions>,
): Executor {
  return {
    run: async (argument, signal) => {
      const own = { ...settings, signal };
      const { answer, copy } = runInCopy(() => run(argument as A), true, own);
      try {
        return resultOf(await answer);
      } finally {
        // There are never more of them than the pool's size.
        await copy()?.ended;
      }
    },
    close: async () => {},
  };
}

/**
 * Why jobs are to run on threads; undefined: they run in copies.
 * @param module its URL; undefined: a function was given
 * @throws ENOTSUP if neither is possible
 */
function whyThreads(engine: unknown, module: string | undefined): string | undefined {
  if (engine !== 'auto' && engine !== 'fork' && engine !== 'threads') {
    throw outOfRange('options.engine', "'auto', 'fork' or 'threads'", engine);
  }
  const support = forkSupport();
  if (engine !== 'threads' && support.supported) return undefined;
  const reason = support.supported ? "engine: 'threads'" : support.reason;
  if (engine === 'fork') throw notSupported(reason);
  if (module === undefined) {
    throw notSupported(
      `${reason}; on threads the option run must be the path or URL of a module, which exports the function as its ` +
        'default: a function cannot go to a thread',
    );
  }
  return reason;
}

/** @throws ENOTSUP for what threads cannot do */
function refuseOfThreads<A, R>(options: PoolOptions<A, R>, reason: string): void {
  const wishes = {
    isolate: options.isolate === true,
    maxJobsPerWorker: (options.maxJobsPerWorker ?? 0) > 0,
    title: options.title !== undefined,
    "stdio: 'ignore'": options.stdio === 'ignore',
  };
  for (const [name, isWished] of Object.entries(wishes)) {
    if (isWished) throw notSupported(`the option ${name} needs copies of the process (${reason})`);
  }
}

const notSupported = (why: string): Error =>
  posixError(-constants.errno.ENOTSUP, 'createPool', undefined, why);

const availableParallelism = (): number =>
  process.getBuiltinModule('node:os').availableParallelism();

/**
 * Makes copies of this process that take jobs in turn. What `run` can see is there as it was when its copy
 * was made: in the next turn of the event loop, or when one that has ended is replaced.
 * @throws ERR_INVALID_ARG_TYPE, ERR_INVALID_ARG_VALUE, ERR_OUT_OF_RANGE
 */
export function createPool<A, R>(options: PoolOptions<A, R>): Pool<A, R> {
  return new Pool(options);
}

/**
 * Runs each job in a copy of its own, made for it: from this process as it is then, or, for one that is large or must
 * not pause, from an image of it, that was copied once.
 * @returns a pool, with jobs in place of copies that stay
 * @throws ERR_INVALID_ARG_TYPE, ERR_INVALID_ARG_VALUE, ERR_OUT_OF_RANGE; ENOTSUP
 */
export function jobs<A, R>(options: JobsOptions<A, R>): Pool<A, R> {
  const { from, ...others } = options;
  if (from !== 'image' && from !== 'parent') {
    throw outOfRange('options.from', "'image' or 'parent'", from);
  }
  for (const name of ['isolate', 'engine', 'maxJobsPerWorker', 'idleTimeout']) {
    if (name in others)
      throw outOfRange(
        `options.${name}`,
        'no option of jobs()',
        (others as Record<string, unknown>)[name],
      );
  }
  return new Pool({ ...others, isolate: true, engine: 'fork' }, from);
}
