// constants and os.constants: the same numbers from every door.
import constants from 'node:constants';
import { constants as fs } from 'node:fs';
import os from 'node:os';
import { getSystemErrorMap, getSystemErrorName } from 'node:util';

await globalThis.midpoint?.();
console.log(constants.ENOENT, constants.O_RDWR === fs.O_RDWR, constants.SIGTERM, constants.S_IFMT);
console.log(Object.keys(os.constants).sort().join(' '));
console.log(os.constants.signals.SIGUSR2, os.constants.errno.EAGAIN, os.constants.priority);
console.log(getSystemErrorName(-os.constants.errno.EPERM), getSystemErrorMap().get(-13));
