/**
 * doublefork/systemd: what a service and its service manager tell each other. daemonize() and supervise()
 * say the most of it by themselves.
 * @module
 */

import { integer, text } from '../posix/errors.js';
import { refuseUnknown } from '../posix/known.js';
import {
  freeDescriptors,
  notifySocket,
  watchdogTimeout as timeoutOfWatchdog,
} from './environment.js';
import { encode, encodeStore, fdName, type Notification, send, sendBarrier } from './notify.js';

export type { Notification };

/** A descriptor that a service manager has passed to this process. */
export interface PassedDescriptor {
  /** FileDescriptorName= of the unit, FDNAME= of what was stored; `'unknown'`: it has none. */
  name: string;
  fd: number;
}

/**
 * Tells the service manager something. Which process may do so is for the unit to say (NotifyAccess=): by
 * default its main process.
 * @returns false: there is no service manager that listens
 * @throws the error of sendmsg(2); ERR_INVALID_ARG_TYPE, ERR_OUT_OF_RANGE
 * @see sd_notify(3)
 */
export function notify(notification: Notification): boolean {
  return tell(encode(notification));
}

/**
 * Waits until the service manager has read all that it was told before.
 * @param timeout in ms; default 5000
 * @returns false: there is none
 * @throws ETIMEDOUT
 * @see sd_notify_barrier(3)
 */
export function barrier(timeout = 5000): boolean {
  const address = notifySocket();
  if (address === undefined) return false;
  sendBarrier(address, integer(timeout, 'timeout', 0));
  return true;
}

/**
 * The descriptors that the service manager has passed to this process: sockets of a socket unit, and what
 * was stored by {@link storeFd} before a restart. They are close-on-exec, and the variables are removed, so
 * that no child takes them for its own. `listen()` takes those that fit by itself; they are no longer listed.
 * @see sd_listen_fds_with_names(3)
 */
export function listenFds(): PassedDescriptor[] {
  return freeDescriptors().map(({ name, fd }) => ({ name, fd }));
}

/**
 * Has the service manager keep a descriptor: the next start of the service finds it in {@link listenFds}.
 * The unit needs `FileDescriptorStoreMax=`.
 * @param options.keep also when the other end hangs up; default false
 * @returns false: there is no service manager that listens
 */
export function storeFd(name: string, fd: number, options: { keep?: boolean } = {}): boolean {
  refuseUnknown(options, ['keep'], 'options');
  return tell(...encodeStore(name, fd, options.keep === true));
}

/** Has the service manager close what it keeps under a name. @returns false: there is none that listens */
export function removeFd(name: string): boolean {
  return tell(`FDSTOREREMOVE=1\nFDNAME=${fdName(text(name, 'name'))}`);
}

/**
 * Within which time the service manager wants to hear `notify({ watchdog: 'alive' })`, in ms; undefined: it
 * does not. daemonize() and supervise() see to it by themselves.
 * @see sd_watchdog_enabled(3)
 */
export function watchdogTimeout(): number | undefined {
  return timeoutOfWatchdog();
}

function tell(message: string, fds: readonly number[] = []): boolean {
  const address = notifySocket();
  if (address === undefined) return false;
  send(address, message, fds);
  return true;
}
