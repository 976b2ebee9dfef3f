// In the parent: a copy of this process that runs a function, and what is heard of it.

import { addon } from '../posix/addon.js';
import { close, pipe } from '../posix/descriptor.js';
import { type Ending, forgetEnding, noteEnding } from '../posix/ending.js';
import { forkProcess, lastAsyncId } from '../posix/fork.js';
import { runParentHooks } from '../posix/fork-hooks.js';
import type { RecordLockPolicy } from '../posix/lock.js';
import { pidfdOpen, pidfdSendSignal } from '../posix/pidfd.js';
import { type WaitResult, waitpid } from '../posix/process.js';
import { readable } from '../posix/watch.js';
import { encode, type Frame } from './frames.js';
import { Inbox } from './inbox.js';
import { Answer, becomeCopy, type CopySettings, rehearse } from './inside.js';
import { Outbox } from './outbox.js';

/** How a process ended. */
export type Ended = Pick<WaitResult, 'exitCode' | 'signal'>;

/** What of {@link CopySettings} is for the caller to say. */
export interface CopyOptions extends Pick<CopySettings, 'stdio' | 'title'> {
  /** How long the other threads have to come to rest, in ms. */
  quiesceTimeout: number;
  /** Whether it is refused if this process holds record locks. */
  recordLocks: RecordLockPolicy;
  /** Whether {@link Copy.send} is to reach it. */
  takesJobs?: boolean;
}

/** What happens in a copy, with the way to answer. It may leave the rest to the event loop. */
export type Main = (answer: Answer, settings: CopySettings) => void;

/** How much a pipe holds, where the kernel lets it. In bytes. */
const PIPE_SIZE = 1 << 20;
const F_SETPIPE_SZ = 1031;

/** Whether what copies do first has been done here once. */
let rehearsed = false;

export class Copy {
  readonly pid: number;
  /** Resolves when it has ended, and all that it has said was heard. */
  readonly ended: Promise<Ended>;
  /** undefined: it has ended, and the number may mean another file by now. */
  #pidfd: number | undefined;
  #result: Ended | undefined;
  #ending: Ending | undefined;
  /** Where jobs go; undefined: it takes none. */
  readonly #jobs: Outbox | undefined;

  /**
   * Copies this process.
   * @param main runs in the copy
   * @param hear called with each frame that the copy sends
   * @returns undefined in the copy, if main() returns there
   * @throws as fork() does
   */
  static fork(main: Main, options: CopyOptions, hear: (frame: Frame) => void): Copy | undefined {
    const [read, write] = largePipe();
    const [jobs, toJobs] = options.takesJobs === true ? largePipe() : [];
    const parent = process.pid;
    const id = lastAsyncId();
    let pid: number;
    try {
      const { quiesceTimeout: timeoutMs, recordLocks } = options;
      pid = forkProcess({ timeoutMs, recordLocks, heldThreads: 'for-copy' });
    } catch (error) {
      for (const fd of [read, write, jobs, toJobs]) if (fd !== undefined) close(fd);
      throw withRemedy(error as NodeJS.ErrnoException);
    }
    if (pid === 0) {
      close(read);
      if (toJobs !== undefined) close(toJobs);
      live(main, { ...options, lastAsyncId: id, parent, answers: write, jobs });
      return undefined;
    }
    close(write);
    if (jobs !== undefined) close(jobs);
    const copy = new Copy(pid, read, toJobs, hear);
    runParentHooks({ pid });
    if (!rehearsed) {
      rehearsed = true;
      // While the first one is at work.
      setImmediate(rehearse);
    }
    return copy;
  }

  private constructor(
    pid: number,
    fd: number,
    jobs: number | undefined,
    hear: (frame: Frame) => void,
  ) {
    this.pid = pid;
    this.#jobs = jobs === undefined ? undefined : new Outbox(jobs);
    const pidfd = pidfdOpen(pid);
    this.#pidfd = pidfd;
    this.ended = this.#watch(pidfd, fd, hear);
  }

  /**
   * Gives it a job.
   * @throws DataCloneError for what cannot be cloned. If it has ended it hears nothing; see {@link ended}.
   */
  send(value: unknown): void {
    this.#jobs?.send(encode('job', value));
  }

  /** Ends it at once. */
  kill(): void {
    if (this.#pidfd !== undefined) pidfdSendSignal(this.#pidfd, 'SIGKILL');
  }

  /** It has said its last, and is about to end. */
  answered(): void {
    if (this.#pidfd === undefined) return;
    this.#ending = { parent: process.pid, pidfd: this.#pidfd, reap: () => void this.#reap() };
    noteEnding(this.#ending);
  }

  #reap(): Ended {
    this.#pidfd = undefined;
    this.#result ??= waitpid(this.pid);
    if (this.#ending !== undefined) forgetEnding(this.#ending);
    return this.#result;
  }

  async #watch(pidfd: number, fd: number, hear: (frame: Frame) => void): Promise<Ended> {
    const inbox = new Inbox(fd, hear);
    const over = new AbortController();
    const listening = inbox.listen(over.signal);
    await readable(pidfd);
    const ended = this.#reap();
    close(pidfd);
    over.abort();
    await Promise.all([listening, this.#jobs?.close()]);
    // What is left in the pipe. Not until its end: a process that the copy has made may hold that open.
    while (inbox.read() > 0);
    close(fd);
    return ended;
  }
}

/** What there is in place of it, where this process cannot be copied. */
function withRemedy(error: NodeJS.ErrnoException): Error {
  if (error.code === 'ENOTSUP') {
    error.message += ". createPool({ run: 'a module' }) has threads do jobs where there is no fork";
  }
  return error;
}

function largePipe(): [read: number, write: number] {
  const ends = pipe();
  addon.fcntl(ends[1], F_SETPIPE_SZ, PIPE_SIZE);
  return ends;
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
