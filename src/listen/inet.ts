// A socket of IPv4 or IPv6 that is bound to a port: TCP, which listens then, or UDP.

import { close } from '../posix/descriptor.js';
import { integer, text } from '../posix/errors.js';
import {
  AF_INET,
  AF_INET6,
  bind,
  IPPROTO_IPV6,
  IPV6_V6ONLY,
  listen,
  SO_REUSEADDR,
  SO_REUSEPORT,
  SOCK_DGRAM,
  SOCK_STREAM,
  SOL_SOCKET,
  type SocketAddress,
  setsockopt,
  socket,
} from '../posix/socket.js';
import { isUdp, type TcpOptions, type UdpOptions } from './options.js';

/** @param backlog of TCP @throws EADDRINUSE, EADDRNOTAVAIL, EACCES, ENOTFOUND */
export function bindPort(options: TcpOptions | UdpOptions, backlog?: number): number {
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
  options: TcpOptions | UdpOptions,
  backlog: number | undefined,
  ipv6Only: boolean,
): number {
  const fd = socket(address.family, isUdp(options) ? SOCK_DGRAM : SOCK_STREAM);
  try {
    // TCP: connections of the program that had the port before linger for a minute. UDP has none; there
    // the same option would have two programs bind one address.
    const reuseAddr = isUdp(options) ? options.reuseAddr : true;
    if (reuseAddr) setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, 1);
    if (options.reusePort) setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, 1);
    if (address.family === AF_INET6) setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, ipv6Only ? 1 : 0);
    bind(fd, address);
    if (!isUdp(options)) listen(fd, backlog);
    return fd;
  } catch (error) {
    close(fd);
    throw error;
  }
}
