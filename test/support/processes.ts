// The processes that a test has started, daemons included: found by a mark in their environment,
// which they have from the moment of their exec on and cannot lose.

import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';

/** Set by strays.ts for every test; whatever a program starts inherits it. */
export const MARK = 'DOUBLEFORK_TEST';

/** What /proc/PID/stat says, by the names of proc(5). */
export interface Stat {
  pid: number;
  name: string;
  state: string;
  ppid: number;
  pgrp: number;
  session: number;
  ttyNr: number;
  startTime: number;
}

/** undefined: there is no such process. */
export function stat(pid: number): Stat | undefined {
  let text: string;
  try {
    text = readFileSync(`/proc/${pid}/stat`, 'utf8');
  } catch {
    return undefined;
  }
  // The name may hold spaces and parentheses.
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  // It has been reaped, and its number goes in the next moment.
  if (fields[0] === 'X') return undefined;
  const number = (index: number) => Number(fields[index]);
  return {
    pid,
    name: text.slice(text.indexOf('(') + 1, text.lastIndexOf(')')),
    state: fields[0]!,
    ppid: number(1),
    pgrp: number(2),
    session: number(3),
    ttyNr: number(4),
    startTime: number(19),
  };
}

/** What a supervisor has made ahead of need, or beside it: it runs nothing of the program. */
export function isSpareOrHolder(pid: number): boolean {
  return /^(spare-worker|memory-holder)$/.test(stat(pid)?.name ?? '');
}

/** One field of /proc/PID/status, such as 'SigIgn' or 'Groups'. */
export function status(pid: number, field: string): string {
  const line = readFileSync(`/proc/${pid}/status`, 'utf8')
    .split('\n')
    .find((text) => text.startsWith(`${field}:`));
  return line?.slice(field.length + 1).trim() ?? '';
}

/** An open descriptor, as /proc/PID/fd and /proc/PID/fdinfo tell. */
export interface Descriptor {
  /** Its file, or a name such as 'pipe:[123]'. */
  target: string;
  /** The flags of open(2). */
  flags: number;
}

/** The open descriptors of a process. */
export function descriptors(pid: number): Map<number, Descriptor> {
  const found = new Map<number, Descriptor>();
  for (const name of readdirSync(`/proc/${pid}/fd`)) {
    try {
      const info = readFileSync(`/proc/${pid}/fdinfo/${name}`, 'utf8');
      const flags = Number.parseInt(/^flags:\s*(\d+)$/m.exec(info)![1]!, 8);
      found.set(Number(name), { target: readlinkSync(`/proc/${pid}/fd/${name}`), flags });
    } catch (error) {
      // It was closed between the listing and the look.
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    }
  }
  return found;
}

/** All processes whose environment holds the mark. Zombies have none, and are found by their parent. */
export function marked(mark: string): number[] {
  const wanted = `${MARK}=${mark}`;
  const pids: number[] = [];
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    try {
      if (readFileSync(`/proc/${name}/environ`, 'latin1').split('\0').includes(wanted)) {
        pids.push(Number(name));
      }
    } catch {
      // It ended between the two calls.
    }
  }
  return pids;
}

/** The others with the mark, those that have not ended yet. */
export function others(mark: string): number[] {
  return marked(mark).filter((pid) => pid !== process.pid && stat(pid)?.state !== 'Z');
}

/** Ends them, and what they start meanwhile: until there is none. */
export async function endOthers(mark: string): Promise<void> {
  const none = () => {
    const pids = others(mark);
    for (const pid of pids) killQuietly(pid);
    return pids.length === 0;
  };
  await until(none, 'all have ended');
}

/** Every thread's stack, for the report of a hang. */
export function stacks(pid: number): string {
  const { stdout, stderr, error } = spawnSync(
    'gdb',
    ['-p', String(pid), '-batch', '-ex', 'thread apply all bt 24'],
    { encoding: 'utf8', timeout: 60_000 },
  );
  return stdout || `no stacks of ${pid}: ${error ?? stderr}`;
}

/** Kills by pid; one that is gone already is what was wanted. */
export function killQuietly(pid: number, signal: NodeJS.Signals = 'SIGKILL'): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

/** Waits for a condition that has no event to wait for, such as another process's parent. */
export async function until(
  condition: () => boolean | Promise<boolean>,
  what: string,
  deadline = 20_000,
): Promise<void> {
  const end = Date.now() + deadline;
  for (;;) {
    // The time before the look: this process, or the machine, may have stood still since the last one.
    const isLast = Date.now() > end;
    if (await condition()) return;
    if (isLast) throw new Error(`${what}: not within ${deadline} ms`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
