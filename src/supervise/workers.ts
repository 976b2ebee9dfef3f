// The processes of the workers, as the supervisor has them: what they say, what descends from them, and
// that they end.

import { POLLIN, type PollRequest } from '../posix/descriptor.js';
import { signalNumber } from '../posix/process.js';
import { signalFate } from '../posix/processes.js';
import { type EndedWorker, Families, killQuietly } from './family.js';
import type { Event, Outcome } from './policy/state.js';
import type { Publications } from './published.js';
import { WorkerReports } from './reports.js';
import type { SpareProcess, StartedProcess } from './starter.js';
import type { MessageSource } from './worker-pipe.js';

export class Workers {
  readonly reports = new WorkerReports();
  readonly #families = new Families();
  readonly #sources = new Map<number, readonly MessageSource[]>();
  /** Images that have not reached supervise() yet, and the signals to pass on to them then. */
  readonly #arriving = new Map<number, Set<NodeJS.Signals>>();
  readonly #memoryRanOut: () => boolean;
  readonly #onReload: (pid: number) => void;
  readonly #onDelay: (pid: number, delay: number) => void;
  readonly #publications: Publications;

  /**
   * @param memoryRanOut tells of a process that was killed whether it was for want of memory
   * @param onReload hears of a worker that asks for the next version
   * @param onDelay hears by how many ms the event loop of one is late
   * @param publications what workers are told, and tell that they have
   */
  constructor(
    memoryRanOut: () => boolean,
    onReload: (pid: number) => void,
    onDelay: (pid: number, delay: number) => void,
    publications: Publications,
  ) {
    this.#publications = publications;
    this.#onReload = onReload;
    this.#onDelay = onDelay;
    this.#memoryRanOut = memoryRanOut;
  }

  add({ pid, sources, updates, group, holder, arriving, error }: StartedProcess): void {
    this.#sources.set(pid, sources);
    this.#publications.add(pid, updates);
    this.#families.add(pid, group);
    if (holder !== undefined) this.#families.attend(holder);
    if (error !== undefined) this.reports.error(pid, error.message);
    else if (arriving) this.#arriving.set(pid, new Set());
  }

  /** A child that is no worker, and whose end is told as that of one. */
  adopt(pid: number): void {
    this.#families.add(pid, undefined);
  }

  /** A child that waits to become a worker. */
  attend({ pid, group, holder }: SpareProcess): void {
    this.#families.attend(pid, group);
    if (holder !== undefined) this.#families.attend(holder);
  }

  /** Whether one that waits has not ended. */
  attends(pid: number): boolean {
    return this.#families.attends(pid);
  }

  /** The one that was started last; 0: there is none. */
  get youngest(): number {
    return [...this.#sources.keys()].at(-1) ?? 0;
  }

  pollRequests(): PollRequest[] {
    const requests = this.#publications.pollRequests();
    for (const sources of this.#sources.values()) {
      for (const { ended, fd } of sources) if (!ended) requests.push({ fd, events: POLLIN });
    }
    return requests;
  }

  /** What workers have said, as far as it concerns the policy. */
  *read(ready: ReadonlyMap<number, number>, now: number): Generator<Event> {
    this.#publications.serve(ready);
    for (const [pid, sources] of this.#sources) {
      for (const source of sources) {
        if (ready.has(source.fd)) yield* this.#readFrom(source, pid, now);
      }
    }
  }

  *#readFrom(source: MessageSource, pid: number, now: number): Generator<Event> {
    for (const message of source.read()) {
      if (message.type === 'status') this.reports.status(pid, message.text);
      else if (message.type === 'health') this.reports.health(pid, message.text);
      else if (message.type === 'taken') this.#publications.taken(pid, message.text);
      else if (message.type === 'error') this.reports.error(pid, message.text);
      else if (message.type === 'reload') this.#onReload(pid);
      else if (message.type === 'delay') this.#onDelay(pid, Number(message.text));
      else {
        if (message.type === 'arrived') this.#deliverSignals(pid);
        yield { type: message.type, now, pid };
      }
    }
  }

  #deliverSignals(pid: number): void {
    const signals = this.#arriving.get(pid) ?? [];
    this.#arriving.delete(pid);
    for (const signal of signals) killQuietly(pid, signal);
  }

  /** The workers that have ended, reaped. */
  *reap(now: number): Generator<Event> {
    for (const result of this.#families.reap()) yield* this.#exited(result, now);
  }

  *#exited(
    { pid, exitCode, signal, coreDumped, ranOut }: EndedWorker,
    now: number,
  ): Generator<Event> {
    for (const source of this.#sources.get(pid) ?? []) {
      // Its last words, and that it was ready, come before its end.
      yield* this.#readFrom(source, pid, now);
      source[Symbol.dispose]();
    }
    this.#sources.delete(pid);
    this.#arriving.delete(pid);
    this.reports.gone(pid);
    this.#publications.gone(pid);
    const outOfMemory = signal === 'SIGKILL' && (ranOut ?? this.#memoryRanOut());
    const outcome: Outcome = { exitCode, signal, coreDumped, outOfMemory };
    yield { type: 'exited', now, pid, outcome, random: Math.random() };
  }

  /** Asks a worker to end. */
  signal(pid: number, signal: NodeJS.Signals): void {
    // Once it has ended nobody can tell what it had started.
    this.#families.note(pid);
    killQuietly(pid, signal);
    // One that is stopped takes no other signal.
    killQuietly(pid, 'SIGCONT');
  }

  /** SIGKILL for a worker and all that it has started. */
  kill(pid: number): void {
    this.#families.kill(pid);
  }

  /** Passes on a signal that is the program's to handle. @param careful not to one that has no handler for it */
  passOn(pid: number, signal: NodeJS.Signals, careful = false): void {
    // It has none of the program's handlers yet, and would end, or start a debugger.
    const kept = this.#arriving.get(pid);
    if (kept !== undefined) kept.add(signal);
    else if (!careful || hears(pid, signal)) killQuietly(pid, signal);
  }

  /** Ends everything that is left. @returns whether there was something; call it until there is not */
  clear(): boolean {
    return this.#families.clear();
  }

  /** In a worker: closes the copies of the supervisor's ends. */
  release(): void {
    this.#publications.release();
    for (const sources of this.#sources.values()) for (const source of sources) source.close();
  }
}

/** Whether a process has a handler for a signal; true where /proc does not tell. */
function hears(pid: number, signal: NodeJS.Signals): boolean {
  const fate = signalFate(pid, signalNumber(signal));
  return fate === undefined || fate === 'heard';
}
