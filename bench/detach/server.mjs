// The servers that are measured: where they listen, when they answer, how they end.

import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import { setTimeout } from 'node:timers/promises';

/** A port that nobody listens on. */
export async function freePort() {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();
  server.close();
  await once(server, 'close');
  return port;
}

/** Asks for the page until there is a server to answer. @param {number} port */
export async function firstPage(port) {
  for (;;) {
    const page = await request(port);
    if (page !== undefined) return page;
    await setTimeout(1);
  }
}

/** Ends the server and waits until it is gone. @param {string} page what it serves: its pid */
export async function stopServer(page, port) {
  process.kill(Number(page), 'SIGTERM');
  while ((await request(port)) !== undefined) await setTimeout(1);
}

/** The page, as soon as its first byte comes: it is short. undefined: nobody listens. */
function request(port) {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () => {
      socket.write('GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n');
    });
    socket.once('data', (data) => {
      resolve(data.toString().split('\r\n\r\n')[1]);
      socket.destroy();
    });
    socket.on('error', () => resolve(undefined));
  });
}
