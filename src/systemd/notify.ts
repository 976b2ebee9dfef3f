// The protocol of sd_notify(3): datagrams of lines NAME=value.

import { constants } from '../builtin/os.js';
import { close, POLLIN, pipe, poll } from '../posix/descriptor.js';
import { descriptor, integer, invalidType, outOfRange, posixError, text } from '../posix/errors.js';
import { refuseUnknown } from '../posix/known.js';
import { AF_UNIX, SOCK_DGRAM, sendmsg, socket } from '../posix/socket.js';

/** What a service manager can be told; all that is given goes in one message. Times are in ms. */
export interface Notification {
  /** It serves: at the start, and at the end of a reload. */
  ready?: boolean;
  /** It begins to reload; `ready` ends that. The time goes with it, as `Type=notify-reload` wants it. */
  reloading?: boolean;
  /** It begins to end. */
  stopping?: boolean;
  /** A line for people, which `systemctl status` shows. */
  status?: string;
  /** Why it fails: a number of errno(3). */
  errno?: number;
  /** Why it fails: a D-Bus error name. */
  busError?: string;
  /** The code that it exits with. */
  exitStatus?: number;
  /** The process that is the service's from now on. It must be told by the one before. */
  mainPid?: number;
  /** `'alive'`: it does not hang; `'trigger'`: it does, and is to be treated so. */
  watchdog?: 'alive' | 'trigger';
  /** From now on it says so within this time. */
  watchdogTimeout?: number;
  /** It starts, reloads or stops for so long from now on, at most, whatever the unit says. */
  extendTimeout?: number;
}

const usec = (name: string, value: number) =>
  `${name}=${Math.round(integer(Math.round(value), name, 0) * 1000)}`;

const FIELDS: {
  [Name in keyof Notification]-?: (value: NonNullable<Notification[Name]>) => string | undefined;
} = {
  ready: (value) => (value ? 'READY=1' : undefined),
  reloading: (value) => (value ? `RELOADING=1\nMONOTONIC_USEC=${monotonicUsec()}` : undefined),
  stopping: (value) => (value ? 'STOPPING=1' : undefined),
  status: (value) => `STATUS=${text(value, 'status').replaceAll(/\s*\n\s*/g, ' ')}`,
  errno: (value) => `ERRNO=${integer(value, 'errno', 0)}`,
  busError: (value) => `BUSERROR=${oneLine(value, 'busError')}`,
  exitStatus: (value) => `EXIT_STATUS=${integer(value, 'exitStatus', 0, 255)}`,
  mainPid: (value) => `MAINPID=${integer(value, 'mainPid', 1)}`,
  watchdog: (value) => {
    if (value === 'alive') return 'WATCHDOG=1';
    if (value === 'trigger') return 'WATCHDOG=trigger';
    throw outOfRange('watchdog', "'alive' or 'trigger'", value);
  },
  watchdogTimeout: (value) => usec('WATCHDOG_USEC', value),
  extendTimeout: (value) => usec('EXTEND_TIMEOUT_USEC', value),
};

/** What hrtime counts is CLOCK_MONOTONIC. */
const monotonicUsec = () => process.hrtime.bigint() / 1000n;

function oneLine(value: string, name: string): string {
  if (text(value, name).includes('\n')) throw outOfRange(name, 'one line', value);
  return value;
}

/** @throws ERR_INVALID_ARG_TYPE, ERR_OUT_OF_RANGE, ERR_INVALID_ARG_VALUE */
export function encode(notification: Notification): string {
  if (typeof notification !== 'object' || notification === null) {
    throw invalidType('notification', 'of type object', notification);
  }
  refuseUnknown(notification, Object.keys(FIELDS), 'notification');
  const lines = Object.entries(notification).flatMap(([name, value]) => {
    if (value === undefined) return [];
    const field = FIELDS[name as keyof Notification] as (value: unknown) => string | undefined;
    return field(value) ?? [];
  });
  return lines.join('\n');
}

/** Sends a message, with descriptors. @throws the error of sendmsg(2); EAFNOSUPPORT for an address of another kind */
export function send(address: string, message: string, fds: readonly number[] = []): void {
  if (!/^[@/]/.test(address)) {
    const detail = 'it must begin with "/" or "@"';
    throw posixError(-constants.errno.EAFNOSUPPORT, 'sendmsg', address, detail);
  }
  const fd = socket(AF_UNIX, SOCK_DGRAM);
  try {
    // "@": a name that is in no file system.
    const to = { path: address.replace(/^@/, '\0') };
    sendmsg(fd, { data: Buffer.from(message), fds: [...fds], to });
  } finally {
    close(fd);
  }
}

/**
 * Waits until the service manager has read all that was sent before.
 * @param timeout in ms
 * @throws ETIMEDOUT
 */
export function sendBarrier(address: string, timeout: number): void {
  const [read, write] = pipe();
  try {
    try {
      send(address, 'BARRIER=1', [write]);
    } finally {
      close(write);
    }
    // It closes its copy of the other end.
    const [events = 0] = poll([{ fd: read, events: POLLIN }], integer(timeout, 'timeout', 0));
    if (events === 0) {
      const detail = `the service manager did not read what it was sent within ${timeout} ms`;
      throw posixError(-constants.errno.ETIMEDOUT, 'poll', address, detail);
    }
  } finally {
    close(read);
  }
}

/** @throws ERR_OUT_OF_RANGE for a name that cannot be told */
export function fdName(name: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: those are what must not be in it
  if (/^[^\x00-\x1f\x7f:]{1,255}$/.test(text(name, 'name'))) return name;
  throw outOfRange(
    'name',
    'up to 255 characters, none of them a colon or a control character',
    name,
  );
}

/** @param keep whether it stays stored when the other end hangs up */
export function encodeStore(name: string, fd: number, keep: boolean): [string, number[]] {
  const lines = ['FDSTORE=1', `FDNAME=${fdName(name)}`, ...(keep ? ['FDPOLL=0'] : [])];
  return [lines.join('\n'), [descriptor(fd, 'fd')]];
}
