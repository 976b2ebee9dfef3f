// What the kernel says about a process: proc(5).

import { readFileSync, readlinkSync } from 'node:fs';

/** @param {number} pid @returns the fields of /proc/PID/stat that matter here; undefined: no such process */
export function stat(pid) {
  let text;
  try {
    text = readFileSync(`/proc/${pid}/stat`, 'utf8');
  } catch (error) {
    if (error.code === 'ENOENT' || error.code === 'ESRCH') return undefined;
    throw error;
  }
  // Behind the name, which may hold spaces and parentheses: fields 3 and on.
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  const field = (number) => Number(fields[number - 3]);
  return {
    state: fields[0],
    parent: field(4),
    group: field(5),
    session: field(6),
    terminal: field(7),
    startTime: field(22),
  };
}

/** When a process started, in ticks since boot; undefined: it does not run. */
export function startTime(pid) {
  const found = stat(pid);
  // Z: it has ended and waits to be reaped. X: just reaped.
  return found === undefined || 'ZX'.includes(found.state) ? undefined : found.startTime;
}

/** One field of /proc/PID/status. */
export function status(pid, name) {
  const text = readFileSync(`/proc/${pid}/status`, 'utf8');
  return new RegExp(`^${name}:\\s*(.*)$`, 'm').exec(text)?.[1];
}

/** Where a link in /proc/PID leads: cwd, fd/0. */
export const link = (pid, name) => readlinkSync(`/proc/${pid}/${name}`);
