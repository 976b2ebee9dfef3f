// The end of a pipe at which frames arrive.

import { readSync } from '../builtin/fs.js';
import { setNonBlocking } from '../posix/descriptor.js';
import { onFork } from '../posix/fork-hooks.js';
import { readable } from '../posix/watch.js';
import { type Frame, FrameReader } from './frames.js';

/** How much is heard before others get their turn in this event loop. In bytes. */
const TURN = 1 << 20;
/** How much is read at once. In bytes. */
const CHUNK = 65_536;

export class Inbox {
  readonly #fd: number;
  readonly #hear: (frame: Frame) => void;
  readonly #frames = new FrameReader();
  #ended = false;

  /** @param hear called with each frame, in order */
  constructor(fd: number, hear: (frame: Frame) => void) {
    setNonBlocking(fd, true);
    this.#fd = fd;
    this.#hear = hear;
  }

  /** Hears what comes, until the other end is closed or the signal says so. */
  async listen(signal: AbortSignal): Promise<void> {
    try {
      while (await readable(this.#fd, -1, signal)) {
        // So much at once: others wait for this event loop, too.
        for (let read = 0; read < TURN; read += CHUNK) if (!this.read()) break;
        if (this.#ended) return;
      }
    } catch (error) {
      if (!signal.aborted) throw error;
    }
  }

  /** Hears what comes as long as the process lives, which ends when nothing can come any more. */
  async serve(): Promise<void> {
    const over = new AbortController();
    // What comes is for this process, not for one that a job forks.
    onFork({ child: () => over.abort() });
    await this.listen(over.signal);
    if (!over.signal.aborted) process.exit(0);
  }

  /** @returns false if nothing is there, or nothing comes any more */
  read(): boolean {
    const buffer = Buffer.allocUnsafe(CHUNK);
    try {
      const size = readSync(this.#fd, buffer);
      this.#ended = size === 0;
      for (const frame of this.#frames.push(buffer.subarray(0, size))) this.#hear(frame);
      return size > 0;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'EAGAIN') return false;
      throw error;
    }
  }
}
