// What ends a copy too early.

import type { Copy } from './copy.js';
import { JobMemoryError, JobTimeoutError } from './errors.js';
import { privateMemory } from './memory.js';

/** What a job may use up before its copy is ended; 0: no limit. */
export interface JobLimits {
  timeout: number;
  memoryLimit: number;
}

/** How often memory is looked at, in ms. */
const MEMORY_INTERVAL = 250;

/**
 * Looks after a copy that is at a job.
 * @param end called with the reason of the signal, or with the limit that was passed
 * @returns disposed of, it watches no more
 */
export function watch(
  copy: Copy,
  signal: AbortSignal | undefined,
  { timeout, memoryLimit }: JobLimits,
  end: (reason: Error) => void,
): Disposable {
  const onAbort = () => end(signal!.reason);
  signal?.addEventListener('abort', onAbort);
  const timer = timeout > 0 && setTimeout(() => end(new JobTimeoutError(timeout)), timeout);
  const memory =
    memoryLimit > 0 &&
    setInterval(() => {
      const bytes = privateMemory(copy.pid);
      if (bytes > memoryLimit) end(new JobMemoryError(memoryLimit, bytes));
    }, MEMORY_INTERVAL);
  return {
    [Symbol.dispose]: () => {
      signal?.removeEventListener('abort', onAbort);
      if (timer !== false) clearTimeout(timer);
      if (memory !== false) clearInterval(memory);
    },
  };
}
