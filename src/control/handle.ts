// A process held on to: what is signalled and waited for is the one that was found, even if its
// number has been given away since.

import { isAlive, type ProcessIdentity, startTime } from '../pidfile/process.js';
import { close, POLLIN, poll } from '../posix/descriptor.js';
import { pidfdOpen, pidfdSendSignal } from '../posix/pidfd.js';
import { kill } from '../posix/process.js';
import { readable } from '../posix/watch.js';

/** How often to look where the system has no pidfd, in ms. */
const PAUSE = 10;

/** A process, by its pidfd where there is such a thing, else by number and start time. */
export class ProcessHandle implements Disposable {
  readonly pid: number;
  readonly #startTime: number | undefined;
  readonly #pidfd: number | undefined;

  private constructor({ pid, startTime }: ProcessIdentity, pidfd: number | undefined) {
    this.pid = pid;
    this.#startTime = startTime;
    this.#pidfd = pidfd;
  }

  /** @returns undefined if it has ended */
  static open(identity: ProcessIdentity): ProcessHandle | undefined {
    let handle: ProcessHandle;
    try {
      handle = new ProcessHandle(identity, pidfdOpen(identity.pid));
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === 'ESRCH') return undefined;
      if (code !== 'ENOSYS') throw error;
      handle = new ProcessHandle(identity, undefined);
    }
    // The number may have been given away before it was opened; from now on that is told.
    if (handle.#isSame()) return handle;
    handle[Symbol.dispose]();
    return undefined;
  }

  #isSame(): boolean {
    return isAlive(this.pid) && startTime(this.pid) === this.#startTime;
  }

  /** @throws ESRCH once it has ended; EPERM */
  signal(signal: NodeJS.Signals | number): void {
    if (this.#pidfd !== undefined) pidfdSendSignal(this.#pidfd, signal);
    else if (this.#isSame()) kill(this.pid, signal, { dangerous: true });
  }

  /** Whether it has ended, reaped or not. */
  get ended(): boolean {
    if (this.#pidfd === undefined) return !this.#isSame();
    return poll([{ fd: this.#pidfd, events: POLLIN }], 0)[0] !== 0;
  }

  /**
   * Waits until it has ended.
   * @param timeout milliseconds
   * @returns false if the time is over
   */
  async wait(timeout: number, signal?: AbortSignal): Promise<boolean> {
    if (this.#pidfd !== undefined) return await readable(this.#pidfd, timeout, signal);
    const end = Date.now() + timeout;
    while (!this.ended) {
      if (Date.now() >= end) return false;
      await process
        .getBuiltinModule('node:timers/promises')
        .setTimeout(PAUSE, undefined, { signal });
    }
    return true;
  }

  [Symbol.dispose](): void {
    if (this.#pidfd !== undefined) close(this.#pidfd);
  }
}
