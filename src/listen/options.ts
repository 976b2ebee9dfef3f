// What listen() can be asked for.

import { invalidType } from '../posix/errors.js';

/** Options of listen(): a port of TCP or UDP, or the path of a unix socket. */
export type ListenOptions = TcpOptions | UdpOptions | UnixOptions;

interface CommonOptions {
  /** Connections that wait to be accepted, at most. Default 511; the kernel has a limit of its own. */
  backlog?: number;
}

interface PortOptions {
  /** 0: any that is free. */
  port: number;
  /** An address, or a name to look up. Default: every address, of IPv6 and IPv4 alike. */
  host?: string;
  /** Leave IPv4 out. Default false. */
  ipv6Only?: boolean;
  /** Let other sockets have the same port and share what comes. Default false. */
  reusePort?: boolean;
}

export interface TcpOptions extends PortOptions, CommonOptions {
  udp?: false;
}

export interface UdpOptions extends PortOptions {
  /** UDP. The same port of TCP is another socket, and needs another name. */
  udp: true;
  /**
   * Let other sockets have the same address. Each gets what is sent to a multicast group that it has joined;
   * anything else one of them gets, on Linux the last one. Default false.
   */
  reuseAddr?: boolean;
}

export interface UnixOptions extends CommonOptions {
  /** Relative ones are resolved now. A socket there that nobody listens on is replaced. */
  path: string;
  /** Permission bits. Default 0o666 less the umask. */
  mode?: number;
}

const PORT_NAMES = ['port', 'host', 'ipv6Only', 'reusePort', 'udp'];
const TCP_NAMES = [...PORT_NAMES, 'backlog'];
const UDP_NAMES = [...PORT_NAMES, 'reuseAddr'];
const UNIX_NAMES = ['path', 'mode', 'backlog'];

export function isUdp(options: ListenOptions): options is UdpOptions {
  return 'udp' in options && options.udp === true;
}

/** The names that may be there beside the others. @throws ERR_INVALID_ARG_TYPE */
export function namesFor(options: unknown): readonly string[] {
  const given = typeof options === 'object' && options !== null ? options : {};
  const { udp = false } = given as { udp?: unknown };
  if (typeof udp !== 'boolean') throw invalidType('options.udp', 'of type boolean', udp);
  if (udp) return UDP_NAMES;
  return 'path' in given ? UNIX_NAMES : TCP_NAMES;
}
