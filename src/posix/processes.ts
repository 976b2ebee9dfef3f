// The processes that there are, as /proc shows them. Elsewhere nothing is known of them.

import { closeSync, openSync, readdirSync, readSync } from '../builtin/fs.js';

/** A process among others. @see proc(5), /proc/PID/stat */
export interface ProcessEntry {
  pid: number;
  ppid: number;
  session: number;
  /** As ps(1) has it; `Z`: it has ended, and waits to be reaped. */
  state: string;
  /** When it was started, in ticks since the machine was: with it a pid means one process for ever. */
  startTime: number;
}

/** One for all: a supervisor that lives for years must not make garbage with every look. */
const buffer = Buffer.alloc(65_536);

/** The text of a file of /proc. undefined: it cannot be read, because the process has ended, or is hidden. */
export function readProc(path: string): string | undefined {
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
export function statFields(pid: number): string[] | undefined {
  const text = readProc(`/proc/${pid}/stat`);
  return text?.slice(text.lastIndexOf(')') + 2).split(' ');
}

/** undefined: there is no such process, or it is hidden. */
export function processEntry(pid: number): ProcessEntry | undefined {
  const fields = statFields(pid);
  return (
    fields && {
      pid,
      ppid: Number(fields[1]),
      session: Number(fields[3]),
      state: fields[0]!,
      startTime: Number(fields[19]),
    }
  );
}

/** All that there are, one moment long: while they are looked at they come and go. */
export function allProcesses(): ProcessEntry[] {
  return listProc().flatMap((name) => processEntry(Number(name)) ?? []);
}

function listProc(): string[] {
  try {
    return readdirSync('/proc').filter((name) => /^\d+$/.test(name));
  } catch {
    return [];
  }
}

/** The processes that a process has started and that it, or their own parents, have not left. */
export function descendantsOf(
  ancestor: number,
  processes: readonly ProcessEntry[] = allProcesses(),
): ProcessEntry[] {
  const children = new Map<number, ProcessEntry[]>();
  for (const entry of processes) {
    const siblings = children.get(entry.ppid);
    if (siblings === undefined) children.set(entry.ppid, [entry]);
    else siblings.push(entry);
  }
  const found: ProcessEntry[] = [];
  const walk = (pid: number): void => {
    for (const child of children.get(pid) ?? []) {
      found.push(child);
      walk(child.pid);
    }
  };
  walk(ancestor);
  return found;
}

export function startTimeOf(pid: number): number | undefined {
  return processEntry(pid)?.startTime;
}

/** How a process was called, its arguments with blanks between them. undefined: it is not known. */
export function commandLineOf(pid: number): string | undefined {
  const line = readProc(`/proc/${pid}/cmdline`)?.replace(/\0+$/, '').replaceAll('\0', ' ');
  return line === '' ? undefined : line;
}

/**
 * The control groups that a process is in, as /proc/PID/cgroup has them: `hierarchy:controllers:path`, of both
 * versions. @see cgroups(7)
 */
export function controlGroupsOf(pid: number): string[] | undefined {
  return readProc(`/proc/${pid}/cgroup`)?.trimEnd().split('\n');
}

/** What becomes of a signal that a process is sent. */
export type SignalFate = 'heard' | 'ignored' | 'default';

/** rt_sigtimedwait(2), by architecture. */
const SIGNAL_WAITS: Readonly<Record<string, string>> = { x64: '128', arm64: '137' };

/** Whether a thread of it waits in sigwait(3): for which signals, and that they are blocked, does not show then. */
function waitsForSignals(pid: number): boolean {
  const threads = readdirSync(`/proc/${pid}/task`);
  return threads.some(
    (tid) =>
      readProc(`/proc/${pid}/task/${tid}/syscall`)?.split(' ')[0] === SIGNAL_WAITS[process.arch],
  );
}

/**
 * Whether a process listens to a signal: has a handler for it, or blocks it to fetch it by itself
 * (signalfd(2), sigwait(3)). undefined: there is no such process, or no /proc that tells.
 */
export function signalFate(pid: number, signal: number): SignalFate | undefined {
  const status = readProc(`/proc/${pid}/status`);
  if (status === undefined) return undefined;
  const isIn = (field: string) => {
    const mask = new RegExp(`^${field}:\\s*([0-9a-f]+)$`, 'm').exec(status)?.[1];
    return mask !== undefined && ((BigInt(`0x${mask}`) >> BigInt(signal - 1)) & 1n) === 1n;
  };
  if (isIn('SigCgt') || isIn('SigBlk')) return 'heard';
  if (isIn('SigIgn')) return 'ignored';
  try {
    return waitsForSignals(pid) ? 'heard' : 'default';
  } catch {
    return undefined; // It has ended meanwhile.
  }
}
