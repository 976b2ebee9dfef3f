// A benchmark of compiled code and of garbage collection, in a daemon if DAEMON is set. Reports ms.

import { writeSync } from 'node:fs';
import { daemonize } from 'doublefork';

if (process.env.DAEMON === '1') daemonize({ keepFds: [3] });

/** Tight integer code: the compilers' work. */
function sieve(size) {
  const composite = new Uint8Array(size);
  let primes = 0;
  for (let n = 2; n < size; n++) {
    if (composite[n] === 1) continue;
    primes++;
    for (let multiple = n * 2; multiple < size; multiple += n) composite[multiple] = 1;
  }
  return primes;
}

/** Trees that die young, in a list that lives on: the collector's work. */
function grow(depth) {
  return depth === 0 ? {} : { left: grow(depth - 1), right: grow(depth - 1) };
}

const start = process.hrtime.bigint();
const kept = [];
let sum = 0;
for (let round = 0; round < 200; round++) {
  sum += sieve(500_000);
  for (let tree = 0; tree < 4; tree++) kept.push(grow(11));
  if (kept.length > 40) kept.splice(0, 20);
  sum += JSON.stringify(kept.at(-1)).length;
}
const ms = Number(process.hrtime.bigint() - start) / 1e6;
writeSync(3, JSON.stringify({ ms, sum }));
process.exit();
