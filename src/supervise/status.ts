// What a supervisor answers when it is asked how things are.

import type { Slot, State } from './policy/state.js';
import { processorTime, residentMemory } from './proc.js';
import type { PublishedStatus } from './published.js';
import type { WorkerReports } from './reports.js';

/** A worker as others see it. Times in ms, memory in bytes; null: there is no process. */
export interface WorkerStatus {
  id: number;
  pid: number | null;
  state: 'starting' | 'ready' | 'replacing' | 'stopping' | 'waiting' | 'down';
  uptime: number | null;
  restarts: number;
  generation: number;
  rss: number | null;
  cpu: number | null;
  /** How its last process ended, and why. */
  lastExit: string | null;
  /** What it says that it does. */
  status: string | null;
  /** Until it is started again, in state `waiting`. */
  startsIn: number | null;
  /** What doublefork/health says of it, if the program has called that. */
  health: unknown;
  /** How long ago it said that. */
  healthAge: number | null;
}

/** An image of the program, by its number (the first one is 1) and the process of its supervisor. */
export interface ImageStatus {
  number: number;
  pid: number;
}

export interface SupervisorStatus {
  /** The service's, which never changes. */
  pid: number;
  /** The one that serves; number 0: it was killed, and is being started again. */
  image: ImageStatus;
  /** The one before, to which a rollback leads; null: there is none. */
  previous: ImageStatus | null;
  phase: State['phase'];
  uptime: number;
  restarts: number;
  rss: number | null;
  /** How many processes of workers ended in which way. */
  exits: Record<string, number>;
  /** The last error that ended a worker. */
  lastError: string | null;
  workers: WorkerStatus[];
  /** The processes that were forked ahead and wait to become workers. */
  spares: number[];
  /** What loadConfig() of doublefork/config has read. */
  config: PublishedStatus[];
}

export function statusOf(
  state: State,
  now: number,
  since: number,
  reports: WorkerReports,
): Omit<SupervisorStatus, 'spares' | 'config'> {
  return {
    pid: process.pid,
    image: { number: 1, pid: process.pid },
    previous: null,
    phase: state.phase,
    uptime: Math.round(now - since),
    restarts: state.restarts,
    rss: residentMemory(process.pid) ?? null,
    exits: reports.exits,
    lastError: reports.lastError ?? null,
    workers: state.slots.map((slot) => workerStatus(slot, now, reports)),
  };
}

function workerStatus(slot: Slot, now: number, reports: WorkerReports): WorkerStatus {
  const { id, restarts, generation, processes } = slot;
  const current = processes.find(({ role }) => role === 'main') ?? processes[0];
  const pid = current?.pid ?? null;
  const health = pid === null ? undefined : reports.healthOf(pid);
  return {
    id,
    pid,
    state: wordFor(slot),
    uptime: current === undefined ? null : Math.round(now - current.since),
    restarts,
    generation,
    rss: pid === null ? null : (residentMemory(pid) ?? null),
    cpu: pid === null ? null : (processorTime(pid) ?? null),
    lastExit: reports.lastExitOf(id) ?? null,
    status: pid === null ? null : (reports.statusOf(pid) ?? null),
    startsIn: Number.isFinite(slot.startAt) ? Math.max(0, Math.round(slot.startAt - now)) : null,
    health: health?.value ?? null,
    healthAge: health === undefined ? null : Math.round(now - health.at),
  };
}

function wordFor({ processes, startAt, forking }: Slot): WorkerStatus['state'] {
  const main = processes.find(({ role }) => role === 'main');
  if (main === undefined) {
    if (processes.length > 0) return 'stopping';
    return forking || Number.isFinite(startAt) ? 'waiting' : 'down';
  }
  if (main.phase === 'stopping' || main.phase === 'killing') return 'stopping';
  return processes.some(({ role }) => role === 'successor') ? 'replacing' : main.phase;
}
