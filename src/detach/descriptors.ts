// Which descriptors the daemon keeps: its own, and the inherited ones that were asked for.

import { mayBeInherited, wasInherited } from '../image/inherited.js';
import type { OpenDescriptor } from '../posix/addon.js';
import { close, dup3, isatty, O_CLOEXEC } from '../posix/descriptor.js';
import { openNull } from '../posix/null.js';
import { trace } from '../posix/trace.js';

/** Those of the open descriptors that a new image would have as well, though nobody asked for it. */
export function unwanted(open: readonly OpenDescriptor[], keep: ReadonlySet<number>): number[] {
  return open.filter(({ fd, closeOnExec }) => !closeOnExec && !keep.has(fd)).map(({ fd }) => fd);
}

/**
 * Closes what was inherited and points what is the terminal it was started on at /dev/null.
 * @param open what {@link openDescriptors} found, before a chroot(2) took /proc out of sight
 * @param keep inherited ones that stay
 * @param terminals terminals that stay: of standard streams that were kept
 */
export function closeInherited(
  open: readonly OpenDescriptor[],
  keep: ReadonlySet<number>,
  terminals: ReadonlySet<number>,
): void {
  const unknown = open.filter((it) => mayBeInherited(it) && !keep.has(it.fd));
  if (unknown.length > 0) warnOf(unknown);
  for (const descriptor of open) {
    const { fd, terminal, closeOnExec } = descriptor;
    if (wasInherited(descriptor) && !keep.has(fd)) {
      trace?.('daemon', `closes fd ${fd} (${descriptor.object}), which was inherited`);
      closeOnce(fd);
      // The streams that were replaced meanwhile have closed theirs.
    } else if (terminal && isatty(fd) && !terminals.has(fd)) {
      trace?.('daemon', `points fd ${fd}, a terminal, at /dev/null`);
      pointAtNull(fd, closeOnExec);
    }
  }
}

function warnOf(descriptors: readonly OpenDescriptor[]): void {
  const list = descriptors.map(({ fd, object }) => `${fd} (${object})`).join(', ');
  process.emitWarning(
    `descriptors stay open of which it is not known whether they were inherited: ${list}. To have those ` +
      'closed that were, import doublefork before any addon',
    { type: 'DoubleforkWarning', code: 'DOUBLEFORK_LATE_IMPORT' },
  );
}

/** It may be closed already: the channel of child_process.fork() is, when nothing waits to be sent. */
function closeOnce(fd: number): void {
  try {
    close(fd);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EBADF') throw error;
  }
}

function pointAtNull(fd: number, closeOnExec: boolean): void {
  const nullFd = openNull();
  dup3(nullFd, fd, closeOnExec ? O_CLOEXEC : 0);
  close(nullFd);
}
