// Rules for a process from the wish that it end until it is gone.

import { replaced, replacementFailed } from './replacements.js';
import { restartOrNot } from './restarts.js';
import { after, never, successorOf } from './slot.js';
import type { Cause, Outcome, Slot, WorkerProcess } from './state.js';
import type { Transition } from './transition.js';

export function askToEnd(t: Transition, slot: Slot, process: WorkerProcess, cause: Cause): void {
  const { stopSignal, stopTimeout } = t.state.limits;
  const signal = cause === 'watchdog' ? 'SIGABRT' : stopSignal;
  process.phase = 'stopping';
  process.cause = cause;
  process.deadline = after(t.now, stopTimeout);
  t.tell({ event: 'end', worker: slot.id, pid: process.pid, cause, signal });
  t.act({ type: 'signal', pid: process.pid, signal });
  if (process.role !== 'successor') return;
  process.role = 'retired';
  replacementFailed(t, slot);
}

export function kill(t: Transition, slot: Slot, process: WorkerProcess): void {
  process.phase = 'killing';
  process.deadline = never;
  t.tell({ event: 'kill', worker: slot.id, pid: process.pid });
  t.act({ type: 'kill', pid: process.pid });
}

/** One that is being ended for a fault of its own is ended on request from now on. */
export function changeCause(
  _t: Transition,
  _slot: Slot,
  process: WorkerProcess,
  { cause }: { cause: Cause },
): void {
  process.cause = cause;
}

export function exited(
  t: Transition,
  slot: Slot,
  process: WorkerProcess,
  { outcome, random }: { outcome: Outcome; random: number },
): void {
  const { pid, role, since } = process;
  const uptime = Math.round(t.now - since);
  const cause = process.cause ?? 'itself';
  slot.processes.splice(slot.processes.indexOf(process), 1);
  t.tell({ event: 'exit', worker: slot.id, pid, uptime, cause, ...outcome });
  if (role === 'successor') replacementFailed(t, slot);
  if (role === 'main') mainExited(t, slot, process, { uptime, outcome, random });
}

function mainExited(
  t: Transition,
  slot: Slot,
  process: WorkerProcess,
  { uptime, outcome, random }: { uptime: number; outcome: Outcome; random: number },
): void {
  slot.lastExit = outcome;
  if (t.state.phase !== 'running' || !slot.wanted) return;
  const successor = successorOf(slot);
  if (successor !== undefined) {
    successor.role = 'main';
    replaced(t, slot);
  } else if (process.cause === 'restart') {
    slot.startAt = t.now;
  } else {
    // Told to end for a fault, it may end well: that is no reason to leave it down.
    const isFault = process.cause === 'unhealthy';
    const healthy = uptime >= t.state.limits.minUptime && process.wasReady;
    restartOrNot(t, slot, { healthy, isFault, outcome, random });
  }
}
