// A descriptor for a process: unlike its number it never comes to mean another one.

import { constants } from '../builtin/os.js';
import { addon } from './addon.js';
import { check, descriptor, integer } from './errors.js';
import { signalNumber } from './process.js';

/**
 * A descriptor for a process, close-on-exec. poll(2) finds it readable (POLLIN) once the process has
 * ended.
 * @throws ESRCH if there is no such process; EINVAL if the number is a thread's; ENOSYS where the
 * system has no such call (Linux before 5.3, others)
 * @see pidfd_open(2)
 */
export function pidfdOpen(pid: number): number {
  return check(
    addon.pidfdOpen?.(integer(pid, 'pid', 1), 0) ?? -constants.errno.ENOSYS,
    'pidfd_open',
  );
}

/**
 * Sends a signal to the process of a descriptor.
 * @param signal a name or a number; 0 only checks
 * @throws ESRCH once it has ended; EPERM
 * @see pidfd_send_signal(2)
 */
export function pidfdSendSignal(pidfd: number, signal: NodeJS.Signals | number): void {
  check(
    addon.pidfdSendSignal?.(descriptor(pidfd, 'pidfd'), signalNumber(signal, 0)) ??
      -constants.errno.ENOSYS,
    'pidfd_send_signal',
  );
}
