// What workers use, as /proc tells, and whether the machine has run out of memory.

import type { Event, Limits, Resource } from './policy/state.js';
import { descriptorShare, outOfMemoryKills, processorTime, residentMemory } from './proc.js';

/** Looks at one process. @returns undefined: it is gone, or nothing can be said yet */
type Measure = (pid: number, now: number) => number | undefined;

export class UsageWatch {
  readonly #interval: number;
  readonly #measures: readonly [Resource, Measure][];
  /** Processor time of each process at the last look. */
  readonly #before = new Map<number, { time: number; at: number }>();
  #delays = new Map<number, { delay: number; at: number }>();
  #kills = outOfMemoryKills();
  #next: number;

  /** @param interval between two looks, in ms */
  constructor(limits: Limits['usage'], interval: number, now: number) {
    this.#interval = interval;
    const all: Readonly<Record<Resource, Measure>> = {
      memory: residentMemory,
      cpu: (pid, at) => this.#processors(pid, at),
      'event-loop delay': (pid, at) => this.#delay(pid, at),
      descriptors: descriptorShare,
    };
    this.#measures = (Object.entries(all) as [Resource, Measure][]).filter(
      ([resource]) => limits[resource].warn > 0 || limits[resource].replace > 0,
    );
    // Without limits nobody needs to look.
    this.#next = this.#measures.length > 0 ? now + interval : Number.POSITIVE_INFINITY;
  }

  /** When to look again. */
  get next(): number {
    return this.#next;
  }

  /** A process has said by how much its event loop was late. */
  delayed(pid: number, delay: number, now: number): void {
    this.#delays.set(pid, { delay, at: now });
  }

  /** What the processes use, if it is time to look. */
  *sample(pids: Iterable<number>, now: number): Generator<Event> {
    if (now < this.#next) return;
    this.#next = now + this.#interval;
    const all = [...pids];
    for (const pid of all) {
      for (const [resource, measure] of this.#measures) {
        const value = measure(pid, now);
        if (value !== undefined) yield { type: 'usage', now, pid, resource, value };
      }
    }
    for (const map of [this.#before, this.#delays])
      for (const pid of map.keys()) if (!all.includes(pid)) map.delete(pid);
  }

  /** In processors, since the last look. */
  #processors(pid: number, now: number): number | undefined {
    const time = processorTime(pid);
    const before = this.#before.get(pid);
    if (time === undefined) return undefined;
    this.#before.set(pid, { time, at: now });
    return before && (time - before.time) / (now - before.at);
  }

  /** What it has said last; one that is stuck says nothing, and the silence is the delay. */
  #delay(pid: number, now: number): number | undefined {
    const last = this.#delays.get(pid);
    return last && Math.max(last.delay, now - last.at - this.#interval);
  }

  /** Whether the kernel has killed a process for want of memory since it was last asked. */
  ranOut(): boolean {
    const before = this.#kills;
    this.#kills = outOfMemoryKills();
    return this.#kills > before;
  }
}
