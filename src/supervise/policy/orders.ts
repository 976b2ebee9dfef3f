// What people and programs ask of a supervisor.

import { requestReplacement } from './replacements.js';
import { emptySlot, mainOf, never, slotOf } from './slot.js';
import type { Cause, Slot } from './state.js';
import type { Transition } from './transition.js';

/** Ends all workers, and the supervisor when they are gone. */
export function stop(t: Transition, code: number): void {
  t.state.phase = 'stopping';
  t.state.exitCode = code;
  t.state.replacements = [];
  t.state.recycling = false;
  for (const slot of t.state.slots) {
    slot.startAt = never;
    endProcesses(t, slot, 'stop');
  }
}

/** @param by who wants it */
export function stopOnRequest(t: Transition, { by }: { by: string }): void {
  t.tell({ event: 'stop', by });
  stop(t, 0);
}

/** A stop that does not wait for workers to end by themselves. */
export function stopAtOnce(t: Transition, event: { by: string }): void {
  if (t.state.phase !== 'stopping') stopOnRequest(t, event);
  for (const slot of t.state.slots) {
    for (const process of slot.processes) {
      if (process.phase === 'stopping') t.happen(slot, process, { type: 'overdue' });
    }
  }
}

export function restartAll(t: Transition): void {
  t.state.replacements = [];
  for (const slot of t.state.slots) {
    slot.failures = [];
    if (mainOf(slot) === undefined) slot.startAt = t.now;
    endProcesses(t, slot, 'restart');
  }
}

/** One worker alone. One that is down is started. */
export function restartOne(
  t: Transition,
  { id, error }: { id: number; error: string | undefined },
): void {
  const slot = slotOf(t.state, id);
  if (slot === undefined || !slot.wanted) return;
  const main = mainOf(slot);
  if (error !== undefined) {
    // What is not there, or ends already, is seen to.
    if (main?.phase !== 'ready') return;
    t.tell({ event: 'unhealthy', worker: id, pid: main.pid, error });
    t.happen(slot, main, { type: 'end', cause: 'unhealthy' });
    return;
  }
  slot.failures = [];
  if (main === undefined && !slot.forking) slot.startAt = t.now;
  endProcesses(t, slot, 'restart');
}

/** Somebody who looks after the workers sees no way to help them. */
export function giveUpOnRequest(t: Transition, { error }: { error: string }): void {
  const code = t.state.limits.giveUpCode;
  t.tell({ event: 'gave-up', error, code });
  stop(t, code);
}

export function recycle(t: Transition): void {
  t.state.recycling = true;
  for (const slot of t.state.slots) requestReplacement(t, slot, 'recycle');
}

/** Another image serves: these workers end, the supervisor stays. */
export function park(t: Transition): void {
  t.state.phase = 'parked';
  t.state.vacated = false;
  t.state.replacements = [];
  t.state.recycling = false;
  for (const slot of t.state.slots) {
    slot.startAt = never;
    endProcesses(t, slot, 'replaced');
  }
}

/** This image serves again, also while workers of before are on their way out. */
export function resume(t: Transition): void {
  t.state.phase = 'running';
  t.state.announced = false;
  for (const slot of t.state.slots) {
    for (const process of slot.processes) process.role = 'retired';
    slot.failures = [];
    if (!slot.forking) slot.startAt = t.now;
  }
}

export function scale(t: Transition, event: { workers: number }): void {
  const from = t.state.slots.filter(({ wanted }) => wanted).length;
  t.tell({ event: 'scale', from, to: event.workers });
  for (const slot of t.state.slots) {
    if (slot.id > event.workers && slot.wanted) removeWorker(t, slot);
  }
  haveWorkers(t, event);
}

function removeWorker(t: Transition, slot: Slot): void {
  slot.wanted = false;
  t.state.replacements = t.state.replacements.filter(({ id }) => id !== slot.id);
  slot.startAt = never;
  endProcesses(t, slot, 'scale');
}

/** Has workers up to this number. One that was on its way out comes back as a new process. */
export function haveWorkers(t: Transition, { workers }: { workers: number }): void {
  for (let id = 1; id <= workers; id++) {
    const slot = slotOf(t.state, id);
    if (slot === undefined) t.state.slots.push(emptySlot(id, t.now));
    else if (!slot.wanted) {
      slot.wanted = true;
      if (mainOf(slot) === undefined) slot.startAt = t.now;
      endProcesses(t, slot, 'restart');
    }
  }
}

function endProcesses(t: Transition, slot: Slot, cause: Cause): void {
  for (const process of slot.processes) {
    if (process.role !== 'retired') t.happen(slot, process, { type: 'end', cause });
  }
}
