// Whom a supervisor reports to: the launcher of its daemon, the supervisor of which it is a worker, or
// nobody.

import type { Daemon } from '../detach/daemon.js';
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
  ping(): void;
  /** All workers are ready. @returns why a service manager cannot be told that */
  ready(): Error | undefined;
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

class DaemonSuperior implements Superior {
  readonly isWorker = false;
  readonly pingEvery = 0;
  readonly #daemon: Daemon;

  constructor(daemon: Daemon) {
    this.#daemon = daemon;
  }

  get awaited(): boolean {
    return this.#daemon.readiness?.pending ?? false;
  }

  ping(): void {}

  ready(): Error | undefined {
    return this.#daemon.announce();
  }

  ended(code: number, reason: string | undefined): void {
    this.#daemon.pidfile?.remove();
    const { readiness } = this.#daemon;
    if (readiness?.pending !== true) return;
    if (code === 0 && reason === undefined) readiness.ready();
    else readiness.failed(reason ?? `doublefork: the supervisor ended with code ${code}`, code);
  }

  reopenLogs(): void {
    this.#daemon.reopenLogs();
  }

  release(): void {
    this.#daemon.readiness?.delegate({ ready() {}, explain() {} });
    this.#daemon.pidfile?.close();
  }

  handOver(worker: Worker): void {
    this.release();
    this.#daemon.readiness?.delegate(worker);
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

  ping(): void {
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
  const daemon = thisProcess.daemon;
  return daemon === undefined ? nobody : new DaemonSuperior(daemon);
}

const nobody: Superior = {
  awaited: false,
  isWorker: false,
  pingEvery: 0,
  ping() {},
  ready: () => undefined,
  ended() {},
  reopenLogs() {},
  release() {},
  handOver() {},
};
