// Sockets that were there before: of the process that started this one, or from a service manager.

import { constants as os } from '../builtin/os.js';
import { absolutePath } from '../image/directory.js';
import { isSuccessor, takeListener } from '../image/handoff.js';
import { close } from '../posix/descriptor.js';
import { posixError } from '../posix/errors.js';
import {
  getsockname,
  getsockopt,
  IPPROTO_IPV6,
  IPV6_V6ONLY,
  SO_ACCEPTCONN,
  SO_TYPE,
  SOCK_DGRAM,
  SOCK_STREAM,
  SOL_SOCKET,
  type SocketAddress,
} from '../posix/socket.js';
import { freeDescriptors, passedDescriptors, takePassed } from '../systemd/environment.js';
import { bindPort } from './inet.js';
import { isUdp, type ListenOptions } from './options.js';

function kindWanted(options: ListenOptions): 'stream' | 'udp' {
  return isUdp(options) ? 'udp' : 'stream';
}

/**
 * The socket of this name that the process before has passed on: one of the wanted kind, and in an image
 * of another version of the wanted address, or the service manager's.
 * @returns `other`: the address of one that is not wanted
 */
export function takeInherited(
  name: string,
  options: ListenOptions,
): { fd: number | undefined; other: SocketAddress | undefined } {
  let other: SocketAddress | undefined;
  const fd = takeListener(name, (fd) => {
    if (kindOf(fd) !== kindWanted(options)) return false;
    if (!isSuccessor() || isPassed(fd) || isExactly(fd, options)) return true;
    other = getsockname(fd);
    return false;
  });
  return { fd, other };
}

/**
 * The socket of this name, or else of this address, that a service manager has passed (socket activation,
 * or its store). By name it may have another address: that is for the administrator to say.
 * @throws EPROTOTYPE if sockets of this name were passed, and all are of another kind
 */
export function takeActivated(name: string, options: ListenOptions): number | undefined {
  const wanted = kindWanted(options);
  const free = freeDescriptors().map((it) => ({ ...it, kind: kindOf(it.fd) }));
  const usable = free.filter(
    ({ fd, kind }) => kind === wanted && (kind === 'udp' || isListening(fd)),
  );
  const isAddressed = ({ fd }: { fd: number }) =>
    ('path' in options || options.port !== 0) && isBoundTo(fd, options);
  const named = usable.filter((it) => it.name === name);
  const stranger = free.find(
    (it) => it.name === name && it.kind !== undefined && it.kind !== wanted,
  );
  if (named.length === 0 && stranger !== undefined) {
    throw posixError(-os.errno.EPROTOTYPE, 'bind', undefined, wrongKind(name, wanted));
  }
  const found = named.find(isAddressed) ?? named[0] ?? usable.find(isAddressed);
  if (found !== undefined) takePassed(found.fd);
  return found?.fd;
}

function wrongKind(name: string, wanted: 'stream' | 'udp'): string {
  const [is, directive] =
    wanted === 'udp'
      ? ['a UDP socket', 'ListenDatagram=']
      : ['a stream socket (TCP, or unix)', 'ListenStream='];
  return (
    `"${name}" is to be ${is}, and the service manager has passed a socket of another type under this name. ` +
    `Its unit needs ${directive}, or another FileDescriptorName=`
  );
}

/** What kind of socket it is; undefined: none. */
function kindOf(fd: number): 'stream' | 'udp' | 'other' | undefined {
  try {
    const type = getsockopt(fd, SOL_SOCKET, SO_TYPE);
    if (type === SOCK_STREAM) return 'stream';
    return type === SOCK_DGRAM && 'port' in getsockname(fd) ? 'udp' : 'other';
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    // A family that getnameinfo(3) does not know, such as netlink(7).
    if (code === 'EAI_FAMILY') return 'other';
    if (code !== 'ENOTSOCK') throw error;
    return undefined;
  }
}

export function isPassed(fd: number | undefined): boolean {
  return passedDescriptors().some((it) => it.fd === fd);
}

function isListening(fd: number): boolean {
  return getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN) === 1;
}

/** Whether it has the address, of those that the options allow. (A name is not looked up for this.) */
function isBoundTo(fd: number, options: ListenOptions): boolean {
  const bound = getsockname(fd);
  if ('path' in options) return 'path' in bound && bound.path === absolutePath(options.path);
  return (
    'port' in bound &&
    (options.port === 0 || options.port === bound.port) &&
    (!isAddress(options.host) || options.host === bound.host)
  );
}

/**
 * Whether binding anew would lead to the same. In an image of another version the same name may mean
 * another address: then it is another socket. (Whoever changes what a host's name leads to gives the
 * socket another name.)
 */
function isExactly(fd: number, options: ListenOptions): boolean {
  if (!isBoundTo(fd, options)) return false;
  if ('path' in options) return true;
  const bound = getsockname(fd);
  if (!('host' in bound)) return false;
  const { host } = bound;
  if (options.host === undefined && host !== '::' && (host !== '0.0.0.0' || hasIpv6()))
    return false;
  if (host !== '::') return true;
  return (getsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY) === 1) === (options.ipv6Only ?? false);
}

function hasIpv6(): boolean {
  try {
    close(bindPort({ udp: true, port: 0, host: '::' }));
    return true;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code !== 'EAFNOSUPPORT' && code !== 'EADDRNOTAVAIL') throw error;
    return false;
  }
}

function isAddress(host: string | undefined): boolean {
  return host !== undefined && /^[0-9.]+$|:/.test(host);
}
