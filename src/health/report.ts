// How a process is, in its own words.

import { readdirSync } from 'node:fs';
import {
  type IntervalHistogram,
  monitorEventLoopDelay,
  PerformanceObserver,
} from 'node:perf_hooks';
import type { CheckResult, Checks } from './checks.js';

/** Memory in bytes, times in ms. */
export interface ProcessReport {
  /** Of how much longer than asked for a turn of the event loop took, since the report before. */
  loopDelay: { mean: number; p99: number; max: number };
  memory: { rss: number; heapUsed: number; heapTotal: number; external: number };
  /** Garbage collections since the process was started, and the time that they took. */
  garbage: { runs: number; time: number };
  /** Open descriptors; null where they cannot be counted. */
  descriptors: number | null;
  checks: Record<string, CheckResult>;
}

/** What a worker tells its supervisor. */
export interface WorkerReport extends ProcessReport {
  /** How long it holds, in ms: by then there is another one, if the event loop turns. */
  holds: number;
}

/** How often the event loop is looked at, in ms. */
const RESOLUTION = 10;

/** Makes the reports of this process. */
export class Reporter implements Disposable {
  readonly #checks: Checks;
  readonly #delay: IntervalHistogram;
  readonly #observer: PerformanceObserver;
  readonly #garbage = { runs: 0, time: 0 };

  constructor(checks: Checks) {
    this.#checks = checks;
    this.#delay = monitorEventLoopDelay({ resolution: RESOLUTION });
    this.#delay.enable();
    this.#observer = new PerformanceObserver((list) => {
      for (const { duration } of list.getEntries()) {
        this.#garbage.runs++;
        this.#garbage.time += duration;
      }
    });
    this.#observer.observe({ entryTypes: ['gc'] });
  }

  async report(): Promise<ProcessReport> {
    const checks = await this.#checks.results();
    const { rss, heapUsed, heapTotal, external } = process.memoryUsage();
    const loopDelay = {
      mean: delayOf(this.#delay.mean),
      p99: delayOf(this.#delay.percentile(99)),
      max: delayOf(this.#delay.max),
    };
    this.#delay.reset();
    return {
      loopDelay,
      memory: { rss, heapUsed, heapTotal, external },
      garbage: { ...this.#garbage },
      descriptors: descriptors(),
      checks,
    };
  }

  [Symbol.dispose](): void {
    this.#delay.disable();
    this.#observer.disconnect();
  }
}

/** The histogram has how long a turn took, in ns; nothing was measured: 0. */
function delayOf(nanoseconds: number): number {
  const ms = nanoseconds / 1e6 - RESOLUTION;
  return Number.isFinite(ms) && nanoseconds < 1e15 ? Math.max(0, ms) : 0;
}

function descriptors(): number | null {
  try {
    // Less the one that is open for this.
    return readdirSync('/proc/self/fd').length - 1;
  } catch {
    return null;
  }
}
