// A wait without the event loop.

import { poll } from './descriptor.js';

/** Does nothing for so many ms, or until a signal comes. */
export function pause(ms: number): void {
  try {
    poll([], ms);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EINTR') throw error;
  }
}
