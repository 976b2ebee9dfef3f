// Which descriptors this process was started with.
//
// Node opens everything close-on-exec, so a descriptor without that flag was inherited. But one with
// it may have been too: libuv marks at least the first 16 at the start (uv_disable_stdio_inheritance).
// Node then takes the lowest free numbers for itself, more than there are left of those 16. So what is
// not Node's own, below the first of its own above 15, was there before it.

import { readdirSync, readlinkSync } from 'node:fs';
import { isCloseOnExec } from '../posix/descriptor.js';

/** libuv marks these whether they are open or not, and goes on until one is not. */
const MARKED = 16;

const FOLDER = process.platform === 'linux' ? '/proc/self/fd' : '/dev/fd';

/** Open descriptors above 2. Walks the list: there may be room for 2^30 of them. */
export function openDescriptors(): number[] {
  return readdirSync(FOLDER)
    .map(Number)
    .filter((fd) => fd > 2);
}

/** What a descriptor refers to, as /proc names it: a path, or such as 'pipe:[123]'. */
function objectOf(fd: number): string | undefined {
  try {
    return readlinkSync(`${FOLDER}/${fd}`);
  } catch {
    // It is closed, or there is no /proc: then nothing is known of it.
    return undefined;
  }
}

function marked(): ReadonlyMap<number, string> {
  const found = new Map<number, string>();
  if (process.platform !== 'linux') return found;
  const pipes = new Map<string, number>();
  for (let fd = 3; ; fd++) {
    const object = objectOf(fd);
    if (object === undefined) {
      if (fd < MARKED) continue;
      break;
    }
    // Both ends of a pipe are here: libuv's way to wake itself up.
    const other = pipes.get(object);
    if (other !== undefined) {
      found.delete(other);
      if (fd >= MARKED) break;
    } else if (object.startsWith('anon_inode:') || object === '/dev/null') {
      if (fd >= MARKED) break;
    } else {
      found.set(fd, object);
      if (object.startsWith('pipe:')) pipes.set(object, fd);
    }
  }
  return found;
}

// Taken when the module is loaded: later a number may have been closed and used again.
const atStart = marked();

/** Whether this process was started with a descriptor, rather than having opened it. */
export function wasInherited(fd: number): boolean {
  if (!isCloseOnExec(fd)) return true;
  const object = atStart.get(fd);
  return object !== undefined && object === objectOf(fd);
}
