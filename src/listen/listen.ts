// listen(): a listening socket that is there before the program serves, and while it is replaced.

import { absolutePath } from '../image/directory.js';
import { isSuccessor, takeListener } from '../image/handoff.js';
import { bindMethods } from '../posix/bind.js';
import { close } from '../posix/descriptor.js';
import { integer, outOfRange, text } from '../posix/errors.js';
import { refuseUnknown } from '../posix/known.js';
import { shared } from '../posix/shared.js';
import {
  AF_INET,
  AF_INET6,
  bind,
  getsockname,
  getsockopt,
  IPPROTO_IPV6,
  IPV6_V6ONLY,
  SO_ACCEPTCONN,
  SO_REUSEADDR,
  SO_REUSEPORT,
  SOCK_STREAM,
  SOL_SOCKET,
  type SocketAddress,
  setsockopt,
  socket,
  listen as startListening,
} from '../posix/socket.js';
import { trace } from '../posix/trace.js';
import { freeDescriptors, passedDescriptors, takePassed } from '../systemd/environment.js';
import { UnixSocket } from './unix.js';

/** Options of {@link listen}: a TCP port, or the path of a unix socket. */
export type ListenOptions = TcpOptions | UnixOptions;

interface CommonOptions {
  /** Connections that wait to be accepted, at most. Default 511; the kernel has a limit of its own. */
  backlog?: number;
}

export interface TcpOptions extends CommonOptions {
  /** 0: any that is free. */
  port: number;
  /** An address, or a name to look up. Default: every address, of IPv6 and IPv4 alike. */
  host?: string;
  /** Leave IPv4 out. Default false. */
  ipv6Only?: boolean;
  /** Let other sockets have the same port and share its connections. Default false. */
  reusePort?: boolean;
}

export interface UnixOptions extends CommonOptions {
  /** Relative ones are resolved now. A socket there that nobody listens on is replaced. */
  path: string;
  /** Permission bits. Default 0o666 less the umask. */
  mode?: number;
}

const TCP_NAMES = ['port', 'host', 'ipv6Only', 'reusePort', 'backlog'];
const UNIX_NAMES = ['path', 'mode', 'backlog'];

/** Where a listener can be reached, in the shape that `server.address()` has. */
export type ListenAddress =
  | { address: string; family: 'IPv4' | 'IPv6'; port: number }
  | { path: string };

/** A bound socket. Give its descriptor to `server.listen({ fd })`. */
export interface Listener extends Disposable {
  readonly name: string;
  readonly fd: number;
  readonly address: ListenAddress;
  /** Closes it in this process; removes the path of a unix socket if it is still this one. */
  close(): void;
  /** @internal Has somebody else remove the path: a successor, which has the socket, too. */
  leave(): void;
}

class Socket implements Listener {
  readonly name: string;
  readonly fd: number;
  readonly address: ListenAddress;
  #unix: UnixSocket | undefined;

  constructor(name: string, bound: number | UnixSocket) {
    this.name = name;
    this.#unix = typeof bound === 'number' ? undefined : bound;
    this.fd = typeof bound === 'number' ? bound : bound.fd;
    this.address = listenAddress(getsockname(this.fd));
    bindMethods(this);
  }

  close(): void {
    if (listeners.get(this.name) !== this) return;
    listeners.delete(this.name);
    try {
      // As long as it listens nobody replaces it, by a socket that could get the same inode.
      this.#unix?.unlink();
    } finally {
      close(this.fd);
    }
  }

