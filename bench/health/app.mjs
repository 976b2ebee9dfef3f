// app.mjs plain|health|prom-client WORKERS: a server, which prints its ports once its workers serve.

import { createServer } from 'node:http';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { listen, supervise } from 'doublefork';
import { health } from 'doublefork/health';

const [kind, workers] = process.argv.slice(2);

const http = listen('http', { port: 0 });
if (kind === 'prom-client') {
  const { default: client } = await import('prom-client');
  client.collectDefaultMetrics();
  const metrics = createServer(async (_request, response) => {
    response.end(await client.register.metrics());
  }).listen({ fd: http.fd }, () => {
    console.log(JSON.stringify({ port: http.address.port, health: http.address.port }));
  });
  process.on('SIGTERM', () => {
    metrics.closeAllConnections();
    process.exit();
  });
} else {
  const endpoint = kind === 'health' ? health({ port: 0 }) : undefined;
  const worker = supervise({ workers: Number(workers), readyTimeout: 10_000, log: 'none' });
  const delay = monitorEventLoopDelay({ resolution: 1 });
  delay.enable();
  createServer((request, response) => {
    if (request.url === '/delay') {
      response.end(String(delay.max / 1e6 - 1));
      delay.reset();
    } else response.end('well\n');
  }).listen({ fd: http.fd }, () => {
    worker.ready();
    if (worker.id !== Number(workers)) return;
    const address = { port: http.address.port, health: endpoint?.address.port };
    setTimeout(() => console.log(JSON.stringify(address)), 1000);
  });
  worker.signal.addEventListener('abort', () => process.exit());
}
