// What workers have told their supervisor.

import type { Exit } from './policy/state.js';
import { describeExit, describeOutcome } from './sentences.js';

/**
 * A worker may have given up its privileges, and be in the hands of somebody: what JSON.parse() takes,
 * JSON.stringify() may find too deep for the stack.
 */
const DEEPEST_HEALTH = 50;

function isShallow(value: unknown, levels: number): boolean {
  if (typeof value !== 'object' || value === null) return true;
  return levels > 0 && Object.values(value).every((it) => isShallow(it, levels - 1));
}

export class WorkerReports {
  /** What processes say that they do, by pid. */
  readonly #statuses = new Map<number, string>();
  /** What processes say of how they are, by pid. */
  readonly #health = new Map<number, { value: unknown; at: number }>();
  /** How many ended in which way. */
  readonly #counts = new Map<string, number>();
  /** Why processes end, by pid: told before they do. */
  readonly #errors = new Map<number, string>();
  /** How the last process of each worker ended, by the worker's id. */
  readonly #exits = new Map<number, string>();
  #lastError: string | undefined;

  status(pid: number, text: string): void {
    this.#statuses.set(pid, text);
  }

  /** @param text JSON */
  health(pid: number, text: string): void {
    try {
      const value: unknown = JSON.parse(text);
      if (isShallow(value, DEEPEST_HEALTH)) this.#health.set(pid, { value, at: performance.now() });
    } catch {
      // It was too long, and cut.
    }
  }

  /** `at`: when it came, as performance.now() tells. */
  healthOf(pid: number): { value: unknown; at: number } | undefined {
    return this.#health.get(pid);
  }

  /** Of all processes of workers that have ended, by how: `exited with code 1`, `killed by SIGKILL`. */
  get exits(): Record<string, number> {
    return Object.fromEntries(this.#counts);
  }

  error(pid: number, text: string): void {
    this.#errors.set(pid, text);
  }

  statusOf(pid: number): string | undefined {
    return this.#statuses.get(pid);
  }

  lastExitOf(worker: number): string | undefined {
    return this.#exits.get(worker);
  }

  /** The last error that ended a worker, or this program's own. */
  get lastError(): string | undefined {
    return this.#lastError;
  }

  fail(error: string): void {
    this.#lastError = error;
  }

  /** A process is gone. Its error is kept until its {@link exit} is told. */
  gone(pid: number): void {
    this.#statuses.delete(pid);
    this.#health.delete(pid);
  }

  /** Completes an exit by what the worker has told of it. */
  exit(exit: Exit): Exit {
    const error = this.#errors.get(exit.pid);
    this.#errors.delete(exit.pid);
    this.#lastError = error ?? this.#lastError;
    const complete = error === undefined ? exit : { ...exit, error };
    const how = describeOutcome(exit);
    this.#counts.set(how, (this.#counts.get(how) ?? 0) + 1);
    this.#exits.set(exit.worker, describeExit(complete));
    return complete;
  }
}
