// Rules for a process from its fork until it serves.

import { replaced, replacementFailed } from './replacements.js';
import { restartDelay } from './restarts.js';
import { after, mainOf, never, slotOf } from './slot.js';
import type { Limits, Slot, WorkerProcess } from './state.js';
import type { Transition } from './transition.js';

/** The kernel would refuse it again at once, and again, with no time for anything else between. */
const LEAST_DELAY_OF_A_REFUSED_FORK = 100;

export function forked(t: Transition, event: { id: number; pid: number; random: number }): void {
  const { limits, phase } = t.state;
  const slot = slotOf(t.state, event.id)!;
  const process = newProcess(slot, t.now, limits, event);
  slot.forking = false;
  slot.startAt = never;
  slot.refusals = 0;
  slot.processes.push(process);
  t.tell({ event: 'start', worker: slot.id, pid: process.pid, generation: process.generation });
  // What was wanted may have changed between the request for it and this.
  if (phase === 'stopping') t.happen(slot, process, { type: 'end', cause: 'stop' });
  else if (phase === 'parked') t.happen(slot, process, { type: 'end', cause: 'replaced' });
  else if (!slot.wanted) t.happen(slot, process, { type: 'end', cause: 'scale' });
  else if (!limits.arrives) t.happen(slot, process, { type: 'arrived' });
}

function newProcess(
  slot: Slot,
  now: number,
  { readyTimeout, maxLifetime, lifetimeJitter }: Limits,
  { pid, random }: { pid: number; random: number },
): WorkerProcess {
  const lifetime = maxLifetime * (1 + lifetimeJitter * (2 * random - 1));
  return {
    pid,
    generation: slot.generation,
    phase: 'starting',
    role: mainOf(slot) === undefined ? 'main' : 'successor',
    since: now,
    wasReady: false,
    cause: undefined,
    deadline: after(now, readyTimeout),
    expires: maxLifetime === 0 ? never : now + lifetime,
    gauges: {},
  };
}

/** The kernel refused the fork. */
export function unforked(
  t: Transition,
  { id, code, random }: { id: number; code: string; random: number },
): void {
  const slot = slotOf(t.state, id)!;
  slot.forking = false;
  slot.refusals++;
  if (slot.refusals === 1) t.tell({ event: 'refused', worker: id, code });
  if (mainOf(slot) !== undefined) replacementFailed(t, slot);
  else if (t.state.phase === 'running' && slot.wanted) {
    const delay = restartDelay(t.state.limits, slot.refusals, random);
    slot.startAt = t.now + Math.max(delay, LEAST_DELAY_OF_A_REFUSED_FORK);
  }
}

/** The program has reached supervise(). */
export function arrived(t: Transition, slot: Slot, process: WorkerProcess): void {
  process.since = t.now;
  if (!t.state.limits.manualReady) t.happen(slot, process, { type: 'ready' });
}

export function becameReady(t: Transition, slot: Slot, process: WorkerProcess): void {
  process.phase = 'ready';
  process.wasReady = true;
  resetWatchdog(t, slot, process);
  const elapsed = Math.round(t.now - process.since);
  t.tell({ event: 'ready', worker: slot.id, pid: process.pid, after: elapsed });
  if (process.role === 'successor') takeOver(t, slot, process);
}

function takeOver(t: Transition, slot: Slot, successor: WorkerProcess): void {
  const old = mainOf(slot)!;
  successor.role = 'main';
  old.role = 'retired';
  t.happen(slot, old, { type: 'end', cause: 'replaced' });
  replaced(t, slot);
}

export function resetWatchdog(t: Transition, _slot: Slot, process: WorkerProcess): void {
  process.deadline = after(t.now, t.state.limits.watchdog);
}
