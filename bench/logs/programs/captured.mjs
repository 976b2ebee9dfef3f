// Has cat(1) print a file into a captured log, and tells how long that took until all was in the log, in s; or how much
// memory its logger has.

import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { daemonize } from '../../../dist/index.js';

const [path, input, size, memory] = process.argv.slice(2);
daemonize({
  detach: 'never',
  cwd: 'keep',
  log: { file: join(path, 'app.log'), maxSize: 1e7, maxFiles: 20 },
});
const written = () =>
  readdirSync(path).reduce(
    (sum, name) => sum + (statSync(join(path, name), { throwIfNoEntry: false })?.size ?? 0),
    0,
  );
const began = performance.now();
spawnSync('cat', [input], { stdio: ['ignore', 1, 2] });
while (written() < Number(size)) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1);
const seconds = (performance.now() - began) / 1000;

function loggers() {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .filter((pid) => {
      try {
        const [program, ...words] = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
        return program.endsWith('doublefork-logger') && words.includes(join(path, 'app.log'));
      } catch {
        return false;
      }
    })
    .map((pid) =>
      Number(/^Pss:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8'))[1]),
    );
}
writeFileSync(3, JSON.stringify(memory === undefined ? seconds : { processes: loggers() }));
