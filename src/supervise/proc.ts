// What /proc says about processes. Elsewhere nothing is known of them.

import { closeSync, openSync, readdirSync, readSync } from '../builtin/fs.js';

/** A process among others. */
export interface Relative {
  pid: number;
  ppid: number;
  /** When it was started, in ticks since the machine was: with it a pid means one process for ever. */
  startTime: number;
}

/** One for all: a supervisor that processes for years must not make garbage with every look. */
const buffer = Buffer.alloc(65_536);

/** undefined: it cannot be read, because it has ended or there is no /proc. */
function read(path: string): string | undefined {
  let fd: number | undefined;
  try {
    fd = openSync(path, 'r');
    let size = 0;
    for (let got = -1; got !== 0 && size < buffer.length; size += got) {
      got = readSync(fd, buffer, size, buffer.length - size, null);
    }
    return buffer.toString('latin1', 0, size);
  } catch {
    return undefined;
  } finally {
    if (fd !== undefined) closeSync(fd);
  }
}

/** The fields of /proc/PID/stat behind the name, which may hold anything. */
function fieldsOf(pid: number): string[] | undefined {
  const text = read(`/proc/${pid}/stat`);
  return text?.slice(text.lastIndexOf(')') + 2).split(' ');
}

/** The processes that a process has started and that it, or their own parents, have not left. */
export function descendantsOf(ancestor: number): Relative[] {
  const children = new Map<number, Relative[]>();
  for (const name of listProc()) {
    const fields = fieldsOf(Number(name));
    if (fields === undefined) continue;
    const relative = { pid: Number(name), ppid: Number(fields[1]), startTime: Number(fields[19]) };
    const siblings = children.get(relative.ppid);
    if (siblings === undefined) children.set(relative.ppid, [relative]);
    else siblings.push(relative);
  }
  const found: Relative[] = [];
  const walk = (pid: number): void => {
    for (const child of children.get(pid) ?? []) {
      found.push(child);
      walk(child.pid);
    }
  };
  walk(ancestor);
  return found;
}

function listProc(): string[] {
  try {
    return readdirSync('/proc').filter((name) => /^\d+$/.test(name));
  } catch {
    return [];
  }
}

/** The children of this process; undefined where the kernel does not list them. */
export function ownChildren(): number[] | undefined {
  const list = read(`/proc/self/task/${process.pid}/children`);
  return list?.split(' ').filter(Boolean).map(Number);
}

export function startTimeOf(pid: number): number | undefined {
  const fields = fieldsOf(pid);
  return fields && Number(fields[19]);
}

/** Resident memory, in bytes. */
export function residentMemory(pid: number): number | undefined {
  const line = read(`/proc/${pid}/status`)?.match(/^VmRSS:\s+(\d+) kB$/m);
  return line ? Number(line[1]) * 1024 : undefined;
}

/** The kernel's unit of time in /proc, the same on every architecture that Node runs on. */
const TICKS_PER_SECOND = 100;

/** Processor time used, in ms. */
export function processorTime(pid: number): number | undefined {
  const fields = fieldsOf(pid);
  return fields && ((Number(fields[11]) + Number(fields[12])) * 1000) / TICKS_PER_SECOND;
}

/**
 * How many processes the kernel has killed for want of memory: in our cgroup, or on the machine where
 * that is all that can be known.
 */
export function outOfMemoryKills(): number {
  const groups = read('/proc/self/cgroup') ?? '';
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
    const count = read(file)?.match(/^oom_kill (\d+)$/m)?.[1];
    if (count !== undefined) return Number(count);
  }
  return 0;
}
