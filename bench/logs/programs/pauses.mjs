// Writes 50 MB of lines of 100 bytes, in pieces with a pause between, and tells the longest write of each quarter of a MB.

import { writeFileSync, writeSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';

const [kind, path] = process.argv.slice(2);
let write = (line) => writeSync(1, line);
if (kind === 'captured') {
  const { daemonize } = await import('../../../dist/index.js');
  daemonize({
    detach: 'never',
    cwd: 'keep',
    log: { file: join(path, 'app.log'), maxSize: 250_000, maxFiles: 20 },
  });
}
if (kind === 'pino-roll') {
  const require = createRequire(join(import.meta.dirname, '../../../.bench/package.json'));
  const { build } = { build: require('pino-roll') };
  const stream = await build({ file: join(path, 'app.log'), size: '250k', sync: true });
  write = (line) => stream.write(line);
}
const line = `${'x'.repeat(99)}\n`;
const longest = [];
for (let part = 0; part < 200; part++) {
  let most = 0;
  for (let i = 0; i < 2500; i++) {
    const began = performance.now();
    write(line);
    most = Math.max(most, performance.now() - began);
    // Not faster than the logger: it is the pauses that count.
    if (i % 500 === 0) await new Promise((resolve) => setTimeout(resolve, 0));
  }
  longest.push(most);
}
longest.sort((a, b) => a - b);
writeFileSync(3, JSON.stringify({ p50: longest[100], p99: longest[197] }));
process.exit(0);
