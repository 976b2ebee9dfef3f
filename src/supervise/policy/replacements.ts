// Workers that serve, replaced one after the other: each goes on until its successor is ready.

import { mainOf, never, slotOf, successorOf } from './slot.js';
import type { ReplacementReason, Slot, WorkerProcess } from './state.js';
import type { Transition } from './transition.js';

/** Puts a worker in line. */
export function requestReplacement(t: Transition, slot: Slot, reason: ReplacementReason): void {
  if (t.state.replacements.some(({ id }) => id === slot.id)) return;
  t.state.replacements.push({ id: slot.id, reason });
}

export function replaceForAge(t: Transition, slot: Slot, process: WorkerProcess): void {
  process.expires = never;
  requestReplacement(t, slot, 'lifetime');
}

/** Starts the successor of the first in line, unless it has one. */
export function startReplacement(t: Transition): void {
  const { replacements } = t.state;
  for (let next = replacements[0]; next !== undefined; next = replacements[0]) {
    const slot = slotOf(t.state, next.id);
    if (slot !== undefined && successorOf(slot) !== undefined) return;
    const main = slot && mainOf(slot);
    if (slot !== undefined && main?.phase === 'ready') {
      if (!slot.forking) replace(t, slot, main, next.reason);
      return;
    }
    // Its next process is a new one anyway, or there is none to come.
    replacements.shift();
  }
}

function replace(
  t: Transition,
  slot: Slot,
  { pid }: WorkerProcess,
  reason: ReplacementReason,
): void {
  t.tell({ event: 'replace', worker: slot.id, pid, reason });
  t.fork(slot);
}

export function replaced(t: Transition, slot: Slot): void {
  t.state.replacements = t.state.replacements.filter(({ id }) => id !== slot.id);
}

/** The old one goes on serving. What fails for one worker is not tried on the others. */
export function replacementFailed(t: Transition, slot: Slot): void {
  const failed = t.state.replacements.find(({ id }) => id === slot.id);
  if (failed === undefined) return;
  const { reason } = failed;
  t.state.replacements = t.state.replacements.filter(
    (other) => other !== failed && (reason !== 'recycle' || other.reason !== 'recycle'),
  );
  if (reason === 'recycle') t.state.recycling = false;
  t.tell({ event: 'replacement-failed', worker: slot.id, reason });
  slot.replaceAfter = t.now + t.state.limits.backoff.max;
  const main = mainOf(slot);
  if (main !== undefined && reason === 'lifetime') main.expires = slot.replaceAfter;
}
