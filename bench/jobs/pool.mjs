// Jobs of 1 ms through createPool() and piscina, with arguments of three sizes: jobs per second.
// node bench/jobs/pool.mjs ROUNDS

import { availableParallelism } from 'node:os';
import { createPool } from 'doublefork';
import { Piscina } from 'piscina';
import { interleave, median } from '../support/statistics.mjs';
import work from './pool-worker.mjs';

const rounds = Number(process.argv[2]);
const size = availableParallelism();
const JOBS = 400;

const ours = createPool({ size, queue: JOBS, run: work });
const piscina = new Piscina({
  filename: new URL('./pool-worker.mjs', import.meta.url).href,
  minThreads: size,
  maxThreads: size,
});
const perSecond = async (run, argument, jobs) => {
  const start = performance.now();
  await Promise.all(Array.from({ length: jobs }, () => run(argument)));
  return (jobs / (performance.now() - start)) * 1000;
};
const results = {};
for (const [name, bytes] of [
  ['small', 0],
  ['10 kB', 10_000],
  ['1 MB', 1_000_000],
]) {
  const argument = bytes === 0 ? 1 : Buffer.alloc(bytes, 1);
  const jobs = bytes > 100_000 ? JOBS / 4 : JOBS;
  const taken = await interleave(
    {
      ours: () => perSecond(ours.run, argument, jobs),
      piscina: () => perSecond((task) => piscina.run(task), argument, jobs),
    },
    rounds,
  );
  results[name] = { ours: median(taken.ours), piscina: median(taken.piscina) };
}
await ours.close();
await piscina.destroy();
console.log(JSON.stringify(results));
