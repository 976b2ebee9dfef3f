// A worker's process has ended by itself, or for a fault of its own: whether and when it is started
// again.

import { stop } from './orders.js';
import type { Limits, Outcome, Slot } from './state.js';
import type { Transition } from './transition.js';

/** Without a limit failures are counted for the backoff only, which has grown to its end by then. */
const FAILURES_KEPT = 100;

export function restartOrNot(
  t: Transition,
  slot: Slot,
  {
    healthy,
    isFault,
    outcome,
    random,
  }: { healthy: boolean; isFault: boolean; outcome: Outcome; random: number },
): void {
  const { limits } = t.state;
  const { restart, maxRestarts, maxFailures } = limits;
  countFailure(t, slot, healthy);
  const failures = slot.failures.length;
  if (restart === 'never' || (restart === 'on-failure' && outcome.exitCode === 0 && !isFault)) {
    leaveDown(t, slot);
  } else if (maxFailures > 0 && failures > maxFailures) {
    giveUp(t, slot);
  } else if (maxRestarts > 0 && t.state.restarts >= maxRestarts) {
    leaveDown(t, slot);
  } else {
    startAgain(t, slot, healthy ? 0 : restartDelay(limits, failures, random));
  }
}

function countFailure(t: Transition, slot: Slot, healthy: boolean): void {
  const { failureWindow, maxFailures } = t.state.limits;
  if (failureWindow > 0) {
    slot.failures = slot.failures.filter((at) => at > t.now - failureWindow);
  } else if (healthy) {
    slot.failures = [];
  }
  if (!healthy) slot.failures.push(t.now);
  const kept = maxFailures === 0 ? FAILURES_KEPT : maxFailures + 1;
  if (slot.failures.length > kept) slot.failures.shift();
}

/** In ms, after so many failures in a row. */
export function restartDelay({ backoff }: Limits, failures: number, random: number): number {
  const { initial, factor, max, jitter } = backoff;
  const delay = initial === 0 ? 0 : Math.min(max, initial * factor ** (failures - 1));
  return Math.round(delay * (1 + jitter * (2 * random - 1)));
}

function startAgain(t: Transition, slot: Slot, delay: number): void {
  t.state.restarts++;
  slot.restarts++;
  slot.startAt = t.now + delay;
  if (delay === 0) return;
  t.tell({ event: 'backoff', worker: slot.id, delay, failures: slot.failures.length });
}

function leaveDown(t: Transition, slot: Slot): void {
  t.tell({ event: 'done', worker: slot.id, restarts: slot.restarts });
}

function giveUp(t: Transition, slot: Slot): void {
  const { giveUpCode } = t.state.limits;
  t.tell({ event: 'give-up', worker: slot.id, failures: slot.failures.length, code: giveUpCode });
  stop(t, giveUpCode);
}
