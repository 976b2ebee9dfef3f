// A web service with two workers whose log is winston's: lines of JSON, captured, rotated, and each with its worker.
//   npm install doublefork winston; node server.mjs; curl --unix-socket web.sock http://localhost/; tail web.log

import { createServer } from 'node:http';
import { daemonize, drain, listen, supervise } from 'doublefork';
import { createLogger, format, transports } from 'winston';

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

// process.stdout writes at once, here: nothing waits in memory.
const log = createLogger({
  format: format.combine(format.errors({ stack: true }), format.timestamp(), format.json()),
  transports: [new transports.Stream({ stream: process.stdout })],
});
// Node prints the exception as well, and the process ends as ever.
process.on('uncaughtExceptionMonitor', (error) => log.error('crashed', { err: String(error) }));

const server = createServer((request, response) => {
  log.info('request', { url: request.url });
  if (request.url === '/crash') throw new Error('asked to');
  response.end('ok\n');
});
server.listen({ fd: http.fd }, worker.ready);
worker.signal.addEventListener('abort', () => drain(server));
