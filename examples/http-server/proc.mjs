// What the kernel says about a process: proc(5).

import { readFileSync, readlinkSync } from 'node:fs';

/** @param {number} pid @returns the fields of /proc/PID/stat that matter here */
export function stat(pid) {
  const text = readFileSync(`/proc/${pid}/stat`, 'utf8');
  // Behind the name, which may hold spaces and parentheses: fields 3 and on.
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  const field = (number) => Number(fields[number - 3]);
  return {
    parent: field(4),
    group: field(5),
    session: field(6),
    terminal: field(7),
  };
}

/** One field of /proc/PID/status. */
export function status(pid, name) {
  const text = readFileSync(`/proc/${pid}/status`, 'utf8');
  return new RegExp(`^${name}:\\s*(.*)$`, 'm').exec(text)?.[1];
}

/** Where a link in /proc/PID leads: cwd, fd/0. */
export const link = (pid, name) => readlinkSync(`/proc/${pid}/${name}`);
