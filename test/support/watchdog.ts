// Turns a hang into a failure with stack traces.

import { endOthers, MARK, others, stacks } from './processes.js';

/** Ends all processes of the running test once they take too long. */
export class Watchdog {
  readonly #timer: NodeJS.Timeout;
  readonly #describe: () => string;
  readonly #hang: Promise<never>;

  /**
   * @param describe what to add to a failure: outputs, for example
   * @param deadline in ms
   */
  constructor(describe: () => string, deadline = 60_000) {
    this.#describe = describe;
    const mark = process.env[MARK]!;
    let reject = (_error: Error) => {};
    this.#hang = new Promise((_resolve, fail) => {
      reject = fail;
    });
    // It reaches those that wait, through guard(); there may be none.
    this.#hang.catch(() => {});
    this.#timer = setTimeout(async () => {
      const pids = others(mark);
      const traces = pids.map((pid) => `--- process ${pid}\n${stacks(pid)}`);
      const hang = [`not ended within ${deadline} ms: ${pids.join(', ')}`, ...traces].join('\n');
      try {
        await endOthers(mark);
        reject(new Error(hang));
      } catch (cause) {
        reject(new Error(hang, { cause }));
      }
    }, deadline);
  }

  /** The promise's outcome, or the failure of a hang. */
  async guard<T>(promise: Promise<T>): Promise<T> {
    try {
      return await Promise.race([promise, this.#hang]);
    } catch (error) {
      throw new Error(`${(error as Error).message}\n${this.#describe()}`, { cause: error });
    }
  }

  /** All is over. */
  stop(): void {
    clearTimeout(this.#timer);
  }
}
