// Which log a process writes to, as /proc tells: it may have one of its own, other than the one that it was given.

import { readdirSync, readFileSync, readlinkSync, statSync } from '../builtin/fs.js';

/** The log of a process, and whether a logger writes it. */
export interface LogInUse {
  path: string;
  captured: boolean;
}

/** @returns undefined: none that can be found out, or /proc does not tell this user */
export function logInUse(pid: number): LogInUse | undefined {
  const target = linkOf(pid, 2) ?? linkOf(pid, 1);
  if (target === undefined) return undefined;
  if (target.startsWith('pipe:')) {
    const path = logBehind(target);
    return path === undefined ? undefined : { path, captured: true };
  }
  const isFile = statSync(target, { throwIfNoEntry: false })?.isFile() === true;
  return isFile ? { path: target, captured: false } : undefined;
}

function linkOf(pid: number, fd: number | string): string | undefined {
  try {
    return readlinkSync(`/proc/${pid}/fd/${fd}`);
  } catch {
    return undefined;
  }
}

/** The file of the logger that reads this pipe. */
function logBehind(pipe: string): string | undefined {
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    try {
      const [program, ...words] = readFileSync(`/proc/${name}/cmdline`, 'utf8').split('\0');
      if (!program!.endsWith('/doublefork-logger')) continue;
      const fds = readdirSync(`/proc/${name}/fd`);
      if (!fds.some((fd) => linkOf(Number(name), fd) === pipe)) continue;
      const at = words.indexOf('--file');
      return at < 0 ? undefined : words[at + 1];
    } catch {
      // It has ended meanwhile, or is another user's.
    }
  }
  return undefined;
}
