// Signals as daemon(7) wants them: none blocked, none ignored that the program does not ignore.

import { constants as os } from 'node:os';
import { addon } from '../posix/addon.js';
import { SIG_SETMASK, setSignalDisposition, sigprocmask } from '../posix/signal.js';

/**
 * Node ignores these for its own sake: write(2) is to fail with EPIPE, or with EFBIG at the limit of a
 * file's size, not to end the process.
 */
const IGNORED_BY_NODE: ReadonlySet<number> = new Set([os.signals.SIGPIPE, os.signals.SIGXFSZ]);

/**
 * Unblocks all signals and resets those that are ignored: nohup(1) and shells leave SIGHUP, SIGINT
 * and SIGQUIT so. What Node ignores stays so, and handlers of the program's stay.
 */
export function resetSignals(): void {
  for (const signal of addon.ignoredSignals()) {
    if (!IGNORED_BY_NODE.has(signal)) setSignalDisposition(signal, 'default');
  }
  sigprocmask(SIG_SETMASK, []);
}
