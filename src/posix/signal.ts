// Signal masks and dispositions.

import { addon } from './addon.js';
import { check, checked, integer } from './errors.js';
import { signalName, signalNumber } from './process.js';

/** sigprocmask(2): how the given set changes the mask. */
const linux = process.platform === 'linux';
export const SIG_BLOCK = linux ? 0 : 1;
export const SIG_UNBLOCK = linux ? 1 : 2;
export const SIG_SETMASK = linux ? 2 : 3;

/**
 * Changes which signals the main thread does not take for now.
 * @param how SIG_BLOCK adds, SIG_UNBLOCK removes, SIG_SETMASK replaces
 * @returns the signals that were blocked before
 * @throws EINVAL for a signal that does not exist
 * @see pthread_sigmask(3)
 */
export function sigprocmask(
  how: number,
  signals: readonly (NodeJS.Signals | number)[],
): NodeJS.Signals[] {
  const numbers = signals.map((signal) => signalNumber(signal));
  return checked(addon.sigprocmask(integer(how, 'how', 0, 3), numbers), 'sigprocmask').map(
    signalName,
  );
}

/** What happens when a signal comes: the default, nothing, or a handler of the program's. */
export type Disposition = 'default' | 'ignore' | 'handler';

const dispositions: readonly Disposition[] = ['default', 'ignore', 'handler'];

/** What a signal does in this process now. @see sigaction(2) */
export function signalDisposition(signal: NodeJS.Signals | number): Disposition {
  return dispositions[check(addon.disposition(signalNumber(signal)), 'sigaction')]!;
}

/**
 * Has a signal do its default, or nothing. Handlers are `process.on`'s to install.
 * @throws EINVAL for SIGKILL and SIGSTOP
 * @see sigaction(2)
 */
export function setSignalDisposition(
  signal: NodeJS.Signals | number,
  to: 'default' | 'ignore',
): void {
  check(addon.setDisposition(signalNumber(signal), to === 'ignore' ? 1 : 0), 'sigaction');
}
