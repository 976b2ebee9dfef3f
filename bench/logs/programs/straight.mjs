// Writes lines to its standard output, and tells how many in a second.

import { spawnSync } from 'node:child_process';
import { writeFileSync, writeSync } from 'node:fs';

const [kind, file] = process.argv.slice(2);
if (kind === 'shell') {
  const words = [process.execPath, import.meta.filename, 'redirected', file].join(' ');
  spawnSync('sh', ['-c', `exec ${words} >> ${file}`], { stdio: ['ignore', 'pipe', 'inherit', 3] });
} else {
  if (kind === 'doublefork') {
    const { daemonize } = await import('../../../dist/index.js');
    daemonize({ detach: 'never', cwd: 'keep', log: file });
  }
  const line = Buffer.from(`${'x'.repeat(99)}\n`);
  const COUNT = 300_000;
  for (let i = 0; i < 20_000; i++) writeSync(1, line);
  const began = performance.now();
  for (let i = 0; i < COUNT; i++) writeSync(1, line);
  writeFileSync(3, JSON.stringify(COUNT / ((performance.now() - began) / 1000)));
}
