// `npm run bench:jobs`: a function in a copy of the process, beside a Worker and a process of its own.

import { execFileSync } from 'node:child_process';
import { cpus } from 'node:os';
import { join } from 'node:path';

const ROUNDS = Number(process.argv[2] ?? 25);
const SIZES = [60, 500, 2000];

console.log(`Node ${process.version}, ${cpus().length} x ${cpus()[0]?.model}, ${ROUNDS} rounds`);
console.log(
  '| resident | inFork(() => 42) | pause of the parent | new Worker | child_process.fork() |',
);
console.log('| --: | --: | --: | --: | --: |');
for (const size of SIZES) {
  const text = execFileSync(
    process.execPath,
    ['--max-old-space-size=8000', join(import.meta.dirname, 'measure.mjs'), `${size}`, `${ROUNDS}`],
    { encoding: 'utf8' },
  );
  const { inFork, pause, worker, childProcess } = JSON.parse(text);
  const beside = (value) => `${value.toFixed(1)} ms (${(value / inFork).toFixed(1)} x)`;
  console.log(
    `| ${size} MB | ${inFork.toFixed(1)} ms | ${pause.toFixed(1)} ms | ${beside(worker)} | ${beside(childProcess)} |`,
  );
}
