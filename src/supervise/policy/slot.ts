// What can be said of a worker and its processes.

import { constants } from '../../builtin/os.js';
import type { Slot, State, WorkerProcess } from './state.js';

export const never = Number.POSITIVE_INFINITY;

/** So long from now; 0 means without limit. */
export function after(now: number, span: number): number {
  return span === 0 ? never : now + span;
}

export function emptySlot(id: number, startAt: number): Slot {
  return {
    id,
    wanted: true,
    processes: [],
    generation: 0,
    restarts: 0,
    failures: [],
    startAt,
    forking: false,
    refusals: 0,
    replaceAfter: 0,
    lastExit: undefined,
  };
}

export function slotOf(state: State, id: number): Slot | undefined {
  return state.slots.find((slot) => slot.id === id);
}

export function mainOf(slot: Slot): WorkerProcess | undefined {
  return slot.processes.find(({ role }) => role === 'main');
}

export function successorOf(slot: Slot): WorkerProcess | undefined {
  return slot.processes.find(({ role }) => role === 'successor');
}

/** When a process is to be replaced for its age: only one that serves is. */
export function expiryOf({ phase, role, expires }: WorkerProcess): number {
  return phase === 'ready' && role === 'main' ? expires : never;
}

/** Nothing of it runs and nothing will. */
export function isIdle({ processes, forking, startAt }: Slot): boolean {
  return processes.length === 0 && !forking && startAt === never;
}

/** Every worker serves that is to, and nobody comes or goes. */
export function isSettled({ phase, announced, replacements, slots }: State): boolean {
  if (phase !== 'running' || !announced || replacements.length > 0 || slots.length === 0)
    return false;
  return slots.every(
    ({ processes, forking, startAt }) =>
      processes.length <= 1 &&
      processes.every((process) => process.phase === 'ready') &&
      !forking &&
      startAt === never,
  );
}

/** How its last process ended, as a shell tells it. */
export function lastCode({ lastExit }: Slot): number {
  if (lastExit === undefined) return 0;
  const { exitCode, signal } = lastExit;
  return exitCode ?? 128 + (constants.signals[signal!] ?? 0);
}
