// A file that names the daemon, and is locked for as long as it lives.

import {
  closeSync,
  constants,
  fchmodSync,
  fstatSync,
  ftruncateSync,
  unlinkSync,
  writeSync,
} from '../builtin/fs.js';
import { constants as os } from '../builtin/os.js';
import { absolutePath } from '../image/directory.js';
import { bindMethods } from '../posix/bind.js';
import { O_CLOEXEC, open, setCloseOnExec } from '../posix/descriptor.js';
import { descriptor, integer, outOfRange, posixError, text, whileTrying } from '../posix/errors.js';
import { refuseUnknown } from '../posix/known.js';
import { flock, LOCK_EX, LOCK_UN, letLockStay, tryFlock } from '../posix/lock.js';
import { pause } from '../posix/pause.js';
import { trace } from '../posix/trace.js';
import { holdsFlock, leadsTo, recordHolder, releaseRecordLock, takeRecordLock } from './holder.js';
import { inspect, namedPid, type PidfileState } from './inspect.js';

/** Options of {@link Pidfile.acquire}. */
export interface PidfileOptions {
  /** Permission bits if the file is created, whatever the umask. Default 0o644. */
  mode?: number;
}

/** What {@link Pidfile.acquire} throws when another process has the file. */
export interface AlreadyRunningError extends NodeJS.ErrnoException {
  code: 'EEXIST';
  /** The process that has it; undefined if it did not become known in time. */
  pid: number | undefined;
}

// O_NONBLOCK: a named pipe planted there must not hang the start.
const FLAGS =
  constants.O_RDWR | constants.O_NOFOLLOW | constants.O_NONBLOCK | constants.O_NOCTTY | O_CLOEXEC;

/**
 * How often a start that lost looks whether the winner has a pid to be named by, and how long it waits
 * in between, in ms. Looks are counted, not time: where the winner comes to nothing because the machine
 * is busy, the looks are slow too.
 */
const WINNER_LOOKS = 1000;
const WINNER_PAUSE = 5;

/** Those that name this process. */
const own = new Set<Pidfile>();

/** A pidfile that this process has locked. */
export class Pidfile implements Disposable {
  /** Absolute. */
  readonly path: string;
  readonly #created: boolean;
  #fd: number | undefined;
  /** The process that the file names: only that one removes it. */
  #owner: number | undefined;

  private constructor(path: string, fd: number, created: boolean) {
    this.path = path;
    this.#fd = fd;
    this.#created = created;
    bindMethods(this);
  }

