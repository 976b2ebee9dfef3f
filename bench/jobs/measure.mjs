// One process of a given heap that runs `42` elsewhere in each way, in turns, and prints the medians.
// node bench/jobs/measure.mjs MEGABYTES ROUNDS

import { fork } from 'node:child_process';
import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { inFork } from 'doublefork';
import { interleave, median } from '../support/statistics.mjs';

const [megabytes, rounds] = process.argv.slice(2).map(Number);
const answer = new URL('./answer.mjs', import.meta.url);

/** Small objects, as programs have them. */
const kept = [];
while (process.memoryUsage().rss < megabytes * 2 ** 20) {
  for (let i = 0; i < 10_000; i++) kept.push({ id: i, name: `entry ${i}`, next: null });
}

/** How long calls of inFork() have kept the event loop, in ms. @type {number[]} */
const pauses = [];

const ways = {
  inFork: async () => {
    const start = performance.now();
    const job = inFork(() => 42);
    pauses.push(performance.now() - start);
    await job;
    return performance.now() - start;
  },
  worker: async () => {
    const start = performance.now();
    const worker = new Worker(answer);
    const exited = once(worker, 'exit');
    await once(worker, 'message');
    const took = performance.now() - start;
    await exited;
    return took;
  },
  childProcess: async () => {
    const start = performance.now();
    const child = fork(answer);
    const exited = once(child, 'exit');
    await once(child, 'message');
    const took = performance.now() - start;
    await exited;
    return took;
  },
};

const taken = await interleave(ways, rounds);
const result = Object.fromEntries(
  Object.entries(taken).map(([name, values]) => [name, median(values)]),
);
console.log(JSON.stringify({ ...result, pause: median(pauses), kept: kept.length > 0 }));
