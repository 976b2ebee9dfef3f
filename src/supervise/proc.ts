// What /proc says about workers. Elsewhere nothing is known of them.

import { readdirSync } from '../builtin/fs.js';
import { readProc, statFields } from '../posix/processes.js';

/** The children of this process; undefined where the kernel does not list them. */
export function ownChildren(): number[] | undefined {
  const list = readProc(`/proc/self/task/${process.pid}/children`);
  return list?.split(' ').filter(Boolean).map(Number);
}

/** Resident memory, in bytes. */
export function residentMemory(pid: number): number | undefined {
  const line = readProc(`/proc/${pid}/status`)?.match(/^VmRSS:\s+(\d+) kB$/m);
  return line ? Number(line[1]) * 1024 : undefined;
}

/** Whether there is room for one more copy of this process, if all of it came to differ. */
export function enoughMemory(): boolean {
  const available = process.availableMemory?.() ?? Number.POSITIVE_INFINITY;
  return available >= (residentMemory(process.pid) ?? 0);
}

/** Open descriptors, as a part of the soft limit; undefined: it is another user's. */
export function descriptorShare(pid: number): number | undefined {
  const limit = readProc(`/proc/${pid}/limits`)?.match(/^Max open files\s+(\d+)/m)?.[1];
  if (limit === undefined) return undefined;
  try {
    return readdirSync(`/proc/${pid}/fd`).length / Number(limit);
  } catch {
    return undefined;
  }
}

/** The kernel's unit of time in /proc, the same on every architecture that Node runs on. */
const TICKS_PER_SECOND = 100;

/** Processor time used, in ms. */
export function processorTime(pid: number): number | undefined {
  const fields = statFields(pid);
  return fields && ((Number(fields[11]) + Number(fields[12])) * 1000) / TICKS_PER_SECOND;
}

/**
 * How many processes the kernel has killed for want of memory: in our cgroup, or on the machine where
 * that is all that can be known.
 */
export function outOfMemoryKills(): number {
  const groups = readProc('/proc/self/cgroup') ?? '';
  const v2 = groups.match(/^0::(.*)$/m)?.[1];
  const v1 = groups.match(/^\d+:(?:.*,)?memory(?:,.*)?:(.*)$/m)?.[1];
  const files = [
    `/sys/fs/cgroup${v2}/memory.events`,
    `/sys/fs/cgroup/memory${v1}/memory.oom_control`,
    // A container may be told its path on the host, and see its own group as the root.
    '/sys/fs/cgroup/memory.events',
    '/sys/fs/cgroup/memory/memory.oom_control',
    '/proc/vmstat',
  ];
  for (const file of files) {
    const count = readProc(file)?.match(/^oom_kill (\d+)$/m)?.[1];
    if (count !== undefined) return Number(count);
  }
  return 0;
}
