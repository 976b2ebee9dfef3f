// Who has the lock.
//
// Two locks lie on a pidfile. The flock(2) is the launcher's, and goes over the forks to the daemon:
// it keeps a second start out from the first moment on, but the kernel only knows who took it, and
// that was a launcher which is gone. The record lock (fcntl(2)) is the daemon's own: no child of its
// has it, and the kernel says whose it is, so a number that was recycled cannot be taken for it.

import type { BigIntStats } from 'node:fs';
import { fstatSync, readdirSync, readFileSync, statSync } from '../builtin/fs.js';
import { F_GETLK, F_SETLK, fcntlLock, letLockStay } from '../posix/lock.js';
import { isAlive } from './process.js';

/** Elsewhere (BSD) the two locks are of one kind and stand in each other's way. */
const hasRecordLocks = process.platform === 'linux';

/** Makes this process the one that {@link recordHolder} names. */
export function takeRecordLock(fd: number): void {
  if (!hasRecordLocks) return;
  fcntlLock(fd, F_SETLK, { type: 'write' });
  letLockStay(fd, true);
}

export function releaseRecordLock(fd: number): void {
  if (hasRecordLocks) fcntlLock(fd, F_SETLK, { type: 'unlock' });
}

/** The process that has the record lock, if it is another one than this. */
export function recordHolder(fd: number): number | undefined {
  if (!hasRecordLocks) return undefined;
  const { type, pid } = fcntlLock(fd, F_GETLK, { type: 'write' });
  // 0: it is in a pid namespace that cannot be seen from here.
  return type === 'unlock' || pid <= 0 ? undefined : pid;
}

/**
 * Whether a process has the flock: the way to tell when it has lost its record lock, as it does if
 * it reads its own pidfile and closes it. False, too, if this process may not know.
 */
export function holdsFlock(pid: number, file: BigIntStats): boolean {
  // Without /proc there is nobody to ask; that it is alive must do.
  if (process.platform !== 'linux') return isAlive(pid);
  try {
    return readdirSync(`/proc/${pid}/fd`).some(
      (fd) => isSameFile(`/proc/${pid}/fd/${fd}`, file) && isLocked(`/proc/${pid}/fdinfo/${fd}`),
    );
  } catch (error) {
    // Somebody else's, or gone.
    if (
      ['EACCES', 'EPERM', 'ENOENT', 'ESRCH'].includes((error as NodeJS.ErrnoException).code ?? '')
    ) {
      return false;
    }
    throw error;
  }
}

function isLocked(fdinfo: string): boolean {
  try {
    return /^lock:.*\bFLOCK\b/m.test(readFileSync(fdinfo, 'latin1'));
  } catch (error) {
    // Closed since; another one may have the lock.
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false;
    throw error;
  }
}

function isSameFile(path: string, { dev, ino }: BigIntStats): boolean {
  const other = statSync(path, { bigint: true, throwIfNoEntry: false });
  return other?.ino === ino && other.dev === dev;
}

/** Whether a path still leads to the file that is open. */
export function leadsTo(path: string, fd: number): boolean {
  return isSameFile(path, fstatSync(fd, { bigint: true }));
}
