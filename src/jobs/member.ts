// One copy of a pool, and the job that it is at.

import { Copy, type CopyOptions } from './copy.js';
import { JobExitedError } from './errors.js';
import { decode, type Frame } from './frames.js';
import { isThenable } from './in-fork.js';
import { Inbox } from './inbox.js';
import { type Answer, type CopySettings, silenceCallbacks } from './inside.js';
import { type JobLimits, watch } from './watch.js';

/** A job, and who waits for it. */
export interface Task {
  argument: unknown;
  signal: AbortSignal | undefined;
  /** When it was handed in, in ms. */
  since: number;
  done: (value: unknown) => void;
  failed: (reason: unknown) => void;
}

/** What the pool is told. */
export interface MemberEvents {
  /** It has done its job and may have another. */
  free: (member: Member) => void;
  /** It is gone; whoever waited for its job knows. */
  ended: (member: Member) => void;
}

export class Member {
  /** How many jobs it was given. */
  jobs = 0;
  #copy: Copy | undefined;
  #task: Task | undefined;
  /** Why it was told to end. */
  #failure: { reason: unknown } | undefined;
  #watch: Disposable | undefined;

  get isBusy(): boolean {
    return this.#task !== undefined;
  }

  /** When the last of it was heard. */
  get ended(): Promise<unknown> | undefined {
    return this.#copy?.ended;
  }

  /**
   * Makes the copy; to be called first thing in a turn of the event loop.
   * @returns false in the copy
   * @throws as fork() does
   */
  start<A, R>(
    run: (argument: A) => R | PromiseLike<R>,
    options: CopyOptions,
    events: MemberEvents,
  ): boolean {
    const copy = Copy.fork(serve(run), { ...options, takesJobs: true }, (frame) =>
      this.#hear(frame, events),
    );
    if (copy === undefined) return false;
    this.#copy = copy;
    void copy.ended.then((how) => {
      const task = this.#release();
      task?.failed(this.#failure === undefined ? new JobExitedError(how) : this.#failure.reason);
      events.ended(this);
    });
    return true;
  }

  /** Gives it a job; it must be free. @throws DataCloneError: it is still free */
  give(task: Task, limits: JobLimits): void {
    const copy = this.#copy!;
    copy.send(task.argument);
    this.#task = task;
    this.jobs++;
    this.#watch = watch(copy, task.signal, limits, (reason) => this.end(reason));
  }

  /** Ends the copy. @param reason what becomes of its job */
  end(reason?: unknown): void {
    this.#failure ??= { reason };
    this.#copy?.kill();
  }

  #hear(frame: Frame, events: MemberEvents): void {
    // It was told to end, which comes.
    if (this.#failure !== undefined) return;
    const task = this.#release();
    const value = decode(frame);
    if (frame.kind === 'error') task?.failed(value);
    else task?.done(value);
    events.free(this);
  }

  #release(): Task | undefined {
    const task = this.#task;
    this.#task = undefined;
    this.#watch?.[Symbol.dispose]();
    this.#watch = undefined;
    return task;
  }
}

/** The life of a copy that takes jobs. */
function serve<A, R>(run: (argument: A) => R | PromiseLike<R>) {
  return (answer: Answer, { lastAsyncId, jobs }: CopySettings): void => {
    silenceCallbacks(lastAsyncId, answer);
    const fail = (error: unknown) => answer.send('error', error);
    const finish = (value: unknown) => {
      try {
        answer.send('result', value);
      } catch (error) {
        fail(error);
      }
    };
    const inbox = new Inbox(jobs!, (frame) => {
      let result: R | PromiseLike<R>;
      try {
        result = run(decode(frame) as A);
      } catch (error) {
        fail(error);
        return;
      }
      if (isThenable(result)) result.then(finish, fail);
      else finish(result);
    });
    void inbox.serve();
  };
}
