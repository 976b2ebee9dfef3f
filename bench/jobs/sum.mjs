// The sum over an array of objects of 1 GB: on one thread, in as many jobs as cores, and by piscina, which must be
// sent the objects.
// node --max-old-space-size=… bench/jobs/sum.mjs MEGABYTES ROUNDS

import { availableParallelism } from 'node:os';
import { inFork } from 'doublefork';
import { Piscina } from 'piscina';
import { interleave, median } from '../support/statistics.mjs';

const [megabytes, rounds] = process.argv.slice(2).map(Number);
const cores = availableParallelism();

/** @type {{ amount: number, name: string }[]} */
const table = [];
while (process.memoryUsage().heapUsed < megabytes * 2 ** 20) {
  for (let i = 0; i < 100_000; i++) table.push({ amount: i % 1000, name: `entry ${i % 5000}` });
}

/** Some work for each, as a report has it. */
function sum(from, to) {
  let total = 0;
  for (let i = from; i < to; i++) {
    const { amount, name } = table[i];
    let hash = 0;
    for (let n = 0; n < name.length; n++) hash = (hash * 31 + name.charCodeAt(n)) | 0;
    total += amount + (hash & 7);
  }
  return total;
}
const parts = Array.from({ length: cores }, (_, i) => [
  Math.floor((table.length * i) / cores),
  Math.floor((table.length * (i + 1)) / cores),
]);
const expected = sum(0, table.length);
const timed = async (way) => {
  const start = performance.now();
  const total = await way();
  if (total !== expected) throw new Error(`${total} in place of ${expected}`);
  return performance.now() - start;
};
const add = (all) => all.reduce((total, part) => total + part, 0);

const piscina = new Piscina({
  filename: new URL('./sum-worker.mjs', import.meta.url).href,
  minThreads: cores,
  maxThreads: cores,
});
/** More objects at once than a message takes are refused. */
const PIECE = 250_000;
const ways = {
  one: () => timed(async () => sum(0, table.length)),
  inFork: () =>
    timed(async () =>
      add(await Promise.all(parts.map(([from, to]) => inFork(() => sum(from, to))))),
    ),
  piscina: () =>
    timed(async () => {
      let next = 0;
      const worker = async () => {
        let total = 0;
        while (next < table.length) {
          const from = next;
          next += PIECE;
          total += await piscina.run(table.slice(from, from + PIECE));
        }
        return total;
      };
      return add(await Promise.all(parts.map(worker)));
    }),
};
const taken = await interleave(ways, rounds);
await piscina.destroy();
const result = Object.fromEntries(Object.entries(taken).map(([name, all]) => [name, median(all)]));
console.log(JSON.stringify({ ...result, cores, objects: table.length }));
