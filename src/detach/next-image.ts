// Starts the next image of this program beside this one, with pipes to and from it: for a reload of
// supervise(), and for daemon.handover().

import { encodeHandoff, VARIABLE } from '../image/handoff.js';
import type { Image } from '../image/image.js';
import { openDescriptors, wasInherited } from '../image/inherited.js';
import { openListeners } from '../listen/listen.js';
import type { ImageRequest } from '../posix/addon.js';
import { blockSignals } from '../posix/block-signals.js';
import { close, dup, dup2, pipe, setCloseOnExec } from '../posix/descriptor.js';
import { openNull } from '../posix/null.js';

/** An image that was started, and this process's ends of its pipes. They are the caller's to close. */
export interface NextImage {
  pid: number;
  words: number;
  orders: number;
  /** What it writes to stderr on its way. */
  errors: number;
}

/**
 * @param given what is handed over, beside the listeners, the output of this process and the pipes
 * @param spawn makes the process, with all signals blocked and stderr where its errors go, and returns its id
 * @throws ENOENT, EACCES: no such program, interpreter or directory any more; EAGAIN, ENOMEM, EMFILE; with nothing
 * started
 */
export function startNextImage(
  { path, argv, cwd = '' }: Image,
  given: Omit<Parameters<typeof encodeHandoff>[0], 'stdio' | 'orders' | 'listeners'>,
  spawn: (request: ImageRequest, words: number) => number,
): NextImage {
  const theirs: number[] = [];
  const ours: number[] = [];
  const openPipe = (writes: boolean) => {
    const [read, write] = pipe();
    theirs.push(writes ? write : read);
    ours.push(writes ? read : write);
    return writes ? { our: read, their: write } : { our: write, their: read };
  };
  const duplicate = (fd: number) => {
    const copy = dup(fd);
    theirs.push(copy);
    setCloseOnExec(copy, true);
    return copy;
  };
  const unblockSignals = blockSignals();
  try {
    const words = openPipe(true);
    const orders = openPipe(false);
    const errors = openPipe(true);
    const nullFd = openNull();
    theirs.push(nullFd);
    const output = (fd: number) => ({ fd: duplicate(fd), created: false });
    const handoff = encodeHandoff({
      ...given,
      stdio: [undefined, output(1), output(2)],
      orders: orders.their,
      listeners: openListeners(),
    });
    const inherited = openDescriptors().filter(wasInherited);
    const stderr = duplicate(2);
    let pid: number;
    try {
      dup2(errors.their, 2);
      const request = {
        path,
        argv,
        cwd,
        variable: VARIABLE,
        handoff: handoff.text,
        kept: [...inherited.map(({ fd }) => fd), ...handoff.descriptors],
        nullFds: [1],
        nullFd,
        closed: [],
      };
      pid = spawn(request, words.their);
    } finally {
      dup2(stderr, 2);
    }
    return { pid, words: words.our, orders: orders.our, errors: errors.our };
  } catch (error) {
    for (const fd of ours) close(fd);
    throw error;
  } finally {
    for (const fd of theirs) close(fd);
    unblockSignals();
  }
}
