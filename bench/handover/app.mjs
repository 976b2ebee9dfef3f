// The app that all of them run: HTTP, HTTPS, HTTP/2 and a WebSocket echo, each answering with its version.

import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { createServer as createHttp2Server } from 'node:http2';
import { createServer as createHttpsServer } from 'node:https';
import { WebSocketServer } from 'ws';
// A deploy replaces this file.
import { version } from './release.mjs';

const answer = (_request, response) => response.end(version);

/** @returns the servers by name, and how to say goodbye to those who are upgraded */
export function makeServers() {
  const [key, cert] = ['key.pem', 'cert.pem'].map((name) => readFileSync(process.env.TLS + name));
  const http = createServer(answer);
  const sockets = new WebSocketServer({ server: http });
  sockets.on('connection', (socket) => {
    socket.on('message', () => socket.send(version));
    socket.on('error', () => {});
  });
  return {
    servers: {
      http,
      https: createHttpsServer({ key, cert }, answer),
      http2: createHttp2Server(answer),
    },
    sayGoodbye() {
      for (const socket of sockets.clients) socket.close(1001);
      // Those that were accepted and have not asked yet are upgraded after this.
      sockets.on('connection', (socket) => socket.close(1001));
    },
  };
}

export const PORTS = JSON.parse(process.env.PORTS);
