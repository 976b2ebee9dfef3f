// Jobs that are copied from an image: a copy of this process that was made once, at a quiet moment, and
// does nothing but copy itself. So this process does not pause for them, however large it has become.

import { Copy } from './copy.js';
import { JobExitedError } from './errors.js';
import type { Executor } from './executor.js';
import { decode, encodeError, type Frame } from './frames.js';
import { type JobSettings, nextTurn, resultOf, runInCopy } from './in-fork.js';
import { Inbox } from './inbox.js';
import { type Answer, type CopySettings, silenceCallbacks } from './inside.js';

/** To the image: a job, or the wish to end one. */
type Request = { id: number; argument: unknown } | { id: number; end: true };

/** From the image: what the job's copy has answered, as it came. */
interface Reply extends Frame {
  id: number;
}

interface Waiting {
  resolve: (frame: Frame) => void;
  reject: (error: unknown) => void;
}

export class Image<A, R> implements Executor {
  readonly #ready: Promise<Copy>;
  readonly #waiting = new Map<number, Waiting>();
  #count = 0;
  /** Why no job runs any more. */
  #ended: Error | undefined;

  /** The image is made in the next turn of the event loop. */
  constructor(run: (argument: A) => R | PromiseLike<R>, settings: JobSettings) {
    this.#ready = this.#make(run, settings);
    // Each job is told.
    this.#ready.catch(() => {});
  }

  async #make(run: (argument: A) => R | PromiseLike<R>, settings: JobSettings): Promise<Copy> {
    let image: Copy | undefined;
    await nextTurn(() => {
      const options = { ...settings, takesJobs: true };
      image = Copy.fork(serve(run, settings), options, (frame) => this.#hear(frame));
    });
    // This is the image.
    if (image === undefined) return new Promise(() => {});
    void image.ended.then((how) => {
      this.#ended ??= new JobExitedError(how);
      for (const { reject } of this.#waiting.values()) reject(this.#ended);
    });
    return image;
  }

  async run(argument: unknown, signal: AbortSignal | undefined): Promise<unknown> {
    const image = await this.#ready;
    signal?.throwIfAborted();
    if (this.#ended !== undefined) throw this.#ended;
    const id = ++this.#count;
    // Before anybody waits for it: an argument may be none that can be cloned.
    image.send({ id, argument } satisfies Request);
    const end = () => image.send({ id, end: true } satisfies Request);
    signal?.addEventListener('abort', end);
    try {
      const frame = await new Promise<Frame>((resolve, reject) => {
        this.#waiting.set(id, { resolve, reject });
      });
      signal?.throwIfAborted();
      return resultOf(frame);
    } finally {
      signal?.removeEventListener('abort', end);
      this.#waiting.delete(id);
    }
  }

  #hear(frame: Frame): void {
    const value = decode(frame);
    if (frame.kind === 'error') {
      // Of the image itself, which ends with it.
      this.#ended = value as Error;
      return;
    }
    const { id, kind, body } = value as Reply;
    this.#waiting
      .get(id)
      ?.resolve({ kind, body: Buffer.from(body.buffer, body.byteOffset, body.length) });
  }

  async close(): Promise<void> {
    const image = await this.#ready.catch(() => undefined);
    image?.kill();
    await image?.ended;
  }
}

/** The life of an image. */
function serve<A, R>(run: (argument: A) => R | PromiseLike<R>, settings: JobSettings) {
  return (answer: Answer, { lastAsyncId, jobs }: CopySettings): void => {
    silenceCallbacks(lastAsyncId, answer);
    const running = new Map<number, AbortController>();
    const perform = async (id: number, argument: A): Promise<void> => {
      const controller = new AbortController();
      running.set(id, controller);
      // What it prints goes where the image's goes, which was told already.
      const own = { ...settings, stdio: 'inherit', signal: controller.signal } as const;
      const { kind, body } = await runInCopy(() => run(argument), true, own).answer.catch(
        (error): Frame => ({ kind: 'error', body: encodeError(error) }),
      );
      running.delete(id);
      answer.send('result', { id, kind, body } satisfies Reply);
    };
    const inbox = new Inbox(jobs!, (frame) => {
      const request = decode(frame) as Request;
      if ('end' in request) running.get(request.id)?.abort();
      else void perform(request.id, request.argument as A);
    });
    void inbox.serve();
  };
}
