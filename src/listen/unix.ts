// A unix stream socket under a path.

import { chmodSync, constants, statSync, unlinkSync } from '../builtin/fs.js';
import { constants as os } from '../builtin/os.js';
import { dirname } from '../builtin/path.js';
import { close, O_CLOEXEC, open, setNonBlocking } from '../posix/descriptor.js';
import { posixError } from '../posix/errors.js';
import { LOCK_EX, tryFlock } from '../posix/lock.js';
import { pause } from '../posix/pause.js';
import {
  AF_UNIX,
  bind,
  connect,
  listen,
  peerCredentials,
  SOCK_STREAM,
  socket,
} from '../posix/socket.js';

/** A socket that listens under a path, and the file that it is there. */
export class UnixSocket {
  readonly fd: number;
  readonly path: string;
  readonly #inode: number | undefined;
  readonly #device: number | undefined;

  /**
   * Binds and listens. A socket that is there and that nobody listens on is replaced: a program that
   * was killed has left it behind.
   * @param path absolute
   * @param mode permission bits
   * @param inherited a socket that was bound to the path and listens already
   * @throws EADDRINUSE, EACCES, ENOENT, ENAMETOOLONG
   */
  constructor(path: string, mode: number, backlog: number, inherited?: number) {
    this.path = path;
    if (inherited !== undefined) {
      this.fd = inherited;
      const file = statSync(path, { throwIfNoEntry: false });
      this.#inode = file?.ino;
      this.#device = file?.dev;
      return;
    }
    using _ = lockDirectory(dirname(path));
    removeStale(path);
    this.fd = socket(AF_UNIX, SOCK_STREAM);
    // Nobody may connect between bind and chmod.
    const umask = process.umask(0o777);
    try {
      bind(this.fd, { path });
      chmodSync(path, mode);
      const { ino, dev } = statSync(path);
      this.#inode = ino;
      this.#device = dev;
      listen(this.fd, backlog);
    } catch (error) {
      close(this.fd);
      throw error;
    } finally {
      process.umask(umask);
    }
  }

  /** Removes the path, if it still leads to this socket. */
  unlink(): void {
    const file = statSync(this.path, { throwIfNoEntry: false });
    if (file === undefined || file.ino !== this.#inode || file.dev !== this.#device) return;
    unlinkSync(this.path);
  }
}

/** How often to look whether the lock is free, and the pause in between, in ms. */
const LOOKS = 200;
const PAUSE = 5;

/**
 * Several programs may find the socket of one that was killed. Each could remove what another one has
 * just bound in its place, and does not listen on yet. A lock on the directory, unlike a lock file,
 * leaves nothing behind. A program that may not read the directory goes on without the lock; so does
 * one that finds it locked for long, by somebody who wants something else.
 */
function lockDirectory(directory: string): Disposable {
  let fd: number | undefined;
  try {
    fd = open(directory, constants.O_RDONLY | constants.O_DIRECTORY | O_CLOEXEC);
    for (let looks = 1; !tryFlock(fd, LOCK_EX) && looks < LOOKS; looks++) pause(PAUSE);
  } catch (error) {
    // EACCES, or a directory that bind(2) will complain of; ENOLCK: a filesystem that has no locks.
    const { syscall } = error as NodeJS.ErrnoException;
    if (syscall !== 'open' && syscall !== 'flock') throw error;
  }
  return { [Symbol.dispose]: () => fd !== undefined && close(fd) };
}

function removeStale(path: string): void {
  const found = whoListens(path);
  if (found === undefined) return;
  if (!found.listening) {
    unlinkSync(path);
    return;
  }
  const why = `cannot listen on ${path}: another process listens there`;
  throw posixError(-os.errno.EADDRINUSE, 'bind', path, why);
}

/**
 * Knocks on the socket under a path.
 * @returns undefined if there is none; `pid`: the process that called listen(2), if it takes the
 * connection
 * @throws EACCES if it is another user's
 */
export function whoListens(
  path: string,
): { listening: false } | { listening: true; pid: number | undefined } | undefined {
  if (statSync(path, { throwIfNoEntry: false })?.isSocket() !== true) return undefined;
  const fd = socket(AF_UNIX, SOCK_STREAM);
  try {
    setNonBlocking(fd, true);
    connect(fd, { path });
    return { listening: true, pid: peerCredentials(fd).pid };
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ECONNREFUSED') return { listening: false };
    // As many wait there as may, for a program that hangs.
    if (code === 'EAGAIN') return { listening: true, pid: undefined };
    throw error;
  } finally {
    close(fd);
  }
}
