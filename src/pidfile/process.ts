// What tells a process from another one that was given the same number later.

import { readFileSync } from '../builtin/fs.js';

/** A process that is sure to be the one meant: its number, and when it was given. */
export interface ProcessIdentity {
  pid: number;
  /** Clock ticks after the boot; undefined where there is no /proc, or it does not tell. */
  startTime: number | undefined;
}

/** State, parent and start of a process. @see proc(5), /proc/PID/stat */
function stat(pid: number): { state: string; parent: number; startTime: number } | undefined {
  let text: string;
  try {
    text = readFileSync(`/proc/${pid}/stat`, 'latin1');
  } catch (error) {
    // ESRCH: it ended between the open and the read. EPERM: another user's, with hidepid=1 of proc(5).
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ESRCH' || code === 'EPERM') return undefined;
    throw error;
  }
  // The name before it, in parentheses, may hold anything.
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  return { state: fields[0]!, parent: Number(fields[1]), startTime: Number(fields[19]) };
}

/**
 * When a process started, in clock ticks since the boot; with the pid it names one process only.
 * @returns undefined if there is no such process, or no /proc that tells
 */
export function startTime(pid: number): number | undefined {
  return stat(pid)?.startTime;
}

/** @returns undefined if there is no such process, or no /proc to ask */
export function parentOf(pid: number): number | undefined {
  return stat(pid)?.parent;
}

/** Whether a process runs. One that has ended and waits to be reaped, or is just reaped, does not. */
export function isAlive(pid: number): boolean {
  const state = stat(pid)?.state;
  if (state !== undefined) return state !== 'Z' && state !== 'X';
  // There is no such process, or no /proc that tells.
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    // EPERM: it is somebody else's.
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
