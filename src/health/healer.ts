// Looks again and again whether a supervised family is in order, and has its supervisor start again what is not.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ControlClient } from '../supervise/control-client.js';
import type { SupervisorStatus } from '../supervise/status.js';
import { HEALTHY, type Patient, type Treatment, treat } from './heal.js';
import { failuresOf } from './view.js';

/** What is looked at. */
export type HealCheck =
  /** What each worker reports: its checks, and that it reports at all. */
  | { kind: 'workers' }
  /** An answer with code 2xx. */
  | { kind: 'http'; url: string }
  /** Exit code 0. */
  | { kind: 'command'; argv: readonly string[] };

/** Times are in ms. */
export interface HealSettings extends Treatment {
  check: HealCheck;
  interval: number;
  /** How long a check may take. */
  timeout: number;
}

/** The number of all workers together. */
const ALL = 0;

export async function heal(
  settings: HealSettings,
  connect: () => Promise<ControlClient>,
): Promise<never> {
  const patients = new Map<number, Patient>();
  for (;;) {
    await sleep(settings.interval);
    try {
      const client = await connect();
      await look(settings, client, patients);
    } catch {
      // The supervisor does not answer: there is nobody who could restart anything.
    }
  }
}

async function look(
  settings: HealSettings,
  client: ControlClient,
  patients: Map<number, Patient>,
): Promise<void> {
  const { check, cooldown, retries } = settings;
  const status = await client.status();
  // Nobody is sick while another image takes over, or all ends.
  if (status.phase !== 'running' || status.image.number === 0) return;
  const seen =
    check.kind === 'workers' ? workersIn(status, cooldown) : [await lookAtAll(settings, status)];
  for (const [id, error] of seen.filter((it) => it !== undefined)) {
    const [patient, verdict] = treat(
      patients.get(id) ?? HEALTHY,
      error === undefined,
      performance.now(),
      settings,
    );
    patients.set(id, patient);
    if (verdict === 'restart') {
      const sick = id === ALL ? status.workers.map((worker) => worker.id) : [id];
      for (const worker of sick) await client.restart(worker, error);
    } else if (verdict === 'give up') {
      const who = id === ALL ? 'the service' : `worker ${id}`;
      await client.giveUp(`${who} fails its check after ${retries} restarts, too: ${error}`);
      return;
    }
  }
}

type Seen = readonly [id: number, error: string | undefined];

/** Those that serve: to start the others is the supervisor's own task. */
function workersIn({ workers }: SupervisorStatus, cooldown: number): Seen[] {
  return workers
    .filter(
      ({ state, healthAge, uptime }) =>
        state === 'ready' && (healthAge !== null || (uptime ?? 0) > cooldown),
    )
    .map((worker) => [worker.id, failuresOf(worker)]);
}

/** @returns undefined: it is not known, as nobody serves yet */
async function lookAtAll(
  settings: HealSettings,
  { workers }: SupervisorStatus,
): Promise<Seen | undefined> {
  if (!workers.some(({ state }) => state === 'ready' || state === 'replacing')) return undefined;
  try {
    const { check, timeout } = settings;
    if (check.kind === 'http') await askHttp(check.url, timeout);
    if (check.kind === 'command') await run(check.argv, timeout);
    return [ALL, undefined];
  } catch (error) {
    return [ALL, (error as Error).message];
  }
}

async function askHttp(url: string, timeout: number): Promise<void> {
  let response: Response;
  try {
    response = await fetch(url, { signal: AbortSignal.timeout(timeout), redirect: 'manual' });
  } catch (error) {
    const { name, message, cause } = error as Error;
    const late = name === 'TimeoutError';
    const why = late ? `not answered within ${timeout} ms` : ((cause as Error)?.message ?? message);
    throw new Error(`${url}: ${why}`);
  }
  await response.body?.cancel();
  if (!response.ok) throw new Error(`${url} answered with ${response.status}`);
}

/** What has not ended in time is killed, with all that it has started. */
async function run([program, ...args]: readonly string[], timeout: number): Promise<void> {
  const child = spawn(program!, args, { stdio: ['ignore', 'ignore', 'inherit'], detached: true });
  const timer = setTimeout(() => process.kill(-child.pid!, 'SIGKILL'), timeout);
  try {
    const [code, signal] = (await once(child, 'exit')) as [number | null, string | null];
    if (code !== 0) throw new Error(`${program} ended with ${signal ?? `code ${code}`}`);
  } finally {
    clearTimeout(timer);
  }
}
