// A web server with two workers that is a daemon, and that follows its own new versions.
//
//   doublefork start --name http-server --ready notify -- node server.mjs
//   doublefork reload http-server    (after a change of this file)
//   doublefork stop http-server
//
// PORT: where to listen, 8080 unless set; 0: any free port.

import { createServer } from 'node:http';
import { daemonize, drain, listen, supervise } from 'doublefork';

/** Change it, and reload: the next page has it. */
const greeting = 'Hello';

const daemon = daemonize({ ready: 'manual' });
// From here on this is the daemon. Whoever has started it waits until all workers are ready.

const http = openPort(process.env.PORT ?? '8080');
const worker = supervise({ workers: 2 });
// From here on this is a worker.

const server = createServer((request, response) => {
  console.log(`${new Date().toISOString()} ${request.method} ${request.url}`);
  response.setHeader('content-type', 'text/plain');
  response.end(`${greeting} from worker ${worker.id} with pid ${process.pid}.\n`);
});

server.listen({ fd: http.fd }, () => {
  worker.status(`http://127.0.0.1:${http.address.port}/`);
  worker.ready();
});

// Told to end, by a stop or since a new version serves: no request is lost.
worker.signal.addEventListener('abort', () => drain(server));

/** @param {string} port */
function openPort(port) {
  try {
    return listen('http', { port: Number(port), host: '127.0.0.1' });
  } catch (error) {
    if (error.code !== 'EADDRINUSE') daemon.fail(error);
    daemon.fail(`Port ${port} is in use. Choose another one: PORT=8081 npm start`);
  }
}
