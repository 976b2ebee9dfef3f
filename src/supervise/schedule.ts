// Workers replaced by the clock on the wall: `recycleAt: '0 4 * * *'`.

import type { Cron } from 'croner';
import { outOfRange } from '../posix/errors.js';

/** A clock may be set: it is looked again at least this often. In ms. */
const LONGEST_WAIT = 60_000;

export class Schedule {
  readonly #cron: Cron | undefined;
  #due: Date | null;
  #look: number;

  /**
   * @param pattern of cron, as the package croner reads it; undefined: never
   * @throws ERR_OUT_OF_RANGE if it is none, or its time never comes; ERR_MODULE_NOT_FOUND without the package
   */
  constructor(pattern: string | undefined, now: number) {
    this.#cron = pattern === undefined ? undefined : load(pattern);
    this.#due = this.#cron?.nextRun() ?? null;
    this.#look = this.#due === null ? Number.POSITIVE_INFINITY : now;
  }

  /** When to look at the clock again. */
  get next(): number {
    return this.#look;
  }

  /** The time that comes next, as people read it. */
  get due(): string | undefined {
    return this.#due?.toISOString();
  }

  /** Whether its time has come. */
  isDue(now: number): boolean {
    if (this.#due === null || now < this.#look) return false;
    const wait = this.#due.getTime() - Date.now();
    const isDue = wait <= 0;
    // A machine that has slept through several is late once.
    if (isDue) this.#due = this.#cron!.nextRun();
    const next = this.#due === null ? Number.POSITIVE_INFINITY : this.#due.getTime() - Date.now();
    this.#look = now + Math.min(LONGEST_WAIT, Math.max(1, next));
    return isDue;
  }
}

function load(pattern: string): Cron {
  const { createRequire } = process.getBuiltinModule('node:module');
  let croner: typeof import('croner');
  try {
    croner = createRequire(import.meta.url)('croner');
  } catch (error) {
    throw Object.assign(
      new Error('options.recycleAt is read by the package croner: npm install croner', {
        cause: error,
      }),
      { code: 'ERR_MODULE_NOT_FOUND' },
    );
  }
  let next: Date | null;
  let cron: Cron;
  try {
    cron = new croner.Cron(pattern, { paused: true });
    next = cron.nextRun();
  } catch (error) {
    throw outOfRange('options.recycleAt', `a time of cron (${(error as Error).message})`, pattern);
  }
  if (next === null) throw outOfRange('options.recycleAt', 'a time that is to come', pattern);
  return cron;
}
