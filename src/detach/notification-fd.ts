// The descriptor on which a manager of s6's kind waits for a newline: the service is ready. s6 tells its
// number in the file `notification-fd` of the service's directory; for others it is in the environment.

import { fstatSync } from '../builtin/fs.js';
import { inheritedDescriptors } from '../image/inherited.js';
import { setCloseOnExec } from '../posix/descriptor.js';
import { readProc } from '../posix/processes.js';
import { managerFacts } from './recognize.js';

/** For managers that can be told to set one: `ready-notification = pipevar:DOUBLEFORK_NOTIFY_FD` of dinit. */
const VARIABLE = 'DOUBLEFORK_NOTIFY_FD';

/** undefined: there is none. */
export function findNotificationFd(): number | undefined {
  const given = process.env[VARIABLE];
  delete process.env[VARIABLE];
  const { parent, ppid } = managerFacts();
  const text =
    given ?? (parent === 's6-supervise' ? readProc(`/proc/${ppid}/cwd/notification-fd`) : '');
  const fd = Number.parseInt(text ?? '', 10);
  if (isOurs(fd)) {
    setCloseOnExec(fd, true);
    return fd;
  }
  if (given !== undefined) {
    process.emitWarning(
      `${VARIABLE}=${given} is no pipe or socket that this process was started with: it is not told that the service is ready`,
      { type: 'DoubleforkWarning', code: 'DOUBLEFORK_NOTIFY_FD' },
    );
  }
  return undefined;
}

function isOurs(fd: number): boolean {
  if (!(fd >= 0) || (fd > 2 && !inheritedDescriptors().has(fd))) return false;
  try {
    const stat = fstatSync(fd);
    return stat.isFIFO() || stat.isSocket();
  } catch {
    return false;
  }
}
