// What supervise() returns in a worker.

import { bindMethods } from '../posix/bind.js';
import { errorText, isError, text } from '../posix/errors.js';
import type { WorkerPipeWriter } from './worker-pipe.js';

/** Which worker a process is. */
export interface WorkerIdentity {
  id: number;
  generation: number;
  restarts: number;
}

/** How a worker is to behave. */
export interface WorkerSettings {
  stopSignal: NodeJS.Signals;
  /** How often to ping, in ms; 0: when told to. */
  pingEvery: number;
  /** Of what it uses. */
  watch: Disposable | undefined;
}

/** A worker, as seen by itself. */
export class Worker implements Disposable {
  /** 1 for the first, 2 for the second. A worker that is started again keeps it. */
  readonly id: number;
  /** 1 for the first process of this worker, one more for each that took its place. */
  readonly generation: number;
  /** How often this worker was started again after it had ended by itself. */
  readonly restarts: number;
  /** @internal */
  readonly pingEvery: number;
  readonly #pipe: WorkerPipeWriter;
  readonly #stopSignals: ReadonlySet<NodeJS.Signals>;
  readonly #heartbeat: NodeJS.Timeout | undefined;
  readonly #cleanups: (() => unknown)[] = [];
  readonly #watch: Disposable | undefined;
  #stop: AbortController | undefined;
  #ready = false;
  #updates: Disposable | undefined;

  /** @internal */
  constructor(identity: WorkerIdentity, pipe: WorkerPipeWriter, settings: WorkerSettings) {
    this.id = identity.id;
    this.generation = identity.generation;
    this.restarts = identity.restarts;
    this.pingEvery = settings.pingEvery;
    this.#pipe = pipe;
    this.#watch = settings.watch;
    this.#stopSignals = new Set(['SIGTERM', 'SIGINT', settings.stopSignal]);
    process.on('uncaughtExceptionMonitor', this.#onException);
    if (settings.pingEvery > 0) {
      this.#heartbeat = setInterval(() => pipe.ping(), settings.pingEvery).unref();
    }
    bindMethods(this);
  }

  /** The process id. */
  get pid(): number {
    return process.pid;
  }

  /**
   * Says that it serves. With `ready: 'started'` that is taken for granted. It can be given as a
   * callback: `app.listen({ fd }, worker.ready)`.
   * @param problem an error, with which the worker has failed instead: it tells the supervisor, prints
   * it and exits with code 1. Anything else counts as nothing
   */
  ready(problem?: unknown): void {
    if (isError(problem)) {
      this.explain(problem);
      process.stderr.write(`${errorText(problem)}\n`);
      process.exit(1);
    }
    if (this.#ready) return;
    this.#ready = true;
    this.#pipe.ready();
  }

  /** Says that it does not hang. Needed only with `watchdog: { ping: 'manual' }`. */
  ping(): void {
    this.#pipe.ping();
  }

  /** Says what it does, for people who ask for the status. @param what a line of text */
  status(what: string): void {
    this.#pipe.status(text(what, 'what'));
  }

  /**
   * Asks for the next version: the program is started anew, and takes over once it is ready, when
   * `signal` of this worker is aborted. What comes of it is told in the supervisor's log.
   */
  reload(): void {
    this.#pipe.reload();
  }

  /** @internal What doublefork/health says of this process, as JSON. */
  health(text: string): void {
    this.#pipe.health(text);
  }

  /** @internal What it has of what is published: see published.ts. */
  taken(text: string): void {
    this.#pipe.taken(text);
  }

  /** @internal Hears of updates for as long as it is a worker. */
  follow(updates: Disposable): void {
    this.#updates = updates;
  }

  /** Tells the supervisor why this worker is about to end. */
  explain(reason: unknown): void {
    this.#pipe.error(errorText(reason));
  }

  /**
   * Aborted when the worker is told to end (SIGTERM, SIGINT, the `stopSignal`), with the signal's name
   * as the reason. Further ones are for the same request, as when a service manager signals all of a
   * service: what does not end in time is killed by the supervisor. Until this is read once, those
   * signals do what they always do.
   */
  get signal(): AbortSignal {
    if (this.#stop === undefined) {
      this.#stop = new AbortController();
      for (const name of this.#stopSignals) process.on(name, this.#onStop);
    }
    return this.#stop.signal;
  }

  readonly #onStop = (name: NodeJS.Signals): void => {
    this.#stop?.abort(name);
  };

  /**
   * Runs a function at the end, the last one first: when the worker is told to end, waiting for what
   * they return, after which it exits with code 0; or without waiting if it exits by itself before.
   * An error among them makes it exit with code 1.
   */
  onExit(cleanup: () => unknown): void {
    this.#cleanups.push(cleanup);
    if (this.#cleanups.length > 1) return;
    process.once('exit', () => {
      for (let next = this.#cleanups.pop(); next !== undefined; next = this.#cleanups.pop()) next();
    });
    this.signal.addEventListener('abort', () => void this.#cleanUp());
  }

  async #cleanUp(): Promise<void> {
    let code = 0;
    for (let next = this.#cleanups.pop(); next !== undefined; next = this.#cleanups.pop()) {
      try {
        await next();
      } catch (error) {
        code = 1;
        this.explain(error);
        process.stderr.write(`${errorText(error)}\n`);
      }
    }
    process.exit(code);
  }

  readonly #onException = (error: unknown): void => this.explain(error);

  /** Lets go of the supervisor: in a copy of this process, which is nobody's worker, or another one. */
  [Symbol.dispose](): void {
    clearInterval(this.#heartbeat);
    this.#watch?.[Symbol.dispose]();
    process.off('uncaughtExceptionMonitor', this.#onException);
    for (const name of this.#stopSignals) process.off(name, this.#onStop);
    this.#updates?.[Symbol.dispose]();
    this.#pipe.close();
  }
}
