// Atomics: main and Worker wait for each other in shared memory on both sides of the midpoint.
import { once } from 'node:events';
import { Worker } from 'node:worker_threads';

const shared = new Int32Array(new SharedArrayBuffer(64));
const source = `
  const { workerData: shared } = require('node:worker_threads');
  for (let turn = 1; turn <= 20; turn++) {
    Atomics.wait(shared, 0, turn - 1);
    Atomics.add(shared, 1, turn);
    Atomics.store(shared, 2, turn);
    Atomics.notify(shared, 2);
  }`;
const worker = new Worker(source, { eval: true, workerData: shared, execArgv: [] });
const outcomes = new Set();
function play(from, to) {
  for (let turn = from; turn <= to; turn++) {
    Atomics.store(shared, 0, turn);
    Atomics.notify(shared, 0);
    while (Atomics.load(shared, 2) < turn) outcomes.add(Atomics.wait(shared, 2, turn - 1));
  }
}
await once(worker, 'online');
play(1, 10);
await globalThis.midpoint?.();
play(11, 20);
console.log(...(await once(worker, 'exit')), shared.slice(0, 3).join(), outcomes.has('timed-out'));
console.log(Atomics.wait(shared, 5, 0, 5), Atomics.wait(shared, 5, 1), Atomics.compareExchange(shared, 6, 0, 9));
const asynchronous = Atomics.waitAsync(shared, 7, 0);
Atomics.notify(shared, 7);
console.log(asynchronous.async, await asynchronous.value);
