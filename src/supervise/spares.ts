// Workers that were forked ahead and wait for their names, so that one that crashes is replaced without
// a fork in between.

import { close } from '../posix/descriptor.js';
import { killQuietly } from './family.js';
import { isSettled } from './policy/slot.js';
import type { State } from './policy/state.js';
import { nameSpare, type SpareProcess, type StartedProcess } from './starter.js';
import type { WorkerIdentity } from './worker.js';

/**
 * How long all must have been well before the next one is made, in ms: at once it would take the
 * processor from the worker that has just been started.
 */
const REST = 40;
/** How long to wait after one was refused or has died by itself, in ms; longer each time. */
const FIRST_DELAY = 1000;
const LONGEST_DELAY = 60_000;

export class Spares {
  readonly #most: number;
  readonly #isAlive: (pid: number) => boolean;
  #waiting: SpareProcess[] = [];
  #dueAt = Number.POSITIVE_INFINITY;
  #delay = REST;

  /**
   * @param most how many there are at once
   * @param isAlive whether a spare has not ended
   */
  constructor(most: number, isAlive: (pid: number) => boolean) {
    this.#most = most;
    this.#isAlive = isAlive;
  }

  get pids(): number[] {
    return this.#waiting.map(({ pid }) => pid);
  }

  /** When the next one is to be made; Infinity: there is no need, or no time. */
  get dueAt(): number {
    return this.#dueAt;
  }

  /** Something has changed: looks what there is, and what there should be. */
  review(state: State, now: number): void {
    this.#leaveOutDead();
    if (state.phase !== 'running') this.drop();
    if (this.#waiting.length >= this.#most || !isSettled(state)) {
      this.#dueAt = Number.POSITIVE_INFINITY;
    } else if (this.#dueAt === Number.POSITIVE_INFINITY) {
      this.#dueAt = now + this.#delay;
    }
  }

  #leaveOutDead(): void {
    const alive = this.#waiting.filter(({ pid }) => this.#isAlive(pid));
    if (alive.length === this.#waiting.length) return;
    for (const spare of this.#waiting) if (!alive.includes(spare)) discard(spare);
    this.#waiting = alive;
    this.#waitLonger();
  }

  add(spare: SpareProcess): void {
    this.#waiting.push(spare);
    this.#dueAt = Number.POSITIVE_INFINITY;
  }

  /** One could not be made: the kernel refuses, or there is too little memory. */
  refused(now: number): void {
    this.#waitLonger();
    this.#dueAt = now + this.#delay;
  }

  #waitLonger(): void {
    this.#delay = Math.min(LONGEST_DELAY, Math.max(FIRST_DELAY, 2 * this.#delay));
  }

  /** Names one. @returns undefined: there is none */
  take(identity: WorkerIdentity): StartedProcess | undefined {
    for (let spare = this.#waiting.shift(); spare !== undefined; spare = this.#waiting.shift()) {
      const worker = nameSpare(spare, identity);
      if (worker === undefined) {
        for (const source of spare.sources) source[Symbol.dispose]();
        spare.updates?.close();
        continue;
      }
      this.#delay = REST;
      return worker;
    }
    return undefined;
  }

  /** Ends them: they are copies of what is no more. */
  drop(): void {
    for (const spare of this.#waiting) {
      killQuietly(spare.pid);
      discard(spare);
    }
    this.#waiting = [];
    this.#dueAt = Number.POSITIVE_INFINITY;
  }

  /** In a fork: closes the copies of the supervisor's ends. */
  release(): void {
    for (const { sources, name, output, updates } of this.#waiting) {
      for (const source of sources) source.close();
      updates?.close();
      output?.discard();
      close(name);
    }
    this.#waiting = [];
  }
}

function discard({ sources, name, output, updates }: SpareProcess): void {
  output?.discard();
  updates?.close();
  for (const source of sources) source[Symbol.dispose]();
  close(name);
}
