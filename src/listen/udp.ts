// A socket of node:dgram on a descriptor that is bound.

import type { Socket } from 'node:dgram';
import { SO_REUSEADDR, SOL_SOCKET, setsockopt } from '../posix/socket.js';

/**
 * @param reuseAddr whether others may bind the same address; undefined: leave it as Node has it
 */
export function openUdp(
  fd: number,
  family: 'IPv4' | 'IPv6',
  reuseAddr: boolean | undefined,
): Socket {
  // Not imported: it is loaded where there is a socket.
  const dgram = process.getBuiltinModule('node:dgram');
  const socket = dgram.createSocket(family === 'IPv6' ? 'udp6' : 'udp4');
  try {
    socket.bind({ fd });
  } catch (error) {
    socket.close();
    throw error;
  }
  // libuv sets it on what it opens: then another program that sets it may have the address as well, and
  // gets what comes.
  if (reuseAddr !== undefined) setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, reuseAddr ? 1 : 0);
  return socket;
}
