// What the endpoints answer: of a process, or of a supervisor and its workers.

import type { SupervisorStatus, WorkerStatus } from '../supervise/status.js';
import type { CheckResult } from './checks.js';
import type { ProcessReport, WorkerReport } from './report.js';

/** What was seen. */
export type Sight =
  | { kind: 'process'; report: ProcessReport }
  /** `reports`: whether its workers say how they are. */
  | { kind: 'service'; reports: boolean; status: SupervisorStatus }
  /** The supervisor does not answer. */
  | { kind: 'lost'; error: string };

/** A reason to be in order, or not. */
export interface Finding {
  name: string;
  ok: boolean;
  error?: string;
}

/** Whether it is to be started again if it is not in order: for /livez. */
export function lifeSigns(sight: Sight): Finding[] {
  switch (sight.kind) {
    case 'process':
      return [{ name: 'event loop', ok: true }];
    case 'lost':
      return [{ name: 'supervisor', ok: false, error: sight.error }];
    case 'service':
      return [{ name: 'supervisor', ok: true }];
  }
}

/** Whether it can be given work: for /readyz. */
export function readiness(sight: Sight): Finding[] {
  if (sight.kind === 'process') return checksOf(sight.report.checks, '');
  if (sight.kind === 'lost') return lifeSigns(sight);
  const { workers, image } = sight.status;
  const findings: Finding[] = workers.flatMap((worker) => {
    const name = `worker ${worker.id}`;
    const report = worker.health as WorkerReport | null;
    // One that is being replaced serves until its successor does.
    const serves = worker.state === 'ready' || worker.state === 'replacing';
    const state = serves
      ? { name, ok: true }
      : { name, ok: false, error: whyNot(worker.state, worker.lastExit) };
    if (!serves || !sight.reports) return [state];
    return [state, ...oldReport(worker), ...checksOf(report?.checks ?? {}, `${name}, `)];
  });
  if (image.number === 0) findings.push({ name: 'image', ok: false, error: 'being started again' });
  if (workers.length === 0) findings.push({ name: 'workers', ok: false, error: 'there are none' });
  return findings;
}

/** A worker that is stuck says nothing, and what it has said before is no answer. */
function oldReport({ id, health, healthAge }: WorkerStatus): Finding[] {
  const name = `worker ${id}, report`;
  if (healthAge === null) return [{ name, ok: false, error: 'none has come yet' }];
  if (healthAge <= (health as WorkerReport).holds) return [];
  return [{ name, ok: false, error: `the last one came ${healthAge} ms ago` }];
}

/** Why a worker that serves is not in order; undefined: it is. */
export function failuresOf(worker: WorkerStatus): string | undefined {
  const report = worker.health as WorkerReport | null;
  const failing = [...oldReport(worker), ...checksOf(report?.checks ?? {}, '')].filter(
    ({ ok }) => !ok,
  );
  if (failing.length === 0) return undefined;
  return failing
    .map(({ name, error }) =>
      name.endsWith(', report') ? `its last report: ${error}` : `${name}: ${error}`,
    )
    .join('; ');
}

function whyNot(state: string, lastExit: string | null): string {
  return lastExit === null ? state : `${state}; the last one ${lastExit}`;
}

function checksOf(checks: Record<string, CheckResult>, prefix: string): Finding[] {
  return Object.entries(checks).map(([name, { ok, error }]) => ({
    name: prefix + name,
    ok,
    ...(error === undefined ? {} : { error }),
  }));
}

/** For /healthz. */
export function overview(sight: Sight): object {
  const findings = readiness(sight);
  const isLive = lifeSigns(sight).every(({ ok }) => ok);
  const status = !isLive ? 'down' : findings.every(({ ok }) => ok) ? 'ok' : 'degraded';
  switch (sight.kind) {
    case 'process':
      return { status, pid: process.pid, uptime: process.uptime() * 1000, ...sight.report };
    case 'service':
      return { status, ...sight.status };
    case 'lost':
      return { status, error: sight.error };
  }
}
