// What a worker uses, held against its limits. An alarm is raised when a limit was passed so many times
// in a row, and is over only well below it: what swings around a limit is told once.

import { requestReplacement } from './replacements.js';
import type { Gauge, Resource, Slot, UsageLimit, WorkerProcess } from './state.js';
import type { Transition } from './transition.js';

export const UNUSED: Gauge = { warned: 0, exceeded: 0, raised: false };

/** Below this part of its limit an alarm is over. */
const RELIEF = 0.9;

/**
 * How often in a row it takes. A worker that is warned of its memory collects garbage first; one moment of
 * work is no use of the processor, and one slow turn no slow event loop.
 */
const IN_A_ROW: Readonly<Record<Resource, { warn: number; replace: number }>> = {
  memory: { warn: 2, replace: 1 },
  cpu: { warn: 3, replace: 3 },
  'event-loop delay': { warn: 2, replace: 2 },
  descriptors: { warn: 1, replace: 1 },
};

/** One more value. @returns how the gauge is then, and what follows */
export function judge(
  resource: Resource,
  { warn, replace }: UsageLimit,
  { warned, exceeded, raised }: Gauge,
  value: number,
): Gauge & { change: 'raised' | 'over' | undefined; isExcessive: boolean } {
  const needed = IN_A_ROW[resource];
  const next = {
    warned: warn > 0 && value > warn ? Math.min(warned + 1, needed.warn) : 0,
    exceeded: replace > 0 && value > replace ? Math.min(exceeded + 1, needed.replace) : 0,
  };
  const isRaised = raised ? value > warn * RELIEF : next.warned >= needed.warn;
  return {
    ...next,
    raised: isRaised,
    change: isRaised === raised ? undefined : isRaised ? 'raised' : 'over',
    isExcessive: next.exceeded >= needed.replace,
  };
}

export function checkUsage(
  t: Transition,
  slot: Slot,
  process: WorkerProcess,
  { resource, value }: { resource: Resource; value: number },
): void {
  const limit = t.state.limits.usage[resource];
  if (process.role !== 'main') return;
  const { change, isExcessive, ...gauge } = judge(
    resource,
    limit,
    process.gauges[resource] ?? UNUSED,
    value,
  );
  process.gauges[resource] = gauge;
  const { pid } = process;
  const about = { worker: slot.id, pid, resource, value, limit: limit.warn };
  if (change === 'raised') t.tell({ event: 'alarm', ...about });
  if (change === 'over') t.tell({ event: 'alarm-over', ...about });
  if (isExcessive && t.now >= slot.replaceAfter) requestReplacement(t, slot, resource);
}
