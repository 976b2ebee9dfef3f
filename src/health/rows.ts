// What the status page is told of a service: as rows, of which only those that changed are sent.

import type { WorkerStatus } from '../supervise/status.js';
import type { ProcessReport } from './report.js';
import { failuresOf, type Sight } from './view.js';

/** A worker, or the process itself. Times in ms, memory in bytes; null: not known. */
export interface Row {
  id: number;
  pid: number | null;
  /** As of the supervisor; `failing`: it serves, but fails its checks. */
  state: WorkerStatus['state'] | 'failing';
  /** When it was started, to the second, as Date.now() tells. */
  since: number | null;
  restarts: number;
  memory: number | null;
  /** In percent of one processor, since the look before. */
  cpu: number | null;
  /** Of the event loop: 99 of 100 turns are late by no more. */
  delay: number | null;
  /** What it says, what is wrong, or how its last process ended. */
  note: string;
}

/** A service at one time. */
export interface Snapshot {
  /** What to read first: `2 of 2 workers ready`. */
  headline: string;
  isWell: boolean;
  /** Facts, by their names. */
  facts: Record<string, string | number>;
  lastError: string | null;
  rows: Row[];
  /** All together: time, ready, memory, cpu, and the longest delay. */
  point: [time: number, ready: number, memory: number, cpu: number | null, delay: number | null];
}

/** Processor time of each process at the look before. */
export type Times = Map<number, { cpu: number; at: number }>;

/** @param times is brought up to date */
export function snapshotOf(sight: Sight, times: Times, now: number): Snapshot {
  if (sight.kind === 'lost') {
    return {
      headline: 'the supervisor does not answer',
      isWell: false,
      facts: {},
      lastError: sight.error,
      rows: [],
      point: [now, 0, 0, null, null],
    };
  }
  const rows =
    sight.kind === 'process'
      ? [ownRow(sight.report, times, now)]
      : sight.status.workers
          .map((worker) => rowOf(worker, sight.reports, times, now))
          .sort((one, other) => one.id - other.id);
  const pids = new Set(rows.map(({ pid }) => pid));
  for (const pid of times.keys()) if (!pids.has(pid)) times.delete(pid);
  const ready = rows.filter(({ state }) => state === 'ready' || state === 'replacing').length;
  const sum = (values: (number | null)[]) =>
    values.reduce<number>((total, value) => total + (value ?? 0), 0);
  const known = (values: (number | null)[]) => values.filter((value) => value !== null);
  const cpus = known(rows.map(({ cpu }) => cpu));
  const delays = known(rows.map(({ delay }) => delay));
  return {
    headline:
      sight.kind === 'process'
        ? 'the process answers'
        : `${ready} of ${rows.length} ${rows.length === 1 ? 'worker' : 'workers'} ready`,
    isWell: rows.length > 0 && ready === rows.length,
    facts: factsOf(sight, now),
    lastError: sight.kind === 'service' ? sight.status.lastError : null,
    rows,
    point: [
      now,
      ready,
      sum(rows.map(({ memory }) => memory)),
      cpus.length === 0 ? null : sum(cpus),
      // Not Math.max(...delays): there may be thousands.
      delays.length === 0 ? null : delays.reduce((most, value) => Math.max(most, value), 0),
    ],
  };
}

function factsOf(sight: Sight & { kind: 'process' | 'service' }, now: number): Snapshot['facts'] {
  if (sight.kind === 'process') return { pid: process.pid };
  const { pid, phase, uptime, restarts, image, previous } = sight.status;
  return {
    pid,
    phase: String(phase),
    since: seconds(now - uptime),
    restarts,
    version: image.number,
    ...(previous === null ? {} : { 'version before': previous.number }),
  };
}

const seconds = (time: number) => Math.round(time / 1000) * 1000;

function rowOf(worker: WorkerStatus, reports: boolean, times: Times, now: number): Row {
  const { id, pid, state, uptime, restarts, rss, lastExit, status } = worker;
  const report = worker.health as Partial<ProcessReport> | null;
  const failure = reports && state === 'ready' ? failuresOf(worker) : undefined;
  const delay = report?.loopDelay?.p99;
  return {
    id,
    pid,
    state: failure === undefined ? state : 'failing',
    since: uptime === null ? null : seconds(now - uptime),
    restarts,
    memory: rss,
    cpu: load(pid, worker.cpu, times, now),
    delay: typeof delay === 'number' ? Math.round(delay * 10) / 10 : null,
    note: String(failure ?? status ?? (state === 'ready' ? '' : (lastExit ?? ''))).slice(0, 300),
  };
}

function ownRow({ memory, loopDelay, checks }: ProcessReport, times: Times, now: number): Row {
  const { user, system } = process.cpuUsage();
  const failing = Object.entries(checks).filter(([, { ok }]) => !ok);
  return {
    id: 1,
    pid: process.pid,
    state: failing.length === 0 ? 'ready' : 'failing',
    since: seconds(now - process.uptime() * 1000),
    restarts: 0,
    memory: memory.rss,
    cpu: load(process.pid, (user + system) / 1000, times, now),
    delay: Math.round(loopDelay.p99 * 10) / 10,
    note: failing.map(([name, { error }]) => `${name}: ${error}`).join('; '),
  };
}

/** The kernel counts in ticks of 10 ms: of a shorter time nothing can be said. */
const SHORTEST = 400;

function load(pid: number | null, cpu: number | null, times: Times, now: number): number | null {
  if (pid === null || cpu === null) return null;
  const before = times.get(pid);
  if (before === undefined) {
    times.set(pid, { cpu, at: now });
    return null;
  }
  if (now - before.at < SHORTEST) return null;
  times.set(pid, { cpu, at: now });
  return Math.round(((cpu - before.cpu) / (now - before.at)) * 1000) / 10;
}
