// listen(): a bound socket that is there before the program serves, and while it is replaced.

import type { Socket as DatagramSocket } from 'node:dgram';
import { fstatSync } from '../builtin/fs.js';
import { constants as os } from '../builtin/os.js';
import { absolutePath } from '../image/directory.js';
import { isStillOpen } from '../image/handoff.js';
import { bindMethods } from '../posix/bind.js';
import { close } from '../posix/descriptor.js';
import { integer, outOfRange, posixError, text } from '../posix/errors.js';
import { refuseUnknown } from '../posix/known.js';
import { shared } from '../posix/shared.js';
import { AF_INET6, getsockname, type SocketAddress } from '../posix/socket.js';
import { trace } from '../posix/trace.js';
import { bindPort } from './inet.js';
import { isPassed, takeActivated, takeInherited } from './inherit.js';
import {
  isUdp,
  type ListenOptions,
  namesFor,
  type TcpOptions,
  type UdpOptions,
  type UnixOptions,
} from './options.js';
import { openUdp } from './udp.js';
import { UnixSocket } from './unix.js';

/** Where a listener can be reached, in the shape that `server.address()` has. */
export type ListenAddress =
  | { address: string; family: 'IPv4' | 'IPv6'; port: number }
  | { path: string };

/** A bound socket. Give its descriptor to `server.listen({ fd })`; for UDP see {@link UdpListener}. */
export interface Listener extends Disposable {
  readonly name: string;
  readonly fd: number;
  readonly address: ListenAddress;
  /** Closes it in this process; removes the path of a unix socket if it is still this one. */
  close(): void;
  /** @internal Has somebody else remove the path: a successor, which has the socket, too. */
  leave(): void;
}

/** One of UDP. */
export interface UdpListener extends Listener {
  readonly address: { address: string; family: 'IPv4' | 'IPv6'; port: number };
  /**
   * A socket of node:dgram that receives from it, and answers: for the process that serves, a worker, and
   * once in each. To close it closes this process's copy of the descriptor only. (`socket.bind({ fd })` would
   * do, too, but has Node set SO_REUSEADDR: from then on any other program may bind the address and take what comes.)
   * @throws ERR_INVALID_FD_TYPE if it was closed, EEXIST if it was called before
   */
  createSocket(): DatagramSocket;
}

class Socket implements Listener {
  readonly name: string;
  readonly fd: number;
  readonly address: ListenAddress;
  readonly #inode: number;
  #unix: UnixSocket | undefined;

  constructor(name: string, bound: number | UnixSocket) {
    this.name = name;
    this.#unix = typeof bound === 'number' ? undefined : bound;
    this.fd = typeof bound === 'number' ? bound : bound.fd;
    this.address = listenAddress(getsockname(this.fd));
    this.#inode = fstatSync(this.fd).ino;
    bindMethods(this, Socket.prototype);
  }

  close(): void {
    if (listeners.get(this.name) !== this) return;
    listeners.delete(this.name);
    try {
      // As long as it listens nobody replaces it, by a socket that could get the same inode.
      this.#unix?.unlink();
    } finally {
      // A server that had the descriptor may have closed it.
      if (isStillOpen({ fd: this.fd, inode: this.#inode })) close(this.fd);
    }
  }

  leave(): void {
    this.#unix = undefined;
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

class UdpSocket extends Socket implements UdpListener {
  declare readonly address: UdpListener['address'];
  readonly #reuseAddr: boolean | undefined;

  /** @param reuseAddr undefined: somebody else has made the socket, and said that */
  constructor(name: string, bound: number, reuseAddr: boolean | undefined) {
    super(name, bound);
    this.#reuseAddr = reuseAddr;
    bindMethods(this, UdpSocket.prototype);
  }

  createSocket(): DatagramSocket {
    return openUdp(this.fd, this.address.family, this.#reuseAddr);
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

function open(
  name: string,
  options: ListenOptions,
  backlog: number,
  inherited: number | undefined,
): Socket {
  if (isUdp(options)) {
    const reuseAddr = isPassed(inherited) ? undefined : (options.reuseAddr ?? false);
    return new UdpSocket(name, inherited ?? bindPort(options), reuseAddr);
  }
  if ('path' in options && !isPassed(inherited)) {
    return new Socket(name, bindPath(options, backlog, inherited));
  }
  return new Socket(name, inherited ?? bindPort(options as TcpOptions, backlog));
}

/**
 * Binds a socket, and listens on it unless it is one of UDP, at once: errors are thrown, not emitted, and the
 * address is known when it returns. Called before supervise(), the supervisor keeps it open and all workers
 * accept from it, so that connections, and datagrams, wait while a worker is replaced. Called before a change of
 * user, it may have a port below 1024. If a service manager has passed a socket of this name (socket activation),
 * or one that is bound to this address, it is that one, and its path is the manager's. In the new image of an exec
 * engine it returns the socket of this name that the image was given, whatever the options say of its address; in
 * one that a reload has started, if they name the same address.
 * @param name what it is called in messages; each once
 * @throws EADDRINUSE, EADDRNOTAVAIL, EACCES, ENOTFOUND, ENAMETOOLONG; EPROTOTYPE if the service manager has passed
 * a socket of another type under this name; ERR_INVALID_ARG_TYPE, ERR_OUT_OF_RANGE, ERR_INVALID_ARG_VALUE for wrong
 * options or a name that is taken
 * @see socket(7), udp(7), listen(2)
 */
export function listen(name: string, options: UdpOptions): UdpListener;
export function listen(name: string, options: ListenOptions): Listener;
export function listen(name: string, options: ListenOptions): Listener {
  if (text(name, 'name') === '' || listeners.has(name)) {
    const why = name === '' ? 'must not be empty' : `is taken: "${name}" listens already`;
    throw Object.assign(new TypeError(`The "name" argument ${why}`), {
      code: 'ERR_INVALID_ARG_VALUE',
    });
  }
  refuseUnknown(options, namesFor(options), 'options');
  const backlog = isUdp(options) ? 0 : integer(options.backlog ?? 511, 'options.backlog', 1);
  const before = takeInherited(name, options);
  const inherited = before.fd ?? takeActivated(name, options);
  const listener = whileOther(name, before.other, () => open(name, options, backlog, inherited));
  listeners.set(name, listener);
  const how = inherited === undefined ? 'bound' : 'inherited';
  trace?.('listen', `"${name}" is fd ${listener.fd}, ${how}: ${JSON.stringify(listener.address)}`);
  return listener;
}

/** The version before keeps its socket until this one serves, and may be what the new address is in use by. */
function whileOther<T>(name: string, other: SocketAddress | undefined, bind: () => T): T {
  try {
    return bind();
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code !== 'EADDRINUSE' || other === undefined || !('port' in other)) throw error;
    const { host, port } = other;
    const hint =
      `As "${name}" the version before has ${host}:${port}, which it keeps until this one serves. ` +
      'An address that overlaps with that needs a stop and a start (doublefork restart), or another port';
    throw posixError(-os.errno.EADDRINUSE, 'bind', undefined, `${message}. ${hint}`);
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
