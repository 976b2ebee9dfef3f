// Signals as daemon(7) wants them: none blocked, none ignored that the program does not ignore.

import { constants as os } from 'node:os';
import {
  SIG_SETMASK,
  setSignalDisposition,
  signalDisposition,
  sigprocmask,
} from '../posix/signal.js';

const SIGKILL = 9;
/**
 * Node ignores these for its own sake: write(2) is to fail with EPIPE, or with EFBIG at the limit of a
 * file's size, not to end the process.
 */
const IGNORED_BY_NODE: ReadonlySet<number> = new Set([os.signals.SIGPIPE, os.signals.SIGXFSZ]);
/** SIGSTOP differs between systems; both it and SIGKILL have no disposition to change. */
const LAST = process.platform === 'linux' ? 64 : 31;

/**
 * Unblocks all signals and resets those that are ignored: nohup(1) and shells leave SIGHUP, SIGINT
 * and SIGQUIT so. What Node ignores stays so, and handlers of the program's stay.
 */
export function resetSignals(): void {
  for (let signal = 1; signal <= LAST; signal++) {
    // libc keeps 32 and 33 for itself.
    if (signal === SIGKILL || signal === 32 || signal === 33) continue;
    if (IGNORED_BY_NODE.has(signal)) continue;
    if (signalDisposition(signal) === 'ignore') setSignalDisposition(signal, 'default');
  }
  sigprocmask(SIG_SETMASK, []);
}
