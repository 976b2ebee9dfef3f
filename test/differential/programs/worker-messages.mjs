// worker_threads: 2,000 messages on their way to and from a Worker when the midpoint comes; none lost, in order.
import { Worker } from 'node:worker_threads';

const source = `
  const { parentPort } = require('node:worker_threads');
  parentPort.on('message', (number) => (number < 0 ? parentPort.close() : parentPort.postMessage(number * 2)));`;
const worker = new Worker(source, { eval: true, execArgv: [] });
const received = [];
const exited = new Promise((resolve) => worker.on('exit', resolve));
const half = new Promise((resolve) => {
  worker.on('message', (number) => {
    received.push(number);
    if (received.length === 200) resolve();
  });
});
for (let number = 0; number < 1000; number++) worker.postMessage(number);
await half;
await globalThis.midpoint?.();
for (let number = 1000; number < 2000; number++) worker.postMessage(number);
worker.postMessage(-1);
console.log('exit', await exited);
console.log(received.length, received.every((number, index) => number === index * 2));
