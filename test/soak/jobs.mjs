// `npm run soak:jobs [-- JOBS]`: many jobs in copies of this process, one after the other and at once, and what they leave
// behind: descriptors, children, memory. Exits with code 1 if there is any.

import { readdirSync, readFileSync } from 'node:fs';
import { inFork, jobs } from 'doublefork';

const JOBS = Number(process.argv[2] ?? 10_000);
/** So many at once. */
const AT_ONCE = 1000;
/** What the heap may grow by, in bytes: compiled code, feedback of the optimizer. */
const SLACK = 2 * 2 ** 20;

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const kinds = [
  (i) => inFork(() => i),
  (i) =>
    inFork(async () => {
      await sleep(0);
      return i;
    }),
  (i) =>
    inFork(() => process.exit(i & 0x7f)).catch(({ exitCode }) =>
      exitCode === (i & 0x7f) ? i : -1,
    ),
  (i) =>
    inFork(
      () => {
        for (;;);
      },
      { timeout: 1 },
    ).catch(({ code }) => (code === 'ERR_JOB_TIMEOUT' ? i : -1)),
];

/** @param {number} count */
async function many(count) {
  for (let i = 0; i < count; i += kinds.length) {
    const all = await Promise.all(kinds.map((kind, n) => kind(i + n)));
    for (const [n, answer] of all.entries())
      if (answer !== i + n) throw new Error(`job ${i + n} said ${answer}`);
  }
}

async function left() {
  // What a WeakRef was asked for in a turn stays until its end.
  for (let i = 0; i < 3; i++) {
    await sleep(10);
    globalThis.gc();
  }
  const { heapUsed, rss, external } = process.memoryUsage();
  return {
    descriptors: readdirSync('/proc/self/fd').length,
    children: readFileSync(`/proc/self/task/${process.pid}/children`, 'utf8')
      .split(' ')
      .filter(Boolean).length,
    heap: heapUsed + external,
    rss,
  };
}

if (globalThis.gc === undefined) throw new Error('start it with node --expose-gc');
await many(JOBS / 10);
const before = await left();
const start = performance.now();
await many(JOBS);
const took = performance.now() - start;
const after = await left();

const answers = await Promise.all(Array.from({ length: AT_ONCE }, (_, i) => inFork(() => i)));
const ofImage = jobs({ from: 'image', size: 8, queue: AT_ONCE, run: (i) => i });
const others = await Promise.all(Array.from({ length: AT_ONCE }, (_, i) => ofImage.run(i)));
await ofImage.close();
const end = await left();

const mb = (bytes) => `${(bytes / 2 ** 20).toFixed(1)} MB`;
console.log(
  `${JOBS} jobs in ${(took / 1000).toFixed(1)} s; ${AT_ONCE} at once; ${AT_ONCE} from an image`,
);
for (const [name, { descriptors, children, heap, rss }] of Object.entries({ before, after, end })) {
  console.log(
    `${name}: ${descriptors} descriptors, ${children} children, heap ${mb(heap)}, resident ${mb(rss)}`,
  );
}
const right = [answers, others].every((list) => list.every((answer, i) => answer === i));
const clean = [after, end].every(
  ({ descriptors, children, heap }) =>
    descriptors === before.descriptors && children === 0 && heap - before.heap < SLACK,
);
process.exitCode = right && clean ? 0 : 1;
if (!right) console.error('not every job had its answer');
if (!clean) console.error('something was left behind');
