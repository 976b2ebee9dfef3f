// What a program itself says of whether it is in order.

/**
 * In order unless it throws, is rejected, or returns false. `signal` is aborted when it has taken too long.
 */
export type Check = (signal: AbortSignal) => unknown;

/** How a check went. */
export interface CheckResult {
  ok: boolean;
  /** What was wrong. */
  error?: string;
  /** How long it took, in ms. */
  duration: number;
}

interface Entry {
  check: Check;
  /** Its last result, and when that was. */
  last: CheckResult | undefined;
  at: number;
  running: Promise<CheckResult> | undefined;
}

/** Checks with their last results. Each runs once at a time, whoever asks and however long it hangs. */
export class Checks {
  readonly #entries = new Map<string, Entry>();
  readonly #timeout: number;
  readonly #cache: number;

  /** @param timeout how long one may take @param cache how long a result counts; both in ms */
  constructor(timeout: number, cache: number) {
    this.#timeout = timeout;
    this.#cache = cache;
  }

  add(name: string, check: Check): void {
    this.#entries.set(name, { check, last: undefined, at: 0, running: undefined });
  }

  async results(): Promise<Record<string, CheckResult>> {
    const results = await Promise.all(
      [...this.#entries].map(async ([name, entry]) => [name, await this.#resultOf(entry)] as const),
    );
    return Object.fromEntries(results);
  }

  async #resultOf(entry: Entry): Promise<CheckResult> {
    const isFresh = entry.last !== undefined && performance.now() - entry.at < this.#cache;
    if (isFresh) return entry.last!;
    entry.running ??= run(entry.check, this.#timeout).finally(() => {
      entry.running = undefined;
    });
    const since = performance.now();
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<CheckResult>((resolve) => {
      timer = setTimeout(() => {
        const duration = performance.now() - since;
        resolve({ ok: false, error: `not answered within ${this.#timeout} ms`, duration });
      }, this.#timeout);
    });
    entry.last = await Promise.race([entry.running, late]);
    clearTimeout(timer);
    entry.at = performance.now();
    return entry.last;
  }
}

async function run(check: Check, timeout: number): Promise<CheckResult> {
  const since = performance.now();
  try {
    const said = await check(AbortSignal.timeout(timeout));
    const duration = performance.now() - since;
    return said === false
      ? { ok: false, error: 'it returned false', duration }
      : { ok: true, duration };
  } catch (error) {
    const text = error instanceof Error ? error.message : String(error);
    return { ok: false, error: text, duration: performance.now() - since };
  }
}
