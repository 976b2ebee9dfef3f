// Under pm2 and node:cluster: as their documentation has it, `server.close()` when told to end.

import cluster from 'node:cluster';
import { makeServers, PORTS } from './app.mjs';

const { servers, sayGoodbye } = makeServers();
let missing = Object.keys(PORTS).length;
for (const [name, port] of Object.entries(PORTS)) {
  servers[name].listen(port, '127.0.0.1', () => --missing === 0 && process.send?.('ready'));
}

function end() {
  sayGoodbye();
  let left = Object.keys(PORTS).length;
  for (const server of Object.values(servers)) {
    server.close(() => --left === 0 && process.exit(0));
    server.closeIdleConnections?.();
  }
  setTimeout(() => process.exit(0), 9000).unref();
}
process.on('SIGINT', end);
// The primary of cluster.mjs says so.
if (cluster.isWorker) process.on('message', (message) => message === 'end' && end());
