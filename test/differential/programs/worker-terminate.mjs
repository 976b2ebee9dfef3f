// worker_threads: Workers in Atomics.wait and in an idle event loop, and a busy one made later, are terminated after the midpoint.
import { once } from 'node:events';
import { Worker } from 'node:worker_threads';

const sources = [
  `Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);`,
  `setInterval(() => {}, 1000);`,
  `require('node:net').createServer().listen(0, '127.0.0.1');`,
];
const workers = sources.map((source) => new Worker(source, { eval: true, execArgv: [] }));
await Promise.all(workers.map((worker) => once(worker, 'online')));
await globalThis.midpoint?.();
const busy = new Worker('for (;;) Math.random();', { eval: true, execArgv: [] });
await once(busy, 'online');
workers.push(busy);
for (const worker of workers) console.log(await worker.terminate());
console.log('all gone');
