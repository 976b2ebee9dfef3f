// The end of a pipe that frames go into, without waiting for whoever reads.

import { writeSync } from '../builtin/fs.js';
import { close, setNonBlocking } from '../posix/descriptor.js';
import { writable } from '../posix/watch.js';

export class Outbox {
  readonly #fd: number;
  readonly #waiting: Buffer[] = [];
  readonly #over = new AbortController();
  /** undefined: the pipe has taken all. */
  #blocked: Promise<void> | undefined;

  /** @param fd is closed with this object */
  constructor(fd: number) {
    setNonBlocking(fd, true);
    this.#fd = fd;
  }

  /** Writes a frame, as much as the pipe takes now, and the rest when it does. If nobody reads it is dropped. */
  send(frame: Buffer): void {
    if (this.#over.signal.aborted) return;
    this.#waiting.push(frame);
    if (this.#blocked === undefined) this.#flush();
  }

  #flush(): void {
    for (let frame = this.#waiting[0]; frame !== undefined; frame = this.#waiting[0]) {
      try {
        const size = writeSync(this.#fd, frame);
        if (size < frame.length) this.#waiting[0] = frame.subarray(size);
        else this.#waiting.shift();
      } catch (error) {
        const { code } = error as NodeJS.ErrnoException;
        // The reader has ended, which is told elsewhere.
        if (code === 'EPIPE') this.#over.abort();
        else if (code === 'EAGAIN') this.#blocked = this.#resume();
        else throw error;
        return;
      }
    }
  }

  async #resume(): Promise<void> {
    try {
      await writable(this.#fd, this.#over.signal);
    } catch (error) {
      if (!this.#over.signal.aborted) throw error;
      return;
    }
    this.#blocked = undefined;
    this.#flush();
  }

  /** Drops what is left. */
  async close(): Promise<void> {
    this.#over.abort();
    await this.#blocked;
    close(this.#fd);
  }
}
