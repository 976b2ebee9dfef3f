// A TCP server that restarts itself when this file is changed: the new code serves once it is ready, no
// connection is refused meanwhile, and those who are connected are told before they are let go. Below the
// same pid: kill "$(cat watch-restart.pid)" ends it.
//
//   node server.mjs
//
// PORT: where to listen, 7070 unless set; 0: any free port.

import { createServer } from 'node:net';
import { daemonize, drain, listen, supervise } from 'doublefork';

/** Change it, and connect again half a second later. */
const greeting = 'Hello';

const daemon = daemonize({
  pidfile: 'watch-restart.pid',
  log: 'watch-restart.log',
  ready: 'manual',
});
const tcp = listen('tcp', { port: Number(process.env.PORT ?? 7070), host: '127.0.0.1' });
const worker = supervise({ watch: import.meta.filename });

/** @type {Set<import('node:net').Socket>} */
const connected = new Set();
const server = createServer((socket) => {
  connected.add(socket);
  socket.on('close', () => connected.delete(socket));
  socket.on('error', () => {});
  socket.write(`${greeting} from pid ${process.pid}\n`);
});
server.listen({ fd: tcp.fd }, () => {
  console.log(`listening on port ${tcp.address.port}`);
  daemon.ready();
});

worker.signal.addEventListener('abort', () => {
  // What is accepted from here on is greeted by this version for the last time.
  server.on('connection', (socket) => socket.end());
  for (const socket of connected) socket.end('a new version serves, or none: connect again\n');
  drain(server);
});
