// Waiting without the event loop.

import { poll } from './descriptor.js';

/** Does nothing for so many ms, or until a signal comes. */
export function pause(ms: number): void {
  try {
    poll([], ms);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EINTR') throw error;
  }
}

/**
 * For what nobody tells when it happens: asks, and asks again after each pause.
 * @param timeout after which it is not asked any more, in ms
 * @param interval length of a pause, in ms
 * @returns whether it is done
 */
export function waitUntil(isDone: () => boolean, timeout: number, interval: number): boolean {
  const deadline = performance.now() + timeout;
  while (!isDone()) {
    if (performance.now() >= deadline) return false;
    pause(interval);
  }
  return true;
}
