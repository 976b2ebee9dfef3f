// File descriptors.

import { constants } from '../builtin/fs.js';
import { addon } from './addon.js';
import { check, checked, descriptor, integer, invalidType, text } from './errors.js';

/** open(2) flag that Node's own constants lack: closed by execve(2). */
export const O_CLOEXEC = process.platform === 'darwin' ? 0x1000000 : 0o2000000;

/** poll(2) events. */
export const POLLIN = 1;
export const POLLPRI = 2;
export const POLLOUT = 4;
export const POLLERR = 8;
export const POLLHUP = 16;
export const POLLNVAL = 32;

/**
 * Opens a file.
 * @param flags of `fs.constants`, and O_CLOEXEC; without the latter a child inherits the descriptor
 * @param mode permission bits of a file that is created, before the umask
 * @throws ENOENT, EACCES, ELOOP (O_NOFOLLOW on a link), EMFILE
 * @see open(2)
 */
export function open(path: string, flags: number = constants.O_RDONLY, mode = 0o666): number {
  return check(
    addon.open(text(path, 'path'), integer(flags, 'flags', 0), integer(mode, 'mode', 0, 0o7777)),
    'open',
    path,
  );
}

/** Closes a descriptor. @throws EBADF @see close(2) */
export function close(fd: number): void {
  check(addon.close(descriptor(fd)), 'close');
}

/** A second descriptor, the lowest free one, for the same open file. @throws EBADF, EMFILE @see dup(2) */
export function dup(fd: number): number {
  return check(addon.dup(descriptor(fd)), 'dup');
}

/** Makes `to` another descriptor of what `from` is open on. @throws EBADF @see dup2(2) */
export function dup2(from: number, to: number): number {
  return check(addon.dup2(descriptor(from, 'from'), descriptor(to, 'to')), 'dup2');
}

/**
 * dup2 with flags.
 * @param flags O_CLOEXEC or 0
 * @throws EBADF; EINVAL if both are the same
 * @see dup3(2)
 */
export function dup3(from: number, to: number, flags: number): number {
  return check(
    addon.dup3(descriptor(from, 'from'), descriptor(to, 'to'), integer(flags, 'flags', 0)),
    'dup3',
  );
}

/**
 * Makes a pipe.
 * @param flags O_CLOEXEC (the default, as with everything Node opens), O_NONBLOCK
 * @returns its end to read from and its end to write to
 * @throws EMFILE, ENFILE
 * @see pipe2(2)
 */
export function pipe(flags: number = O_CLOEXEC): [read: number, write: number] {
  return checked(addon.pipe(integer(flags, 'flags', 0)), 'pipe');
}

/** What {@link poll} waits for: a descriptor and a set of POLL* events. */
export interface PollRequest {
  fd: number;
  events: number;
}

/**
 * Waits until one of the descriptors is ready. Blocks the whole program meanwhile.
 * @param timeout milliseconds; -1: for ever
 * @returns for each request, in order, the events that have come, 0 if none
 * @throws EINTR
 * @see poll(2)
 */
export function poll(requests: readonly PollRequest[], timeout = -1): number[] {
  if (!Array.isArray(requests)) throw invalidType('requests', 'an Array', requests);
  const fds = requests.map(({ fd }, index) => integer(fd, `requests[${index}].fd`));
  const events = requests.map(({ events }, index) =>
    integer(events, `requests[${index}].events`, 0, 0x7fff),
  );
  return checked(addon.poll(fds, events, integer(timeout, 'timeout', -1)), 'poll');
}

/** Whether a descriptor is a terminal. False, too, for one that is not open. @see isatty(3) */
export function isatty(fd: number): boolean {
  return addon.isatty(descriptor(fd)) === 1;
}

/** The path of the terminal that a descriptor is open on. @throws ENOTTY, EBADF @see ttyname(3) */
export function ttyname(fd: number): string {
  return checked<string>(addon.ttyname(descriptor(fd)), 'ttyname');
}

/** fcntl(2) commands, and the flag that the first two are about. */
const F_GETFD = 1;
const F_SETFD = 2;
const F_GETFL = 3;
const F_SETFL = 4;
const FD_CLOEXEC = 1;

/** Whether execve(2) closes a descriptor. @throws EBADF @see fcntl(2) */
export function isCloseOnExec(fd: number): boolean {
  return (check(addon.fcntl(descriptor(fd), F_GETFD, 0), 'fcntl') & FD_CLOEXEC) !== 0;
}

/** Has execve(2) close a descriptor, or not. @throws EBADF @see fcntl(2) */
export function setCloseOnExec(fd: number, on: boolean): void {
  check(addon.fcntl(descriptor(fd), F_SETFD, on ? FD_CLOEXEC : 0), 'fcntl');
}

/** Has calls fail with EAGAIN that would wait, for everybody who has this open file. @throws EBADF @see fcntl(2) */
export function setNonBlocking(fd: number, on: boolean): void {
  const flags = check(addon.fcntl(descriptor(fd), F_GETFL, 0), 'fcntl');
  const { O_NONBLOCK } = constants;
  check(addon.fcntl(fd, F_SETFL, on ? flags | O_NONBLOCK : flags & ~O_NONBLOCK), 'fcntl');
}

/**
 * Closes every descriptor from `first` to `last`.
 * @param last default: the highest there can be
 * @throws ENOSYS where the kernel lacks the call (Linux before 5.9, macOS)
 * @see close_range(2)
 */
export function closeRange(first: number, last = 0x7fffffff): void {
  check(addon.closeRange(descriptor(first, 'first'), descriptor(last, 'last'), 0), 'close_range');
}
