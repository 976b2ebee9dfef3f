// Values that belong to all workers, such as the configuration of doublefork/config: the supervisor alone
// looks whether they have changed, and tells every worker.

import { POLLOUT, type PollRequest } from '../posix/descriptor.js';
import { shared } from '../posix/shared.js';
import type { Decision } from './policy/state.js';
import type { Update, UpdateWriter } from './updates.js';

/** What a look has found: a change that is in force from now on, or one that is refused. */
export type Found =
  | { kind: 'changed'; generation: number; changed: readonly string[] }
  | { kind: 'refused'; error: string };

/** One that is looked after. */
export interface Published {
  /** What it is called in messages: the path of its file. */
  readonly name: string;
  /** 1 for the first one in force, one more for each after it. */
  readonly generation: number;
  /** Why the last change was refused; undefined: it was not. */
  readonly problem: string | undefined;
  /** When to look next, as performance.now() tells. */
  readonly next: number;
  /**
   * Looks whether it has changed. In the supervisor, where no event loop turns.
   * @param now undefined: whether or not it is time
   */
  look(now: number | undefined): Found | undefined;
  /** What is in force, for workers. */
  encode(): string;
  /** In a worker: this is in force from now on. */
  receive(text: string): void;
}

/** Those of this process, by name. */
export const published = shared('published', () => new Map<string, Published>());

/** A published value as others see it. */
export interface PublishedStatus {
  file: string;
  generation: number;
  /** Why the last change was refused, and the generation is still the one before. */
  error: string | null;
  /** How many workers have it. */
  workers: number;
}

/** How long whoever asks for a change waits for workers to take it over, in ms. */
const PATIENCE = 5000;

interface Waiting {
  deadline: number;
  settle: (error: string | undefined) => void;
}

/** Those of a supervisor, and the workers that hear of them. */
export class Publications {
  readonly #all: readonly Published[];
  readonly #writers = new Map<number, UpdateWriter>();
  /** What workers have taken over, by pid: generations by name. */
  readonly #taken = new Map<number, ReadonlyMap<string, number>>();
  readonly #tell: (decision: Decision) => void;
  #waiting: Waiting[] = [];

  constructor(all: Iterable<Published>, tell: (decision: Decision) => void) {
    this.#all = [...all];
    this.#tell = tell;
  }

  get isEmpty(): boolean {
    return this.#all.length === 0;
  }

  get deadline(): number {
    return Math.min(
      Number.POSITIVE_INFINITY,
      ...this.#all.map(({ next }) => next),
      ...this.#waiting.map(({ deadline }) => deadline),
    );
  }

  get status(): PublishedStatus[] {
    return this.#all.map((it) => ({
      file: it.name,
      generation: it.generation,
      error: it.problem ?? null,
      workers: [...this.#writers.keys()].filter((pid) => this.#has(pid, it)).length,
    }));
  }

  /** @returns whether a worker that was forked before now would have an old value */
  look(now: number | undefined): boolean {
    let changed = false;
    for (const it of this.#all) {
      const found = it.look(now);
      if (found === undefined) continue;
      if (found.kind === 'refused') {
        this.#tell({ event: 'config-refused', file: it.name, error: found.error });
        continue;
      }
      changed = true;
      const update = { name: it.name, text: it.encode() };
      for (const writer of this.#writers.values()) writer.send(update);
      const { generation: config, changed: names } = found;
      this.#tell({ event: 'config', file: it.name, config, changed: [...names] });
    }
    return changed;
  }

  /** Looks at once; settles when every worker has taken over what is found. */
  ask(settle: Waiting['settle']): boolean {
    if (this.isEmpty) {
      settle('the program has no configuration: it calls no loadConfig() of doublefork/config');
      return false;
    }
    const changed = this.look(undefined);
    const problems = this.#all.flatMap(({ problem }) => problem ?? []);
    if (problems.length > 0) settle(problems.join('\n'));
    else this.#waiting.push({ deadline: performance.now() + PATIENCE, settle });
    this.review(performance.now());
    return changed;
  }

  /** Tells those that wait, if it is time. */
  review(now: number): void {
    const late = this.#late();
    const over = ({ deadline }: Waiting) => late.length === 0 || now >= deadline;
    const settled = this.#waiting.filter(over);
    this.#waiting = this.#waiting.filter((it) => !over(it));
    const who = `in force, but not taken over yet by the workers with pid ${late.join(', ')}`;
    for (const { settle } of settled) settle(late.length === 0 ? undefined : who);
  }

  #late(): number[] {
    return [...this.#writers.keys()].filter((pid) => !this.#all.every((it) => this.#has(pid, it)));
  }

  #has(pid: number, { name, generation }: Published): boolean {
    return this.#taken.get(pid)?.get(name) === generation;
  }

  /** What an image of the exec engine begins with. */
  get inForce(): Update[] {
    return this.#all.map((it) => ({ name: it.name, text: it.encode() }));
  }

  /** @param writer undefined: the process hears of nothing */
  add(pid: number, writer: UpdateWriter | undefined): void {
    if (writer !== undefined) this.#writers.set(pid, writer);
  }

  /** @param text JSON: generations by name */
  taken(pid: number, text: string): void {
    try {
      const pairs = Object.entries(JSON.parse(text) as Record<string, number>);
      this.#taken.set(pid, new Map(pairs));
    } catch {
      // Cut, or not what a worker says: it counts as not told.
    }
    this.review(performance.now());
  }

  gone(pid: number): void {
    this.#writers.get(pid)?.close();
    this.#writers.delete(pid);
    this.#taken.delete(pid);
    this.review(performance.now());
  }

  pollRequests(): PollRequest[] {
    return [...this.#writers.values()]
      .filter(({ waits }) => waits)
      .map(({ fd }) => ({ fd, events: POLLOUT }));
  }

  serve(ready: ReadonlyMap<number, number>): void {
    for (const writer of this.#writers.values()) if (ready.has(writer.fd)) writer.flush();
  }

  /** In a fork: closes the copies. */
  release(): void {
    for (const writer of this.#writers.values()) writer.close();
  }
}
