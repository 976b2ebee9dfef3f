// What follows from the state as it is now, whatever the event was.

import { startReplacement } from './replacements.js';
import { isIdle, lastCode, mainOf } from './slot.js';
import type { Transition } from './transition.js';

export function drawConsequences(t: Transition): void {
  t.state.slots = t.state.slots.filter((slot) => slot.wanted || !isIdle(slot));
  if (t.state.phase === 'running') {
    startWhatIsDue(t);
    startReplacement(t);
    finishRecycle(t);
    announce(t);
  }
  finish(t);
}

function startWhatIsDue(t: Transition): void {
  for (const slot of t.state.slots) if (slot.startAt <= t.now && !slot.forking) t.fork(slot);
}

function finishRecycle(t: Transition): void {
  const { state } = t;
  if (!state.recycling || state.replacements.some(({ reason }) => reason === 'recycle')) return;
  state.recycling = false;
  t.tell({ event: 'recycled' });
}

function announce(t: Transition): void {
  const { state } = t;
  if (state.announced || state.slots.length === 0) return;
  if (!state.slots.every((slot) => mainOf(slot)?.phase === 'ready')) return;
  state.announced = true;
  t.tell({ event: 'serving', workers: state.slots.length });
  t.act({ type: 'announce' });
}

/** It is over when nothing runs and nothing will. Scaled to none, it waits for orders. */
function finish(t: Transition): void {
  const { state } = t;
  if (!state.slots.every(isIdle)) return;
  if (state.phase === 'parked') {
    if (!state.vacated) t.act({ type: 'parked' });
    state.vacated = true;
    return;
  }
  if (state.phase === 'running') {
    if (state.slots.length === 0) return;
    state.exitCode = state.slots.map(lastCode).find((code) => code !== 0) ?? 0;
  }
  state.phase = 'ended';
  t.tell({ event: 'stopped', code: state.exitCode });
  t.act({ type: 'exit', code: state.exitCode });
}
