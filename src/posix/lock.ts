// Locks on files.

import { readSync } from '../builtin/fs.js';
import { constants } from '../builtin/os.js';
import { addon } from './addon.js';
import { check, checked, descriptor, integer, outOfRange, posixError } from './errors.js';
import { shared } from './shared.js';

/** flock(2) operations. */
export const LOCK_SH = 1;
export const LOCK_EX = 2;
export const LOCK_NB = 4;
export const LOCK_UN = 8;

/**
 * Locks an open file. The lock belongs to the open file, not to the process: a forked child has it
 * too, and it is gone once all its descriptors are closed.
 * @param operation LOCK_SH or LOCK_EX, with LOCK_NB not to wait; LOCK_UN
 * @throws EAGAIN if LOCK_NB was given and somebody else has it; EINTR
 * @see flock(2)
 */
export function flock(fd: number, operation: number): void {
  check(addon.flock(descriptor(fd), integer(operation, 'operation', 0)), 'flock');
}

/** Locks the open file, without waiting. @returns false if somebody else has locked it */
export function tryFlock(fd: number, operation: number): boolean {
  try {
    flock(fd, operation | LOCK_NB);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EAGAIN') return false;
    throw error;
  }
}

const linux = process.platform === 'linux';
/** fcntl(2) commands about record locks; those with OFD are about locks of the open file. */
export const F_GETLK = linux ? 5 : 7;
export const F_SETLK = linux ? 6 : 8;
export const F_SETLKW = linux ? 7 : 9;
export const F_OFD_GETLK = linux ? 36 : 92;
export const F_OFD_SETLK = linux ? 37 : 90;
export const F_OFD_SETLKW = linux ? 38 : 91;

// In the order of kTypes in native/syscalls/lock.cc.
const lockTypes = ['read', 'write', 'unlock'] as const;

/** A lock on a part of a file: struct flock. */
export interface RecordLock {
  type: (typeof lockTypes)[number];
  /** Its first byte. Default 0. */
  start?: number;
  /** Its bytes; 0 (default): to the end of the file, wherever that will be. */
  length?: number;
  /** Who holds it; -1: locks of an open file (OFD) belong to nobody. For F_GETLK only. */
  pid?: number;
}

/**
 * Sets, or asks for, a record lock. It belongs to the process: a forked child does not have it, an
 * execve(2) keeps it, and closing any descriptor of that file loses it.
 * @param command F_SETLK, F_SETLKW (waits), F_GETLK (asks who is in the way), or F_OFD_*
 * @returns what was asked for; for F_GETLK the lock in the way, or `{ type: 'unlock' }` if none is
 * @throws EAGAIN or EACCES if another process has it; EBADF if the descriptor cannot write (or read)
 * @see fcntl(2)
 */
export function fcntlLock(fd: number, command: number, lock: RecordLock): Required<RecordLock> {
  const kind = lockTypes.indexOf(lock.type);
  if (kind < 0) throw outOfRange('lock.type', "'read', 'write' or 'unlock'", lock.type);
  const [type, start, length, pid] = checked(
    addon.fcntlLock(
      descriptor(fd),
      integer(command, 'command', 0),
      kind,
      integer(lock.start ?? 0, 'lock.start', 0, Number.MAX_SAFE_INTEGER),
      integer(lock.length ?? 0, 'lock.length', 0, Number.MAX_SAFE_INTEGER),
    ),
    'fcntl',
  );
  return { type: lockTypes[type]!, start, length, pid };
}

/** What becomes of record locks that a new process cannot have. */
export type RecordLockPolicy = 'refuse' | 'lose';

/** @throws ERR_OUT_OF_RANGE */
export function recordLockPolicy(value: unknown): RecordLockPolicy {
  if (value === undefined || value === 'refuse') return 'refuse';
  if (value === 'lose') return 'lose';
  throw outOfRange('options.recordLocks', "'refuse' or 'lose'", value);
}

/** Descriptors through which locks were taken that are meant to stay with this process. */
const staying = shared('stayingLocks', () => new Set<number>());

/** That of a pidfile is such a lock: it tells which process of a family the file names. */
export function letLockStay(fd: number, stays: boolean): void {
  if (stays) staying.add(fd);
  else staying.delete(fd);
}

/**
 * Whether the file holds the number of this process: a pidfile, whose lock came with the execve(2) by
 * which `doublefork start` became this program.
 */
function namesThis(fd: number): boolean {
  const buffer = Buffer.alloc(16);
  try {
    const text = buffer.toString('latin1', 0, readSync(fd, buffer, 0, buffer.length, 0));
    return text === `${process.pid}\n`;
  } catch {
    // It is open for writing only: it may be a database's.
    return false;
  }
}

/**
 * Databases exclude each other by record locks, and would write into each other's files without.
 * @throws EBUSY, with the file, if this process holds one
 */
export function refuseRecordLocks(name: string): void {
  const file = addon.lockedFiles().find(({ fd }) => !staying.has(fd) && !namesThis(fd));
  if (file === undefined) return;
  const detail =
    'this process holds a record lock (fcntl(2)) which the new one would not have; release it, or pass ' +
    "{ recordLocks: 'lose' }";
  throw posixError(-constants.errno.EBUSY, name, file.path, detail);
}
