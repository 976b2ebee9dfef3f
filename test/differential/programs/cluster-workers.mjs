// cluster: two workers share a port that the primary picked; both answer, then leave.
import cluster from 'node:cluster';
import { once } from 'node:events';
import { createServer, get } from 'node:http';
import { text } from 'node:stream/consumers';

if (cluster.isPrimary) {
  await globalThis.midpoint?.();
  cluster.setupPrimary({ execArgv: [], silent: false });
  const workers = [cluster.fork({ NAME: 'a' }), cluster.fork({ NAME: 'b' })];
  const listening = await Promise.all(workers.map((worker) => once(worker, 'listening')));
  const [port, other] = listening.map(([address]) => address.port);
  console.log('one port:', port === other, 'workers:', Object.keys(cluster.workers).length);
  const names = new Set();
  for (let request = 0; request < 4; request++) {
    const [response] = await once(get({ port, host: '127.0.0.1', agent: false }), 'response');
    names.add(await text(response));
  }
  console.log([...names].sort().join(' '));
  const exits = workers.map((worker) => once(worker, 'exit'));
  for (const worker of workers) worker.disconnect();
  for (const exit of exits) console.log(...(await exit));
} else {
  const server = createServer((_, response) => response.end(process.env.NAME));
  server.listen(0, '127.0.0.1');
}
