// Programs that belong to a service beside its workers: started with it, again when they end, and ended
// with it. A supervisor runs nothing of the program, so what is to be done there all the time is done by
// one of these.

import { shared } from '../posix/shared.js';
import type { Decision, Outcome } from './policy/state.js';
import { describeOutcome } from './sentences.js';
import { startProgram } from './spawner.js';

export interface Companion {
  /** What it is called in messages. */
  name: string;
  /**
   * The program, by its path, and its arguments.
   * @param control path of the supervisor's control socket
   * @param isCopied whether the workers run this program, and not another one
   */
  argv(control: string, isCopied: boolean): readonly string[];
  /** Descriptors that it is to have, under these numbers. */
  keep: readonly number[];
  /** In the process that is about to become the supervisor. */
  beforeSupervise(): void;
}

/** What the next supervise() of this process is to start, by name. */
export const companions = shared('companions', () => new Map<string, Companion>());

/** The wait before one is started again, in ms; each further one is twice as long. */
const DELAY = 500;
const LONGEST_DELAY = 30_000;
/** One that has lived for so long is in order. */
const HEALTHY = 10_000;

interface Place {
  companion: Companion;
  pid: number | undefined;
  since: number;
  startAt: number;
  delay: number;
}

/** Those of a supervisor. */
export class Companions {
  readonly #control: string;
  readonly #isCopied: boolean;
  readonly #places: Place[];
  readonly #adopt: (pid: number) => void;
  readonly #tell: (decision: Decision) => void;

  /** @param adopt hears of each process, which is the supervisor's to end */
  constructor(
    wanted: Iterable<Companion>,
    control: string,
    isCopied: boolean,
    adopt: (pid: number) => void,
    tell: (decision: Decision) => void,
  ) {
    this.#control = control;
    this.#isCopied = isCopied;
    this.#adopt = adopt;
    this.#tell = tell;
    this.#places = [...wanted].map((companion) => ({
      companion,
      pid: undefined,
      since: 0,
      startAt: 0,
      delay: DELAY,
    }));
  }

  /** When the next one is to be started. */
  get deadline(): number {
    return Math.min(...this.#places.map(({ startAt }) => startAt));
  }

  startWhatIsDue(now: number): void {
    for (const place of this.#places) if (place.startAt <= now) this.#start(place, now);
  }

  #start(place: Place, now: number): void {
    const { argv, keep } = place.companion;
    place.startAt = Number.POSITIVE_INFINITY;
    place.since = now;
    try {
      const { pid, error } = startProgram(argv(this.#control, this.#isCopied), keep);
      place.pid = pid;
      this.#adopt(pid);
      if (error !== undefined) this.#failed(place, now, error.message);
    } catch (error) {
      this.#failed(place, now, (error as Error).message);
    }
  }

  /** @returns whether the process was one of these */
  exited(pid: number, outcome: Outcome, now: number): boolean {
    const place = this.#places.find((it) => it.pid === pid);
    if (place === undefined) return false;
    place.pid = undefined;
    if (place.startAt === Number.POSITIVE_INFINITY)
      this.#failed(place, now, describeOutcome(outcome));
    return true;
  }

  #failed(place: Place, now: number, error: string): void {
    if (now - place.since >= HEALTHY) place.delay = DELAY;
    place.startAt = now + place.delay;
    this.#tell({
      event: 'companion-exit',
      companion: place.companion.name,
      delay: place.delay,
      error,
    });
    place.delay = Math.min(LONGEST_DELAY, place.delay * 2);
  }
}
