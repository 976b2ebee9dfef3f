// `node tools/loggers.mjs`: installs pino and winston into .loggers/, for test/integration/logs/examples.test.ts, which is
// skipped without them.

import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const PACKAGES = ['pino@10', 'winston@3'];

const directory = join(import.meta.dirname, '..', '.loggers');
mkdirSync(directory, { recursive: true });
// Else npm looks for a package.json further up.
writeFileSync(join(directory, 'package.json'), '{"private":true}\n');
const missing = PACKAGES.filter(
  (name) => !existsSync(join(directory, 'node_modules', name.replace(/@.*$/, ''))),
);
if (missing.length > 0) {
  execFileSync('npm', ['install', '--no-audit', '--no-fund', '--prefix', directory, ...missing], {
    stdio: ['ignore', 'inherit', 'inherit'],
  });
}
console.log(`${directory}: ${PACKAGES.join(', ')}`);
