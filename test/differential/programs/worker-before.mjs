// worker_threads: a Worker made before the midpoint computes, uses files, timers and the threadpool after it.
import { once } from 'node:events';
import { Worker } from 'node:worker_threads';

const source = `
  const { parentPort } = require('node:worker_threads');
  const { promisify } = require('node:util');
  const fs = require('node:fs/promises');
  const pbkdf2 = promisify(require('node:crypto').pbkdf2);
  parentPort.on('message', async (count) => {
    if (count === 0) return parentPort.close();
    let sum = 0;
    for (let index = 0; index < count * 100_000; index++) sum = (sum + index * index) % 65_521;
    const key = await pbkdf2('p', String(count), 1000, 4, 'sha1');
    await new Promise((resolve) => setTimeout(resolve, 2));
    const root = (await fs.stat('/')).isDirectory();
    parentPort.postMessage([count, sum, key.toString('hex'), root]);
  });`;
const worker = new Worker(source, { eval: true, execArgv: [] });
const ask = async (count) => {
  const answer = once(worker, 'message');
  worker.postMessage(count);
  return (await answer)[0].join(' ');
};
const lines = [await ask(1), await ask(2)];
const pending = ask(5);
await globalThis.midpoint?.();
lines.push(await pending, await ask(3), await ask(4));
worker.postMessage(0);
console.log(lines.join('\n'), ...(await once(worker, 'exit')));
