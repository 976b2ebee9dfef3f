// What a pidfile says, and whether it is true. Nothing here changes the file or takes its lock for
// longer than a moment.

import type { BigIntStats } from 'node:fs';
import { closeSync, constants, fstatSync, readSync } from '../builtin/fs.js';
import { constants as os } from '../builtin/os.js';
import { absolutePath } from '../image/directory.js';
import { O_CLOEXEC, open } from '../posix/descriptor.js';
import { posixError, text } from '../posix/errors.js';
import { LOCK_SH, tryFlock } from '../posix/lock.js';
import { holdsFlock, recordHolder } from './holder.js';
import { isAlive, type ProcessIdentity, startTime } from './process.js';

/** What {@link inspect} found out; `reason` is a sentence for people. */
export type PidfileState =
  /** There is no file. */
  | { state: 'free'; reason: string }
  /** The process that the file names has it locked. */
  | ({ state: 'held'; reason: string; mode: number; uid: number } & ProcessIdentity)
  /** Nobody has locked it: a start succeeds. `pid`: the process that it names, alive or not. */
  | { state: 'stale'; reason: string; pid: number | undefined }
  /** A process has locked it that it does not name (yet): a start is refused, a stop signals nobody. */
  | { state: 'foreign'; reason: string; pid: number | undefined };

/**
 * Finds out whether the daemon of a pidfile is running.
 * @throws EACCES if the file cannot be read; ELOOP for a symbolic link; EINVAL for what is no file
 */
export function inspect(path: string): PidfileState {
  const file = absolutePath(text(path, 'path'));
  let fd: number;
  try {
    fd = open(file, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK | O_CLOEXEC);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    return { state: 'free', reason: 'there is no pidfile' };
  }
  try {
    return judge(fd);
  } finally {
    closeSync(fd);
  }
}

function judge(fd: number): PidfileState {
  const file = fstatSync(fd, { bigint: true });
  if (!file.isFile()) {
    throw posixError(-os.errno.EINVAL, 'open', undefined, 'the pidfile is not a regular file');
  }
  const named = namedPid(fd);
  const holder = recordHolder(fd) ?? flockHolder(fd, named, file);
  if (holder === 'nobody') return { state: 'stale', pid: named, reason: whyStale(named) };
  if (holder === 'unknown' || holder !== named) {
    const who = holder === 'unknown' ? 'a process' : `process ${holder}`;
    const reason = `${who} has locked the pidfile, which names ${named ?? 'no process'} instead`;
    return { state: 'foreign', pid: holder === 'unknown' ? undefined : holder, reason };
  }
  return {
    state: 'held',
    pid: holder,
    startTime: startTime(holder),
    mode: Number(file.mode) & 0o7777,
    uid: Number(file.uid),
    reason: `process ${holder} has locked the pidfile`,
  };
}

/** The number in the file; undefined if there is none that could be a process's. */
export function namedPid(fd: number): number | undefined {
  const buffer = Buffer.alloc(16);
  const content = buffer.toString('latin1', 0, readSync(fd, buffer, 0, buffer.length, 0));
  const pid = /^\d+\n?$/.test(content) ? Number(content) : 0;
  return pid > 0 && pid < 2 ** 31 ? pid : undefined;
}

/** For when nobody has the record lock: it was lost, or never taken here. */
function flockHolder(
  fd: number,
  named: number | undefined,
  file: BigIntStats,
): number | 'nobody' | 'unknown' {
  // Shared, and for a moment only: a start that meets it tries again.
  if (tryFlock(fd, LOCK_SH)) return 'nobody';
  return named !== undefined && holdsFlock(named, file) ? named : 'unknown';
}

function whyStale(named: number | undefined): string {
  if (named === undefined) return 'the pidfile is not locked, and names no process';
  return isAlive(named)
    ? `the pidfile is left over: process ${named} is another program's`
    : `the pidfile is left over: process ${named} does not exist`;
}
