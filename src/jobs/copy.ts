// In the parent: a copy of this process that runs a function, and what is heard of it.

import { readSync } from '../builtin/fs.js';
import { addon } from '../posix/addon.js';
import { close, pipe, setNonBlocking } from '../posix/descriptor.js';
import { forkProcess, lastAsyncId } from '../posix/fork.js';
import { runParentHooks } from '../posix/fork-hooks.js';
import { pidfdOpen, pidfdSendSignal } from '../posix/pidfd.js';
import { type WaitResult, waitpid } from '../posix/process.js';
import { readable } from '../posix/watch.js';
import { type Frame, FrameReader } from './frames.js';
import { Answer, becomeCopy, type CopySettings } from './inside.js';

/** How a process ended. */
export type Ended = Pick<WaitResult, 'exitCode' | 'signal'>;

/** What of {@link CopySettings} is for the caller to say. */
export interface CopyOptions extends Pick<CopySettings, 'stdio' | 'title'> {
  /** How long the other threads have to come to rest, in ms. */
  quiesceTimeout: number;
}

/** What happens in a copy, with the way to answer. It may leave the rest to the event loop. */
export type Main = (answer: Answer, settings: CopySettings) => void;

/** How much a pipe holds, where the kernel lets it. In bytes. */
const PIPE_SIZE = 1 << 20;
/** How much is read at once. In bytes. */
const CHUNK = 65_536;
const F_SETPIPE_SZ = 1031;

export class Copy {
  readonly pid: number;
  /** Resolves when it has ended, and all that it has said was heard. */
  readonly ended: Promise<Ended>;
  /** undefined: it has ended, and the number may mean another file by now. */
  #pidfd: number | undefined;

  /**
   * Copies this process.
   * @param main runs in the copy
   * @param hear called with each frame that the copy sends
   * @returns undefined in the copy, if main() returns there
   * @throws as fork() does
   */
  static fork(main: Main, options: CopyOptions, hear: (frame: Frame) => void): Copy | undefined {
    const [read, write] = pipe();
    addon.fcntl(write, F_SETPIPE_SZ, PIPE_SIZE);
    const parent = process.pid;
    const id = lastAsyncId();
    let pid: number;
    try {
      pid = forkProcess({ timeoutMs: options.quiesceTimeout, holdThreads: true });
    } catch (error) {
      close(read);
      close(write);
      throw error;
    }
    if (pid === 0) {
      close(read);
      live(main, { ...options, lastAsyncId: id, parent, answers: write });
      return undefined;
    }
    close(write);
    const copy = new Copy(pid, read, hear);
    runParentHooks({ pid });
    return copy;
  }

  private constructor(pid: number, fd: number, hear: (frame: Frame) => void) {
    this.pid = pid;
    const pidfd = pidfdOpen(pid);
    this.#pidfd = pidfd;
    this.ended = this.#watch(pidfd, fd, hear);
  }

  /** Ends it at once. */
  kill(): void {
    if (this.#pidfd !== undefined) pidfdSendSignal(this.#pidfd, 'SIGKILL');
  }

  async #watch(pidfd: number, fd: number, hear: (frame: Frame) => void): Promise<Ended> {
    setNonBlocking(fd, true);
    const inbox = new Inbox(fd, hear);
    const over = new AbortController();
    const listening = inbox.listen(over.signal);
    await readable(pidfd);
    this.#pidfd = undefined;
    const ended = waitpid(this.pid);
    close(pidfd);
    over.abort();
    await listening;
    // What is left in the pipe. Not until its end: a process that the copy has made may hold that open.
    while (inbox.read()) {}
    close(fd);
    return ended;
  }
}

/** The parent's end of the pipe. */
class Inbox {
  readonly #fd: number;
  readonly #hear: (frame: Frame) => void;
  readonly #frames = new FrameReader();
  #ended = false;

  constructor(fd: number, hear: (frame: Frame) => void) {
    this.#fd = fd;
    this.#hear = hear;
  }

  /** Hears what comes, until the other end is closed or the signal says so. */
  async listen(signal: AbortSignal): Promise<void> {
    try {
      while (await readable(this.#fd, -1, signal)) {
        // So much at once: others wait for this event loop, too.
        for (let read = 0; read < PIPE_SIZE; read += CHUNK) if (!this.read()) break;
        if (this.#ended) return;
      }
    } catch (error) {
      if (!signal.aborted) throw error;
    }
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

/** Nothing of this may return to the caller with an exception: the program would go on in two processes. */
function live(main: Main, settings: CopySettings): void {
  const answer = new Answer(settings.answers);
  try {
    becomeCopy(settings, answer);
    main(answer, settings);
  } catch (error) {
    answer.finish('error', error);
  }
}
