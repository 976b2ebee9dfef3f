// `node tools/databases.mjs`: installs databases that are addons into .databases/, for
// test/integration/fork/databases.test.ts, which is skipped without them: they take minutes and 200 MB.
// better-sqlite3 is compiled, for the Node that runs this; the others bring their binaries along.

import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

// better-sqlite3 12 is the last one for Node 20.
const PACKAGES = ['better-sqlite3@12', 'classic-level@3', 'lmdb@3', '@duckdb/node-api@1.5.5-r.5'];

const directory = join(import.meta.dirname, '..', '.databases');
mkdirSync(directory, { recursive: true });
// Else npm looks for a package.json further up.
writeFileSync(join(directory, 'package.json'), '{"private":true}\n');
const missing = PACKAGES.filter(
  (name) => !existsSync(join(directory, 'node_modules', name.replace(/(?!^)@.*$/, ''))),
);
if (missing.length > 0) {
  execFileSync('npm', ['install', '--no-audit', '--no-fund', '--prefix', directory, ...missing], {
    stdio: ['ignore', 'inherit', 'inherit'],
  });
}
console.log(`${directory}: ${PACKAGES.join(', ')}`);
