// Jobs on threads of this process, by way of piscina, where it cannot be copied.

import { partFile } from '../posix/parts.js';
import { JobExitedError, JobMemoryError, JobTimeoutError } from './errors.js';
import type { Executor } from './executor.js';
import { reviveError } from './frames.js';
import type { ThreadAnswer } from './thread.js';
import type { JobLimits } from './watch.js';

/** What is used of piscina. */
interface Piscina {
  run(task: unknown, options: { signal: AbortSignal }): Promise<ThreadAnswer>;
  destroy(): Promise<void>;
}
type PiscinaClass = new (options: object) => Piscina;

interface ThreadsOptions extends JobLimits {
  size: number;
  idleTimeout: number;
}

const NOT_CLONED = 'The result could not be cloned.';

/** In which process.exit() of a job shows. */
const EXITED = /^worker exited with code: (\d+)$/;

export class Threads implements Executor {
  readonly #url: string;
  readonly #limits: JobLimits;
  readonly #piscina: Piscina;

  /** @param url of the module @throws ENOTSUP if there is no piscina */
  constructor(
    url: string,
    { size, idleTimeout, timeout, memoryLimit }: ThreadsOptions,
    why: string,
  ) {
    this.#url = url;
    this.#limits = { timeout, memoryLimit };
    const { Piscina } = requirePiscina(why);
    this.#piscina = new Piscina({
      filename: partFile('thread.js'),
      minThreads: idleTimeout > 0 ? 0 : size,
      maxThreads: size,
      // 0 is never here.
      ...(idleTimeout > 0 ? { idleTimeout } : {}),
      ...(memoryLimit > 0
        ? { resourceLimits: { maxOldGenerationSizeMb: Math.ceil(memoryLimit / 2 ** 20) } }
        : {}),
    });
  }

  async run(argument: unknown, signal: AbortSignal | undefined): Promise<unknown> {
    const { timeout, memoryLimit } = this.#limits;
    const end = new AbortController();
    const onAbort = () => end.abort(signal!.reason);
    signal?.addEventListener('abort', onAbort);
    const timer = timeout > 0 && setTimeout(() => end.abort(new JobTimeoutError(timeout)), timeout);
    let answer: ThreadAnswer;
    try {
      answer = await this.#piscina.run({ url: this.#url, argument }, { signal: end.signal });
    } catch (error) {
      if (end.signal.aborted) throw end.signal.reason;
      throw translate(error as Error, memoryLimit);
    } finally {
      signal?.removeEventListener('abort', onAbort);
      if (timer !== false) clearTimeout(timer);
    }
    if ('error' in answer) throw reviveError(answer.error);
    return answer.value;
  }

  close(): Promise<void> {
    return this.#piscina.destroy();
  }
}

/** What piscina says of a thread that is gone, as of a copy that is. */
function translate(error: Error, memoryLimit: number): Error {
  // What a message between threads makes of a DOMException: an object, or an error that says nothing.
  if (!(error instanceof Error) || error.message === '')
    return new DOMException(NOT_CLONED, 'DataCloneError');
  if ((error as NodeJS.ErrnoException).code === 'ERR_WORKER_OUT_OF_MEMORY') {
    return memoryLimit > 0
      ? new JobMemoryError(memoryLimit)
      : new JobExitedError({ exitCode: 1, signal: null });
  }
  const code = EXITED.exec(error.message)?.[1];
  return code === undefined ? error : new JobExitedError({ exitCode: Number(code), signal: null });
}

function requirePiscina(why: string): { Piscina: PiscinaClass } {
  const { createRequire } = process.getBuiltinModule('node:module');
  try {
    return createRequire(partFile('thread.js'))('piscina');
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== 'MODULE_NOT_FOUND') throw cause;
    throw Object.assign(
      new Error(
        `createPool() runs jobs on threads through piscina here (${why}): npm install piscina`,
        {
          cause,
        },
      ),
      { code: 'ENOTSUP' },
    );
  }
}
