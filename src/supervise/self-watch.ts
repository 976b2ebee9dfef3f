// A worker's watch on itself: what nobody else can see or do. How late its event loop is, for its
// supervisor; and when it has too much memory, a collection, and a snapshot of the heap.

import type { IntervalHistogram } from 'node:perf_hooks';
import { join } from '../builtin/path.js';
import { garbageCollector } from './heap.js';
import type { LimitSettings } from './limits.js';
import type { WorkerPipeWriter } from './worker-pipe.js';

/** How often the event loop is looked at, in ms. */
const RESOLUTION = 10;

export class SelfWatch implements Disposable {
  readonly #settings: LimitSettings;
  readonly #pipe: WorkerPipeWriter;
  readonly #worker: number;
  readonly #timer: NodeJS.Timeout;
  readonly #delay: IntervalHistogram | undefined;
  #collect: (() => void) | undefined;
  /** Above the limit since it was last looked. */
  #isAbove = false;
  #hasSnapshot = false;

  private constructor(settings: LimitSettings, pipe: WorkerPipeWriter, worker: number) {
    this.#settings = settings;
    this.#pipe = pipe;
    this.#worker = worker;
    const { warn, replace } = settings.usage['event-loop delay'];
    if (warn > 0 || replace > 0) {
      const { monitorEventLoopDelay } = process.getBuiltinModule('node:perf_hooks');
      this.#delay = monitorEventLoopDelay({ resolution: RESOLUTION });
      this.#delay.enable();
      pipe.delay(0);
    }
    this.#timer = setInterval(() => this.#look(), settings.interval).unref();
  }

  /** @returns undefined: there is nothing to watch */
  static start(
    settings: LimitSettings,
    pipe: WorkerPipeWriter,
    worker: number,
  ): SelfWatch | undefined {
    const { usage, collect, snapshot } = settings;
    const { warn, replace } = usage['event-loop delay'];
    const looksAtMemory = usage.memory.warn > 0 && (collect || snapshot !== undefined);
    if (warn === 0 && replace === 0 && !looksAtMemory) return undefined;
    return new SelfWatch(settings, pipe, worker);
  }

  #look(): void {
    if (this.#delay !== undefined) {
      const late = this.#delay.percentile(99) / 1e6 - RESOLUTION;
      // Nothing was measured: the histogram says so by its largest number.
      this.#pipe.delay(late < 1e9 ? Math.max(0, late) : 0);
      this.#delay.reset();
    }
    this.#lookAtMemory();
  }

  #lookAtMemory(): void {
    const { usage, collect, snapshot } = this.#settings;
    const { warn } = usage.memory;
    if (warn === 0) return;
    if (collect && !this.#isAbove && process.memoryUsage.rss() > warn) {
      this.#collect ??= garbageCollector();
      this.#collect();
    }
    const isAbove = process.memoryUsage.rss() > warn;
    if (isAbove && this.#isAbove && snapshot !== undefined && !this.#hasSnapshot) {
      this.#hasSnapshot = true;
      this.#write(snapshot);
    }
    this.#isAbove = isAbove;
  }

  #write(directory: string): void {
    const time = new Date().toISOString().replace(/[:.]/g, '-');
    const path = join(directory, `worker-${this.#worker}-${process.pid}-${time}.heapsnapshot`);
    try {
      process.getBuiltinModule('node:v8').writeHeapSnapshot(path);
      this.#pipe.status(`heap snapshot in ${path}`);
    } catch (error) {
      this.#pipe.status(`no heap snapshot: ${(error as Error).message}`);
    }
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
    this.#delay?.disable();
  }
}
