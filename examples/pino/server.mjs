// A web service with two workers whose log is pino's: lines of JSON, captured, rotated, and each with its worker.
//   npm install doublefork pino; node server.mjs; curl --unix-socket web.sock http://localhost/; tail web.log

import { createServer } from 'node:http';
import { daemonize, drain, listen, supervise } from 'doublefork';
import pino from 'pino';

const {
  LOG = 'web.log',
  SOCKET = 'web.sock',
  CONTROL = 'web.control',
  MAX_SIZE = '10e6',
} = process.env;

daemonize({
  cwd: 'keep',
  pidfile: `${LOG}.pid`,
  ready: 'manual',
  // time, pid, worker, generation and service come from the logger, where the line has none of its own.
  log: { file: LOG, maxSize: Number(MAX_SIZE), maxFiles: 0, json: { service: 'web' } },
});
const http = listen('http', { path: SOCKET });
const worker = supervise({ workers: 2, ready: 'manual', control: CONTROL });

// Made in each worker. Written at once: what waits in memory is lost in a crash.
const log = pino({ base: null }, pino.destination({ dest: 1, sync: true }));
// Node prints the exception as well, and the process ends as ever.
process.on('uncaughtExceptionMonitor', (error) => log.fatal(error, 'crashed'));

const server = createServer((request, response) => {
  log.info({ url: request.url }, 'request');
  if (request.url === '/crash') throw new Error('asked to');
  response.end('ok\n');
});
server.listen({ fd: http.fd }, worker.ready);
worker.signal.addEventListener('abort', () => drain(server));
