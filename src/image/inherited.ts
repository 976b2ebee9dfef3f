// Which descriptors this process was started with.
//
// Node opens everything close-on-exec, so a descriptor that is open early without that flag was
// inherited. (Later it may be an addon's own.) But one with it may have been too: libuv marks at least
// the first 16 at the start (uv_disable_stdio_inheritance). Node then takes the lowest free numbers for
// itself, more than there are left of those 16. So what is not Node's own, below the first of its own
// above 15, was there before it.

import { constants as os } from '../builtin/os.js';
import { addon, type OpenDescriptor } from '../posix/addon.js';
import { posixError } from '../posix/errors.js';
import { shared } from '../posix/shared.js';
import { wasHandedOver } from './handoff.js';

/** libuv marks these whether they are open or not, and goes on until one is not. */
const MARKED = 16;

/** Open descriptors above 2. */
export function openDescriptors(): OpenDescriptor[] {
  const open = addon.openDescriptors();
  if (typeof open !== 'number') return open;
  // No /proc. There is no fork then, and the other engine asks the kernel to close all.
  if (open === -os.errno.ENOENT) return [];
  throw posixError(open, 'opendir');
}

/** Among those that were closed on exec, what was inherited. */
function marked(open: readonly OpenDescriptor[]): Map<number, string> {
  const found = new Map<number, string>();
  if (process.platform !== 'linux') return found;
  const pipes = new Map<string, number>();
  let next = MARKED;
  for (const { fd, object } of open.toSorted((a, b) => a.fd - b.fd)) {
    // Above those it was the first that is not open where libuv stopped.
    if (fd > next) break;
    if (fd === next) next++;
    // Both ends of a pipe are here: libuv's way to wake itself up.
    if (wasHandedOver(fd)) continue;
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

interface Inherited {
  /** By number, what they referred to. */
  certain: ReadonlyMap<number, string>;
  /** An addon that was loaded before this may have opened them. */
  uncertain: ReadonlyMap<number, string>;
}

function inherited(): Inherited {
  const open = openDescriptors();
  const found = marked(open);
  for (const { fd, closeOnExec, object } of open) if (!closeOnExec) found.set(fd, object);
  if (!addon.hasAddons()) return { certain: found, uncertain: new Map() };
  // What is below Node's first own was there before it: numbers are given out from below.
  const first = open.find(
    ({ closeOnExec, object }) => closeOnExec && object === 'anon_inode:[eventpoll]',
  );
  const isCertain = ([fd]: [number, string]) => fd < (first?.fd ?? 0) || wasHandedOver(fd);
  const all = [...found];
  return {
    certain: new Map(all.filter(isCertain)),
    uncertain: new Map(all.filter((it) => !isCertain(it))),
  };
}

// Taken when the module is loaded: later a number may have been closed and used again.
const atStart = shared('inheritedDescriptors', inherited);

/** Whether this process was started with a descriptor, rather than having opened it. */
export function wasInherited({ fd, object }: OpenDescriptor): boolean {
  return atStart.certain.get(fd) === object;
}

/** The numbers of all that this process was started with and that is still open. */
export function inheritedDescriptors(): ReadonlySet<number> {
  return new Set(
    openDescriptors()
      .filter(wasInherited)
      .map(({ fd }) => fd),
  );
}

/**
 * Whether that cannot be told, since this was loaded late: an addon may have opened it. Then it is
 * treated as the program's own.
 */
export function mayBeInherited({ fd, object }: OpenDescriptor): boolean {
  return atStart.uncertain.get(fd) === object;
}
