// Attributes of the process that not every system knows.

import { prctl } from './process.js';

/**
 * {@link prctl} for what can be done without.
 * @returns false where there is none: the system has no such call; the kernel does not know the option,
 * or user-mode emulation (qemu) does not, which is EINVAL
 */
export function prctlIfKnown(option: number, argument: number): boolean {
  try {
    prctl(option, argument);
    return true;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code !== 'ENOSYS' && code !== 'EINVAL') throw error;
    return false;
  }
}
