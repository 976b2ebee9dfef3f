// A supervisor's workers, as people read them.

import colors from 'picocolors';
import type { SupervisorStatus, WorkerStatus } from '../supervise/status.js';
import { clean, duration, size, table } from './output.js';

const COLOURS: Readonly<Record<string, (text: string) => string>> = {
  ready: colors.green,
  down: colors.red,
};

/** `web: 2 of 3 workers ready, 5 restarts, running for 2 h` */
export function headline(label: string, supervisor: SupervisorStatus): string {
  const { workers, restarts, phase, uptime, pid } = supervisor;
  const ready = workers.filter(({ state }) => state === 'ready' || state === 'replacing').length;
  const facts = [
    `${ready} of ${count(workers.length, 'worker')} ready`,
    count(restarts, 'restart'),
    `pid ${clean(String(pid))}`,
    `${clean(String(phase))} for ${duration(uptime)}`,
  ];
  return `${colors.bold(label)}: ${facts.join(', ')}`;
}

/** `1 worker`, `2 workers` */
export const count = (amount: number, what: string) =>
  `${amount} ${what}${amount === 1 ? '' : 's'}`;

/**
 * A line for each worker, below a line of titles.
 * @param before an earlier answer: CPU is what was used since, not since the start of the worker
 */
export function workerTable(supervisor: SupervisorStatus, before?: SupervisorStatus): string {
  const workers = supervisor.workers.toSorted((one, other) => one.id - other.id);
  const titles = ['WORKER', 'PID', 'STATE', 'UPTIME', 'RESTARTS', 'RSS', 'CPU', 'LAST EXIT'];
  const talks = workers.some(({ status }) => status !== null);
  const rows = workers.map((worker) => {
    const { id, pid, uptime, restarts, rss, lastExit, status } = worker;
    const cpu = load(worker, before?.workers);
    const cells = [
      String(id),
      or(pid, String),
      stateOf(worker),
      or(uptime, duration),
      String(restarts),
      or(rss, size),
      or(cpu, (percent) => `${percent.toFixed(1)} %`),
      or(lastExit, String),
      ...(talks ? [or(status, String)] : []),
    ].map(clean);
    // What it says may be another user's words; colours are ours.
    const colour = COLOURS[worker.state] ?? colors.yellow;
    return cells.map((cell, column) => (titles[column] === 'STATE' ? colour(cell) : cell));
  });
  return table([[...titles, ...(talks ? ['STATUS'] : [])].map(colors.bold), ...rows]);
}

function or<T>(value: T | null, print: (value: T) => string): string {
  return value === null ? '-' : print(value);
}

function stateOf({ state, startsIn }: WorkerStatus): string {
  return state === 'waiting' && startsIn !== null ? `waiting ${duration(startsIn)}` : state;
}

/** The kernel counts in ticks of 10 ms: of a shorter time nothing can be said. */
const SHORTEST = 100;

/** In percent of one processor. */
function load(worker: WorkerStatus, before: readonly WorkerStatus[] = []): number | null {
  const past = before.find(({ pid, generation }) => {
    return pid === worker.pid && generation === worker.generation;
  });
  const { cpu, uptime } = worker;
  if (cpu === null || uptime === null) return null;
  const time = uptime - (past?.uptime ?? 0);
  return time < SHORTEST ? null : ((cpu - (past?.cpu ?? 0)) / time) * 100;
}
