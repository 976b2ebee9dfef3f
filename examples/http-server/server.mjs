// A web server that turns itself into a daemon: node server.mjs
//
// PORT: where to listen, 8080 unless set; 0: any free port.

import { createServer } from 'node:http';
import { daemonize, drain } from 'doublefork';
import { forget, log, remember, running } from './state.mjs';

const port = process.env.PORT ?? '8080';
const already = running();
if (already !== undefined) {
  console.error(`The server is running already: pid ${already.pid}, ${already.url}`);
  process.exit(1);
}

const daemon = daemonize({ log, ready: 'manual' });
// From here on this is the daemon. The process that the user started waits for its ready().

let served = 0;
const server = createServer((request, response) => {
  console.log(`${new Date().toISOString()} ${request.method} ${request.url}`);
  response.setHeader('content-type', 'text/plain');
  response.end(`Page ${++served} from the daemon with pid ${process.pid}.\n`);
});

server.on('error', (error) => {
  if (error.code !== 'EADDRINUSE') daemon.fail(error);
  daemon.fail(`Port ${port} is in use. Choose another one: PORT=8081 npm start`);
});

server.listen({ port, host: '127.0.0.1' }, () => {
  remember(`http://127.0.0.1:${server.address().port}/`);
  process.on('exit', forget);
  daemon.ready();
});

// SIGTERM or SIGINT: requests under way are answered, and with nothing left to do the process ends.
daemon.signal.addEventListener('abort', () => drain(server));
