// Children that have done what they were made for, and whose end is a matter of milliseconds: the kernel
// frees their memory. Nobody waits for that, but for who must have no children.

import { POLLIN, poll } from './descriptor.js';
import { shared } from './shared.js';

/** A child that is ending. */
export interface Ending {
  /** Whose child it is: a fork of that has this object, too. */
  parent: number;
  pidfd: number;
  /** Waits for it, once. */
  reap(): void;
}

/** How long one is waited for, in ms: longer than any kernel needs, and no hang if it was stopped. */
const PATIENCE = 1000;

const ending = shared('ending', () => new Set<Ending>());

export function noteEnding(child: Ending): void {
  ending.add(child);
}

export function forgetEnding(child: Ending): void {
  ending.delete(child);
}

/** Waits for those of this process. */
export function reapEnding(): void {
  for (const child of ending) {
    ending.delete(child);
    if (child.parent !== process.pid) continue;
    if (hasEnded(child.pidfd)) child.reap();
  }
}

function hasEnded(fd: number): boolean {
  const deadline = performance.now() + PATIENCE;
  for (;;) {
    try {
      const left = Math.max(0, Math.ceil(deadline - performance.now()));
      return poll([{ fd, events: POLLIN }], left)[0] !== 0;
    } catch (error) {
      // Its own SIGCHLD, for example.
      if ((error as NodeJS.ErrnoException).code !== 'EINTR') throw error;
    }
  }
}
