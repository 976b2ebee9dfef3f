// A moment without signals, for a process that is being made.

import { SIG_BLOCK, SIG_SETMASK, sigprocmask } from './signal.js';

const ALL = Array.from({ length: 64 }, (_, index) => index + 1).filter(
  // libc keeps these for itself.
  (number) => number !== 32 && number !== 33,
);

/** Blocks all signals. @returns a function that unblocks those that were not */
export function blockSignals(): () => void {
  const before = sigprocmask(SIG_BLOCK, process.platform === 'linux' ? ALL : ALL.slice(0, 31));
  return () => void sigprocmask(SIG_SETMASK, before);
}
