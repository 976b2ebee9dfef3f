// Signals as daemon(7) wants them: none blocked, none ignored that the program does not ignore.

import {
  SIG_SETMASK,
  setSignalDisposition,
  signalDisposition,
  sigprocmask,
} from '../posix/signal.js';

const SIGKILL = 9;
const SIGPIPE = 13;
/** SIGSTOP differs between systems; both it and SIGKILL have no disposition to change. */
const LAST = process.platform === 'linux' ? 64 : 31;

/**
 * Unblocks all signals and resets those that are ignored: nohup(1) and shells leave SIGHUP, SIGINT
 * and SIGQUIT so. SIGPIPE stays ignored, Node relies on it; handlers of the program's stay.
 */
export function resetSignals(): void {
  for (let signal = 1; signal <= LAST; signal++) {
    // libc keeps 32 and 33 for itself.
    if (signal === SIGKILL || signal === SIGPIPE || signal === 32 || signal === 33) continue;
    if (signalDisposition(signal) === 'ignore') setSignalDisposition(signal, 'default');
  }
  sigprocmask(SIG_SETMASK, []);
}
