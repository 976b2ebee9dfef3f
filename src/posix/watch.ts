// poll(2) that leaves the event loop to everybody else.

import { addon } from './addon.js';
import { checked, descriptor, integer } from './errors.js';

/**
 * Waits until a descriptor is readable; a pidfd is once its process has ended. Unlike {@link poll} it
 * does not block the program. Not for files.
 * @param timeout milliseconds; -1: for ever
 * @param signal ends the wait: the promise is rejected with its reason
 * @returns false if the time is over
 * @throws EBADF, EPERM for a file
 */
export function readable(fd: number, timeout = -1, signal?: AbortSignal): Promise<boolean> {
  return watch(fd, false, timeout, signal);
}

/** The same for a descriptor that takes more. Rejects with the reason of the signal; EBADF, EPERM for a file. */
export async function writable(fd: number, signal?: AbortSignal): Promise<void> {
  await watch(fd, true, -1, signal);
}

/**
 * Calls back whenever a descriptor is readable, until it is disposed of.
 * @throws EBADF, EPERM for a file
 */
export function whileReadable(fd: number, callback: () => void): Disposable {
  const end = checked<() => void>(addon.watch(descriptor(fd), callback, false, true), 'poll');
  return { [Symbol.dispose]: end };
}

async function watch(
  fd: number,
  forWriting: boolean,
  timeout: number,
  signal: AbortSignal | undefined,
): Promise<boolean> {
  signal?.throwIfAborted();
  integer(timeout, 'timeout', -1);
  let timer: NodeJS.Timeout | undefined;
  let onAbort: (() => void) | undefined;
  let end: (() => void) | undefined;
  try {
    return await new Promise<boolean>((resolve, reject) => {
      end = checked<() => void>(
        addon.watch(descriptor(fd), () => resolve(true), forWriting, false),
        'poll',
      );
      if (timeout >= 0) timer = setTimeout(resolve, timeout, false);
      onAbort = () => reject(signal?.reason);
      signal?.addEventListener('abort', onAbort);
    });
  } finally {
    end?.();
    clearTimeout(timer);
    if (onAbort !== undefined) signal?.removeEventListener('abort', onAbort);
  }
}
