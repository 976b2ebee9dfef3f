// Signals as daemon(7) wants them: none blocked, none ignored that the program does not ignore.

import { addon } from '../posix/addon.js';
import { SIG_SETMASK, setSignalDisposition, sigprocmask } from '../posix/signal.js';

/**
 * Unblocks all signals and resets those that are ignored: nohup(1) and shells leave SIGHUP, SIGINT
 * and SIGQUIT so. What Node ignores stays so, and handlers of the program's stay.
 */
export function resetSignals(): void {
  for (const signal of addon.ignoredSignals()) setSignalDisposition(signal, 'default');
  sigprocmask(SIG_SETMASK, []);
}
