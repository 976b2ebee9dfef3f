// Two commands about one daemon: the second waits until the first is done.

import { closeSync, constants, readSync, writeSync } from '../builtin/fs.js';
import { join } from '../builtin/path.js';
import { O_CLOEXEC, open } from '../posix/descriptor.js';
import { flock, LOCK_EX, LOCK_UN, tryFlock } from '../posix/lock.js';
import { makeFolder, stateFolder } from './folders.js';
import { checkName } from './record.js';

const FLAGS = constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW | O_CLOEXEC;

/**
 * Where no file can be made, or the directory is refused, that must not keep a daemon from being stopped. A
 * start has the error when it writes there itself.
 */
const NO_FILE = new Set(['EACCES', 'EPERM', 'ENOTDIR', 'EEXIST', 'EROFS', 'ENOSPC', 'EDQUOT']);

/** The turn of a command that starts or stops a daemon: a lock on .NAME.lock. */
export class Turn implements Disposable {
  #fd: number | undefined;

  private constructor(fd: number | undefined) {
    this.#fd = fd;
  }

  /**
   * Waits for it. A turn without a lock where nothing can be written.
   * @param onWait called before a wait, with the pid of the process that is waited for if it is known
   */
  static take(name: string, onWait: (pid: number | undefined) => void): Turn {
    const folder = stateFolder();
    let fd: number;
    try {
      makeFolder(folder);
      fd = open(join(folder, `.${checkName(name)}.lock`), FLAGS, 0o600);
    } catch (error) {
      if (!NO_FILE.has((error as NodeJS.ErrnoException).code ?? '')) throw error;
      return new Turn(undefined);
    }
    if (!tryFlock(fd, LOCK_EX)) {
      onWait(pidIn(fd));
      wait(fd);
    }
    // For whoever waits. What is shorter than a number before leaves its rest, behind the newline.
    try {
      writeSync(fd, `${process.pid}\n`, 0);
    } catch (error) {
      if (!NO_FILE.has((error as NodeJS.ErrnoException).code ?? '')) throw error;
    }
    return new Turn(fd);
  }

  /** Also for the copies that a fork has made. */
  release(): void {
    if (this.#fd === undefined) return;
    flock(this.#fd, LOCK_UN);
    closeSync(this.#fd);
    this.#fd = undefined;
  }

  [Symbol.dispose](): void {
    this.release();
  }
}

/** Without the event loop: there is nothing else to do, and the signals of the terminal end it. */
function wait(fd: number): void {
  for (let taken = false; !taken; ) {
    try {
      flock(fd, LOCK_EX);
      taken = true;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EINTR') throw error;
    }
  }
}

function pidIn(fd: number): number | undefined {
  const buffer = Buffer.alloc(16);
  const pid = Number.parseInt(buffer.toString('latin1', 0, readSync(fd, buffer, 0, 16, 0)), 10);
  return pid > 0 ? pid : undefined;
}