  leave(): void {
    this.#unix = undefined;
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

const listeners = shared('listeners', () => new Map<string, Socket>());

/** Those that are open, for whoever keeps or ends them. */
export function openListeners(): readonly Listener[] {
  return [...listeners.values()];
}

export function listenerNamed(name: string): Listener | undefined {
  return listeners.get(name);
}

/**
 * Binds a stream socket and listens on it, at once: errors are thrown, not emitted, and the address
 * is known when it returns. Called before supervise(), the supervisor keeps it open and all workers
 * accept from it, so that connections wait while a worker is replaced. Called before a change of
 * user, it may have a port below 1024. If a service manager has passed a socket of this name (socket activation),
 * or one that is bound to this address, it is that one, and its path is the manager's. In the new image of an exec engine it returns the socket of
 * this name that the image was given, whatever the options say; in one that a reload has started, if they
 * name the same address.
 * @param name what it is called in messages; each once
 * @throws EADDRINUSE, EADDRNOTAVAIL, EACCES, ENOTFOUND, ENAMETOOLONG; ERR_INVALID_ARG_TYPE,
 * ERR_OUT_OF_RANGE, ERR_INVALID_ARG_VALUE for wrong options or a name that is taken
 * @see socket(7), listen(2)
 */
export function listen(name: string, options: ListenOptions): Listener {
  if (text(name, 'name') === '' || listeners.has(name)) {
    const why = name === '' ? 'must not be empty' : `is taken: "${name}" listens already`;
    throw Object.assign(new TypeError(`The "name" argument ${why}`), {
      code: 'ERR_INVALID_ARG_VALUE',
    });
  }
  refuseUnknown(options, 'path' in (options ?? {}) ? UNIX_NAMES : TCP_NAMES, 'options');
  const backlog = integer(options.backlog ?? 511, 'options.backlog', 1);
  const inherited =
    takeListener(name, (fd) => !isSuccessor() || isPassed(fd) || isBoundTo(fd, options)) ??
    takeActivated(name, options);
  const bound =
    'path' in options && !isPassed(inherited)
      ? bindPath(options, backlog, inherited)
      : (inherited ?? bindPort(options as TcpOptions, backlog));
  const listener = new Socket(name, bound);
  listeners.set(name, listener);
  const how = inherited === undefined ? 'bound' : 'inherited';
  trace?.('listen', `"${name}" is fd ${listener.fd}, ${how}: ${JSON.stringify(listener.address)}`);
  return listener;
}

/**
 * The socket of this name, or else of this address, that a service manager has passed (socket activation,
 * or its store). By name it may have another address: that is for the administrator to say.
 */
function takeActivated(name: string, options: ListenOptions): number | undefined {
  const free = freeDescriptors().filter(({ fd }) => isListening(fd));
  const isAddressed = ({ fd }: { fd: number }) =>
    ('path' in options || options.port !== 0) && isBoundTo(fd, options);
  const named = free.filter((it) => it.name === name);
  const found = named.find(isAddressed) ?? named[0] ?? free.find(isAddressed);
  if (found !== undefined) takePassed(found.fd);
  return found?.fd;
}

function isPassed(fd: number | undefined): boolean {
  return passedDescriptors().some((it) => it.fd === fd);
}

function isListening(fd: number): boolean {
  try {
    return getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN) === 1;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOTSOCK') throw error;
    return false;
  }
}

/**
 * In an image of another version the same name may mean another address: then it is another socket.
 * (A host that is a name is not looked up for this: whoever changes that gives the socket another name.)
 */
function isBoundTo(fd: number, options: ListenOptions): boolean {
  const bound = getsockname(fd);
  if ('path' in options) return 'path' in bound && bound.path === absolutePath(options.path);
  return (
    'port' in bound &&
    (options.port === 0 || options.port === bound.port) &&
    (!isAddress(options.host) || options.host === bound.host)
  );
}

function isAddress(host: string | undefined): boolean {
  return host !== undefined && /^[0-9.]+$|:/.test(host);
}

function bindPort(options: TcpOptions, backlog: number): number {
  const port = integer(options.port, 'options.port', 0, 65_535);
  const { host, ipv6Only = false } = options;
  if (host !== undefined) {
    const family = text(host, 'options.host').includes(':') ? AF_INET6 : AF_INET;
    return bindAddress({ host, port, family }, options, backlog, ipv6Only);
  }
  try {
    return bindAddress({ host: '::', port, family: AF_INET6 }, options, backlog, ipv6Only);
  } catch (error) {
    // A machine without IPv6, as net.Server sees it too.
    const { code } = error as NodeJS.ErrnoException;
    if (ipv6Only || (code !== 'EAFNOSUPPORT' && code !== 'EADDRNOTAVAIL')) throw error;
    return bindAddress({ host: '0.0.0.0', port, family: AF_INET }, options, backlog, false);
  }
}

function bindAddress(
  address: SocketAddress & { family: number },
  { reusePort = false }: TcpOptions,
  backlog: number,
  ipv6Only: boolean,
): number {
  const fd = socket(address.family, SOCK_STREAM);
  try {
    // Connections of the program that had the port before linger for a minute.
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, 1);
    if (reusePort) setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, 1);
    if (address.family === AF_INET6) setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, ipv6Only ? 1 : 0);
    bind(fd, address);
    startListening(fd, backlog);
    return fd;
  } catch (error) {
    close(fd);
    throw error;
  }
}

function bindPath(options: UnixOptions, backlog: number, inherited?: number): UnixSocket {
  if (text(options.path, 'options.path') === '') throw outOfRange('options.path', 'a path', "''");
  const mode = integer(options.mode ?? 0o666 & ~process.umask(), 'options.mode', 0, 0o777);
  return new UnixSocket(absolutePath(options.path), mode, backlog, inherited);
}

function listenAddress(address: SocketAddress): ListenAddress {
  if ('path' in address) return address;
  const { host, port, family } = address;
  return { address: host, family: family === AF_INET6 ? 'IPv6' : 'IPv4', port };
}
