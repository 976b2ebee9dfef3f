// Sockets, for what the net module does not do: bind without an event loop, pass descriptors on, ask
// who is at the other end, send datagrams to unix sockets.

import { addon } from './addon.js';
import { check, checked, descriptor, integer, invalidType } from './errors.js';

export const {
  AF_UNIX,
  AF_INET,
  AF_INET6,
  SOCK_STREAM,
  SOCK_DGRAM,
  SOCK_SEQPACKET,
  SOL_SOCKET,
  SO_REUSEADDR,
  SO_REUSEPORT,
  SO_ACCEPTCONN,
  SO_TYPE,
  IPPROTO_IPV6,
  IPV6_V6ONLY,
  MSG_DONTWAIT,
} = addon.socketConstants;

/** Where a socket is: a path (one that begins with NUL is in Linux's abstract namespace), or a host. */
export type SocketAddress =
  | { path: string }
  | { host: string; port: number; family: typeof AF_INET | typeof AF_INET6 };

type Parts = readonly [domain: number, name: string, port: number];

function parts(address: SocketAddress): Parts {
  if (typeof address !== 'object' || address === null) {
    throw invalidType('address', 'of type object', address);
  }
  if ('path' in address) return [AF_UNIX, string(address.path, 'address.path'), 0];
  const port = integer(address.port, 'address.port', 0, 65_535);
  return [address.family, string(address.host, 'address.host'), port];
}

// Not text() of errors.ts: abstract addresses begin with NUL.
function string(value: unknown, name: string): string {
  if (typeof value !== 'string') throw invalidType(name, 'of type string', value);
  return value;
}

/** For the message of an error. */
function print(address: SocketAddress): string {
  return 'path' in address ? address.path : `${address.host}:${address.port}`;
}

/**
 * Makes a socket, close-on-exec.
 * @param domain AF_UNIX, AF_INET, AF_INET6
 * @param type SOCK_STREAM, SOCK_DGRAM
 * @throws EMFILE, ENFILE, EAFNOSUPPORT
 * @see socket(2)
 */
export function socket(domain: number, type: number, protocol = 0): number {
  return check(
    addon.socket(integer(domain, 'domain'), integer(type, 'type'), integer(protocol, 'protocol')),
    'socket',
  );
}

/**
 * Makes two sockets that are connected to each other, close-on-exec.
 * @param domain AF_UNIX
 * @param type SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET (not on macOS)
 * @throws EMFILE, ENFILE, EPROTONOSUPPORT
 * @see socketpair(2)
 */
export function socketpair(domain: number, type: number): [number, number] {
  return checked(addon.socketpair(integer(domain, 'domain'), integer(type, 'type')), 'socketpair');
}

/**
 * Gives a socket its address. A host that is a name is looked up, which may take a while.
 * @throws EADDRINUSE, EADDRNOTAVAIL, EACCES (a port below 1024), ENAMETOOLONG (a path of more than 107
 * bytes), ENOTFOUND
 * @see bind(2)
 */
export function bind(fd: number, address: SocketAddress): void {
  check(addon.bind(descriptor(fd), ...parts(address)), 'bind', print(address));
}

/** Connects a socket. @throws ECONNREFUSED, ENOENT, EACCES @see connect(2) */
export function connect(fd: number, address: SocketAddress): void {
  check(addon.connect(descriptor(fd), ...parts(address)), 'connect', print(address));
}

/** Has the kernel queue up to `backlog` connections. @throws EADDRINUSE @see listen(2) */
export function listen(fd: number, backlog = 511): void {
  check(addon.listen(descriptor(fd), integer(backlog, 'backlog', 0)), 'listen');
}

/** Takes a connection from the queue; its descriptor is close-on-exec. @throws EAGAIN, EMFILE @see accept(2) */
export function accept(fd: number): number {
  return check(addon.accept(descriptor(fd)), 'accept');
}

/** The address that a socket is bound to. @throws EBADF, ENOTSOCK @see getsockname(2) */
export function getsockname(fd: number): SocketAddress {
  const [domain, name, port] = checked<Parts>(addon.getsockname(descriptor(fd)), 'getsockname');
  return domain === AF_UNIX ? { path: name } : { host: name, port, family: domain };
}

/** Sets an option whose value is an int. @throws EBADF, ENOPROTOOPT @see setsockopt(2) */
export function setsockopt(fd: number, level: number, name: number, value: number): void {
  check(addon.setsockopt(descriptor(fd), level, name, integer(value, 'value')), 'setsockopt');
}

/** Reads an option whose value is an int. @throws EBADF, ENOPROTOOPT @see getsockopt(2) */
export function getsockopt(fd: number, level: number, name: number): number {
  return check(addon.getsockopt(descriptor(fd), level, name), 'getsockopt');
}

/** Who connected to a unix socket, as it was then. */
export interface PeerCredentials {
  /** 0 where the system does not tell. */
  pid: number;
  uid: number;
  gid: number;
}

/** Who is at the other end of a unix socket. @throws EBADF @see SO_PEERCRED in unix(7) */
export function peerCredentials(fd: number): PeerCredentials {
  const [pid, uid, gid] = checked<readonly [number, number, number]>(
    addon.peerCredentials(descriptor(fd)),
    'getsockopt',
  );
  return { pid, uid, gid };
}

/** What {@link sendmsg} sends. */
export interface OutgoingMessage {
  data: Uint8Array;
  /** Descriptors to pass on, over a unix socket. */
  fds?: readonly number[];
  /** Where to, if the socket is not connected. */
  to?: SocketAddress;
  /** MSG_DONTWAIT or 0. */
  flags?: number;
}

/** Sends a message. @returns how many bytes @throws EAGAIN, EPIPE, EMSGSIZE, ENOENT @see sendmsg(2) */
export function sendmsg(fd: number, { data, fds = [], to, flags = 0 }: OutgoingMessage): number {
  const passed = fds.map((passed, index) => descriptor(passed, `fds[${index}]`));
  const sent =
    to === undefined
      ? addon.sendmsg(descriptor(fd), data, passed, flags)
      : addon.sendmsg(descriptor(fd), data, passed, flags, ...parts(to));
  return check(sent, 'sendmsg', to && print(to));
}

/** Options of {@link recvmsg}. */
export interface ReceiveOptions {
  /** Most bytes to take. Default 65,536. */
  length?: number;
  /** Most descriptors to take; the kernel closes what is above. Default 0. */
  fds?: number;
  /** MSG_DONTWAIT or 0. */
  flags?: number;
}

/**
 * Receives a message; descriptors that come with it are close-on-exec.
 * @returns its bytes, none at the end of a stream, and its descriptors
 * @throws EAGAIN, ECONNRESET
 * @see recvmsg(2)
 */
export function recvmsg(
  fd: number,
  { length = 65_536, fds = 0, flags = 0 }: ReceiveOptions = {},
): { data: Buffer; fds: number[] } {
  const buffer = Buffer.alloc(integer(length, 'length', 0));
  const most = integer(fds, 'fds', 0, 253);
  const [size, , ...received] = checked<number[]>(
    addon.recvmsg(descriptor(fd), buffer, most, flags),
    'recvmsg',
  );
  return { data: buffer.subarray(0, size), fds: received };
}
