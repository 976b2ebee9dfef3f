// Whom a supervisor reports to: the launcher of its daemon, the supervisor of which it is a worker, or
// nobody.

import type { Daemon } from '../detach/daemon.js';
import { ServiceManager } from '../detach/manager.js';
import { thisProcess } from '../detach/this-process.js';
import type { Event } from './policy/state.js';
import type { Worker } from './worker.js';

/** Whom a supervisor reports to. */
export interface Superior {
  /** Whether somebody waits to hear that all workers are ready. */
  readonly awaited: boolean;
  /** Whether this process has a supervisor itself. */
  readonly isWorker: boolean;
  /** Whether it serves already, and one failure of this process is enough to leave it at that. */
  readonly isTrial?: boolean;
  /** How often to say that the supervisor does not hang, in ms; 0: never. */
  readonly pingEvery: number;
  /** This and the following return why a service manager cannot be told that. */
  ping(): Error | undefined;
  /** The first workers are about to be started, and may take so long to be ready, in ms; 0: for ever. */
  starting?(timeout: number): void;
  /** All workers are ready. */
  ready(): Error | undefined;
  /** Another image is to serve, which may take so long, in ms. */
  reloading?(timeout: number): Error | undefined;
  /** That is over. @param error why the one from before still serves */
  reloaded?(error: string | undefined): Error | undefined;
  /** The workers are told to end, and may take so long, in ms; 0: for ever. */
  stopping?(timeout: number): Error | undefined;
  /** It is over. `reason` is for people. */
  ended(code: number, reason: string | undefined): void;
  /** The last worker of a parked image is gone. */
  parked?(): void;
  /** A line of the log was told. */
  log?(line: string): void;
  /** Somebody asks for the next version. Without this the supervisor sees to that itself. */
  reload?(): void;
  /** What it wants done. */
  takeOrders?(now: number): Event[];
  /** The log files were moved away. */
  reopenLogs(): void;
  /** In a copy of this process that has another superior, or will be a worker: closes what is its own. */
  release(): void;
  /** In a worker: leaves the reports to its supervisor. */
  handOver(worker: Worker): void;
}

/** The process of the service: what became of it is for whoever has started it, and for its service manager. */
class ServiceSuperior implements Superior {
  readonly isWorker = false;
  readonly pingEvery: number;
  readonly #daemon: Daemon | undefined;
  readonly #manager: ServiceManager | undefined;

  constructor(daemon: Daemon | undefined) {
    this.#daemon = daemon;
    this.#manager = daemon === undefined ? ServiceManager.ours() : daemon.manager;
    this.pingEvery = this.#manager?.pingEvery ?? 0;
  }

  get awaited(): boolean {
    return this.#daemon?.awaited ?? false;
  }

  ping(): Error | undefined {
    return this.#manager?.ping();
  }

  starting(timeout: number): void {
    this.#manager?.starting(timeout);
  }

  ready(): Error | undefined {
    return this.#daemon === undefined ? this.#manager?.ready() : this.#daemon.announce();
  }

  reloading(timeout: number): Error | undefined {
    return this.#manager?.reloading(timeout);
  }

  reloaded(error: string | undefined): Error | undefined {
    const status = error === undefined ? 'Ready, reloaded' : `Not reloaded: ${error}`;
    return this.#manager?.reloaded(`${status} (pid ${process.pid})`);
  }

  stopping(timeout: number): Error | undefined {
    return this.#manager?.stopping(timeout);
  }

  ended(code: number, reason: string | undefined): void {
    this.#daemon?.pidfile?.remove();
    // What cannot be told now was told to be so before.
    if (reason !== undefined) this.#manager?.failed({ reason, code });
    const readiness = this.#daemon?.readiness;
    if (readiness?.pending !== true) return;
    if (code === 0 && reason === undefined) readiness.ready();
    else readiness.failed(reason ?? `doublefork: the supervisor ended with code ${code}`, code);
  }

  reopenLogs(): void {
    this.#daemon?.reopenLogs();
  }

  release(): void {
    this.#daemon?.releaseManager();
    this.#manager?.release();
    this.#daemon?.readiness?.delegate({ ready() {}, explain() {} });
    this.#daemon?.pidfile?.close();
  }

  handOver(worker: Worker): void {
    this.release();
    this.#daemon?.readiness?.delegate(worker);
  }
}

class WorkerSuperior implements Superior {
  readonly awaited = true;
  readonly isWorker = true;
  readonly pingEvery: number;
  readonly #worker: Worker;

  constructor(worker: Worker) {
    this.#worker = worker;
    this.pingEvery = worker.pingEvery;
  }

  ping(): undefined {
    this.#worker.ping();
  }

  ready(): undefined {
    this.#worker.ready();
  }

  ended(_code: number, reason: string | undefined): void {
    if (reason !== undefined) this.#worker.explain(reason);
  }

  reopenLogs(): void {}

  release(): void {
    this.#worker[Symbol.dispose]();
  }

  handOver(worker: Worker): void {
    this.release();
    thisProcess.daemon?.readiness?.delegate(worker);
  }
}

/** @param worker whose process this is, if it is one */
export function findSuperior(worker: Worker | undefined): Superior {
  if (worker !== undefined) return new WorkerSuperior(worker);
  return new ServiceSuperior(thisProcess.daemon);
}