  /**
   * Opens and locks a pidfile; creates it if there is none. Its content is left as it is until
   * {@link write}. The lock goes over to forked children, not over an execve(2).
   * @throws EEXIST if another process has it, with its `pid`; nothing in the file has changed then.
   * ELOOP for a symbolic link, EMLINK for a file of several names, EINVAL for what is no file, EPERM
   * if everybody may write to it; the errors of open(2)
   * @see flock(2), pidfile(3) of FreeBSD
   */
  static acquire(path: string, options: PidfileOptions = {}): Pidfile {
    const file = absolutePath(text(path, 'path'));
    refuseUnknown(options, ['mode'], 'options');
    const mode = integer(options.mode ?? 0o644, 'options.mode', 0, 0o777);
    if ((mode & 0o002) !== 0) {
      throw outOfRange('options.mode', 'without write permission for everybody (0o002)', mode);
    }
    let looks = 0;
    const isPatient = () => ++looks < WINNER_LOOKS;
    for (;;) {
      const opened = openOrCreate(file, mode);
      if (opened === undefined) continue;
      const pidfile = new Pidfile(file, opened.fd, opened.created);
      try {
        if (pidfile.#lock(isPatient)) return pidfile;
      } catch (error) {
        pidfile.close();
        throw error;
      }
      // It was replaced or removed between the open and the lock, or its winner has failed.
      pidfile.close();
    }
  }

  /**
   * Takes over a lock that came with a descriptor, over an execve(2).
   * @param options.created whether {@link acquire} had to create the file; default false
   * @param options.reachable whether this process can find the file under its path; default true
   * @throws EBADF; ENOENT if the path does not lead to that file any more
   */
  static adopt(
    fd: number,
    path: string,
    { created = false, reachable = true }: { created?: boolean; reachable?: boolean } = {},
  ): Pidfile {
    const file = absolutePath(text(path, 'path'));
    setCloseOnExec(descriptor(fd), true);
    if (reachable && !leadsTo(file, fd)) {
      const why = `the pidfile ${file} is not the one that is locked: it was removed or replaced`;
      throw posixError(-os.errno.ENOENT, 'adopt', file, why);
    }
    return new Pidfile(file, fd, created);
  }

  /**
   * Finds out whether the daemon of a pidfile is running.
   * @throws as {@link inspect} does
   */
  static inspect(path: string): PidfileState {
    try {
      return inspect(path);
    } finally {
      // Closing any descriptor of a file loses the record locks of the process on it.
      for (const pidfile of own) pidfile.#retake();
    }
  }

  /**
   * Removes a pidfile that names a process which is gone, as a killed daemon leaves it. Nothing
   * happens if it names another by now, or is locked.
   */
  static clear(path: string, pid: number): void {
    const found = inspect(path);
    if (found.state !== 'stale' || found.pid !== pid) return;
    let pidfile: Pidfile;
    try {
      pidfile = Pidfile.acquire(path);
    } catch (error) {
      // A start was faster; or it is not this user's to remove.
      const { code } = error as NodeJS.ErrnoException;
      if (code === 'EEXIST' || code === 'EACCES' || code === 'EROFS') return;
      throw error;
    }
    if (namedPid(pidfile.#fd!) === pid) pidfile.#unlink();
    // Somebody else has cleared it meanwhile: what was opened here may be a new file.
    else pidfile.abandon();
  }

  #retake(): void {
    if (this.#owner === process.pid) takeRecordLock(this.#fd!);
  }

  /** The descriptor with the lock, close-on-exec; undefined once it is closed. */
  get fd(): number | undefined {
    return this.#fd;
  }

  /** For {@link adopt} in another image of this process; undefined once it is closed. @internal */
  get handedOver(): { fd: number; created: boolean } | undefined {
    return this.#fd === undefined ? undefined : { fd: this.#fd, created: this.#created };
  }

  /**
   * @param isPatient asked before each wait for the winner's name
   * @returns false: begin again with the file that is there now
   */
  #lock(isPatient: () => boolean): boolean {
    const fd = this.#fd!;
    check(this.path, fd);
    while (!tryFlock(fd, LOCK_EX)) {
      const pid = winner(fd);
      if (pid !== undefined || !isPatient()) throw alreadyRunning(this.path, pid);
      pause(WINNER_PAUSE);
      if (!leadsTo(this.path, fd)) return false;
    }
    const pid = recordHolder(fd);
    if (pid !== undefined) throw alreadyRunning(this.path, pid);
    return leadsTo(this.path, fd);
  }

  /**
   * Names this process: `pid\n`, and nothing else. From now on it is the one that has the file, not
   * its children.
   * @throws ENOSPC, EDQUOT, EIO: the file is empty then
   */
  write(): void {
    const fd = this.#fd!;
    takeRecordLock(fd);
    const line = `${process.pid}\n`;
    ftruncateSync(fd);
    try {
      if (writeSync(fd, line, 0) < line.length) throw posixError(-os.errno.ENOSPC, 'write');
    } catch (error) {
      ftruncateSync(fd);
      const trying = whileTrying(`cannot write the pidfile ${this.path}`, error);
      throw Object.assign(trying, { path: this.path });
    }
    trace?.('pidfile', `${this.path} names this process`);
    this.#owner = process.pid;
    own.add(this);
  }

  /**
   * Names nobody any more, so that a forked child can take the file over by {@link write}; the lock
   * stays.
   */
  release(): void {
    releaseRecordLock(this.#fd!);
    own.delete(this);
    this.#owner = undefined;
  }

  /**
   * Removes the file, if it is still the one that was locked, and unlocks it. Does nothing in a
   * process that the file does not name, such as a forked child.
   * @throws EIO and the like; not if it is gone already
   */
  remove(): void {
    if (this.#owner === process.pid) this.#unlink();
  }

  /** Undoes {@link acquire} when the start has failed. */
  abandon(): void {
    if (this.#created || this.#owner === process.pid) this.#unlink();
    else this.close();
  }

  #unlink(): void {
    const fd = this.#fd;
    if (fd === undefined) return;
    try {
      if (leadsTo(this.path, fd)) unlinkSync(this.path);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      // Somebody who cares for no locks was faster.
      if (code === 'ENOENT') return;
      // The directory is root's, and this process no longer is; or it is outside of a chroot. An
      // empty file names nobody either.
      if (code !== 'EACCES' && code !== 'EPERM' && code !== 'EROFS') throw error;
      ftruncateSync(fd);
    } finally {
      this.close();
    }
  }

  /**
   * Prepares for execve(2) of a program that knows nothing of this: it goes on to hold the file,
   * its children do not.
   */
  passOn(): void {
    const fd = this.#fd!;
    setCloseOnExec(fd, false);
    // The children inherit this one. The record lock stays.
    flock(fd, LOCK_UN);
  }

  /** Closes the descriptor, and leaves the file. The lock is gone when every process has done so. */
  close(): void {
    if (this.#fd === undefined) return;
    own.delete(this);
    letLockStay(this.#fd, false);
    closeSync(this.#fd);
    this.#fd = undefined;
  }

  [Symbol.dispose](): void {
    this.remove();
    this.close();
  }
}

/** @returns undefined if it came or went meanwhile */
function openOrCreate(path: string, mode: number): { fd: number; created: boolean } | undefined {
  const attempt = (flags: number, unless: string) => {
    try {
      return open(path, FLAGS | flags, 0o600);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === unless) return undefined;
      throw error;
    }
  };
  const existing = attempt(0, 'ENOENT');
  if (existing !== undefined) return { fd: existing, created: false };
  const fresh = attempt(constants.O_CREAT | constants.O_EXCL, 'EEXIST');
  if (fresh === undefined) return undefined;
  fchmodSync(fresh, mode);
  return { fd: fresh, created: true };
}

/** What nobody should have put there. */
function check(path: string, fd: number): void {
  const file = fstatSync(fd);
  const refuse = (errno: number, why: string) =>
    posixError(-errno, 'open', path, `the pidfile ${path} ${why}`);
  if (!file.isFile()) throw refuse(os.errno.EINVAL, 'is not a regular file');
  if (file.nlink > 1) throw refuse(os.errno.EMLINK, 'has another name (a hard link)');
  if ((file.mode & 0o002) !== 0) throw refuse(os.errno.EPERM, 'can be written by everybody');
}

function winner(fd: number): number | undefined {
  const holder = recordHolder(fd);
  if (holder !== undefined) return holder;
  const named = namedPid(fd);
  const file = fstatSync(fd, { bigint: true });
  return named !== undefined && holdsFlock(named, file) ? named : undefined;
}

function alreadyRunning(path: string, pid: number | undefined): AlreadyRunningError {
  trace?.('pidfile', `${path} is locked by process ${pid ?? 'that cannot be told'}`);
  const how = pid === undefined ? 'being started by another process' : `running (pid ${pid})`;
  const why = `the daemon of ${path} is already ${how}`;
  const error = posixError(-os.errno.EEXIST, 'flock', path, why);
  return Object.assign(error, { code: 'EEXIST' as const, pid });
}
