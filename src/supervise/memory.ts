// How much memory workers use, and whether the machine has run out of it.

import type { Event } from './policy/state.js';
import { outOfMemoryKills, residentMemory } from './proc.js';

/** How often memory is looked at, in ms. */
const INTERVAL = 5000;

export class MemoryWatch {
  #kills = outOfMemoryKills();
  #next: number;

  /** @param limit in bytes; 0: there is none, and nobody needs to look */
  constructor(limit: number, now: number) {
    this.#next = limit > 0 ? now + INTERVAL : Number.POSITIVE_INFINITY;
  }

  /** When to look again. */
  get next(): number {
    return this.#next;
  }

  /** What the processes use, if it is time to look. */
  *sample(pids: Iterable<number>, now: number): Generator<Event> {
    if (now < this.#next) return;
    this.#next = now + INTERVAL;
    for (const pid of pids) {
      const bytes = residentMemory(pid);
      if (bytes !== undefined) yield { type: 'memory', now, pid, bytes };
    }
  }

  /** Whether the kernel has killed a process for want of memory since it was last asked. */
  ranOut(): boolean {
    const before = this.#kills;
    this.#kills = outOfMemoryKills();
    return this.#kills > before;
  }
}
