// /dev/null.

import { constants } from '../builtin/fs.js';
import { O_CLOEXEC, open } from './descriptor.js';

export const NULL_DEVICE = '/dev/null';

/** /dev/null, to read from and to write to. */
export function openNull(): number {
  return open(NULL_DEVICE, constants.O_RDWR | O_CLOEXEC);
}
