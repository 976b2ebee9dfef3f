// One loaded process that is forked again and again; each child, loaded like it, becomes a daemon.
// Usage: double-forks.mjs COUNT. Each daemon reports its number on fd 3, as a line of JSON; the process
// itself now and then its memory, in bytes, and how many descriptors it has open. A refusal is reported,
// and the call made again: on a busy machine a thread may get no turn for as long as it has to come to rest.

import { pbkdf2 } from 'node:crypto';
import { readdirSync, writeFileSync } from 'node:fs';
import { Worker } from 'node:worker_threads';
import zlib from 'node:zlib';
import { daemonize, fork } from 'doublefork';
import { waitpid } from 'doublefork/posix';

const count = Number(process.argv[2]);
const report = (value) => writeFileSync(3, `${JSON.stringify(value)}\n`);

const worker = new Worker(
  `const { parentPort } = require('node:worker_threads');
   parentPort.on('message', (n) => parentPort.postMessage(n + 1));
   setInterval(() => { const junk = []; for (let i = 0; i < 2000; i++) junk.push({ i, text: 'x' + i }); }, 1);`,
  { eval: true, execArgv: [] },
);
let echoes = 0;
worker.on('message', (n) => {
  echoes++;
  worker.postMessage(n);
});
worker.postMessage(0);

let pool = 0;
const hash = () =>
  pbkdf2('a', 'b', 500, 32, 'sha1', () => {
    pool++;
    hash();
  });
const zip = () =>
  zlib.gzip(Buffer.alloc(30_000, 'abc'), () => {
    pool++;
    zip();
  });
for (const work of [hash, hash, hash, zip]) work();

let junk = [];
let round = 0;
setInterval(() => {
  for (let i = 0; i < 2000; i++) junk.push({ i, list: [i] });
  if (junk.length > 30_000) junk = [];
  round++;
  // Compiled, optimised and thrown away.
  new Function(
    `let s = 0; for (let i = 0; i < 20000; i++) s += i % ${(round % 97) + 2}; return s`,
  )();
}, 2);

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
/** Until Worker and threadpool have both done something more. */
async function advance(steps) {
  const [echo, done] = [echoes + steps, pool + steps];
  while (echoes < echo || pool < done) await sleep(1);
}

/** @template T @param {() => T} call @returns {Promise<T>} */
async function attempt(call) {
  for (;;) {
    try {
      return call();
    } catch (error) {
      if (error.code !== 'EBUSY') throw error;
      report({ refused: error.message });
      await sleep(10);
    }
  }
}

await advance(10);
for (let i = 0; i < count; i++) {
  const pid = await attempt(fork);
  if (pid === 0) {
    await sleep(i % 7);
    (await attempt(() => daemonize({ keepFds: [3], cwd: 'keep', ready: 'manual' }))).ready();
    await advance(3);
    await worker.terminate();
    report(i);
    process.exit(0);
  }
  const { exitCode, signal } = waitpid(pid);
  if (exitCode !== 0) {
    report({ launcher: i, exitCode, signal });
    process.exit(1);
  }
  if (i % 1000 === 499) {
    const descriptors = readdirSync('/proc/self/fd').length;
    report({ after: i + 1, memory: process.memoryUsage.rss(), descriptors });
  }
}
process.exit(0);
