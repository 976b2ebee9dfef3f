// The end of a pipe at which frames arrive.

import { readSync } from '../builtin/fs.js';
import { setNonBlocking } from '../posix/descriptor.js';
import { onFork } from '../posix/fork-hooks.js';
import { whileReadable } from '../posix/watch.js';
import { type Frame, FrameReader } from './frames.js';

/** How much is heard before others get their turn in this event loop. In bytes. */
const TURN = 1 << 20;

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
  listen(signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const watch = whileReadable(this.#fd, () => {
        try {
          // So much at once: others wait for this event loop, too.
          for (let left = TURN; left > 0; ) {
            const size = this.read();
            if (size === 0) break;
            left -= size;
          }
          if (this.#ended) end();
        } catch (error) {
          end();
          reject(error);
        }
      });
      const end = () => {
        watch[Symbol.dispose]();
        signal.removeEventListener('abort', end);
        resolve();
      };
      signal.addEventListener('abort', end);
    });
  }

  /** Hears what comes as long as the process lives, which ends when nothing can come any more. */
  async serve(): Promise<void> {
    const over = new AbortController();
    // What comes is for this process, not for one that a job forks.
    onFork({ child: () => over.abort() });
    await this.listen(over.signal);
    if (!over.signal.aborted) process.exit(0);
  }

  /** @returns how many bytes have come; 0: none is there, or none comes any more */
  read(): number {
    let size: number;
    try {
      size = readSync(this.#fd, this.#frames.room());
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'EAGAIN') return 0;
      throw error;
    }
    this.#ended = size === 0;
    for (const frame of this.#frames.take(size)) this.#hear(frame);
    return size;
  }
}
