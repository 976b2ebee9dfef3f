// `npm run test:runners`: docs/testing.md under every test runner, also those that are not among the
// packages of every clone. They are kept in .runners/.

import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';

const root = join(import.meta.dirname, '..');
const folder = join(root, '.runners');
const PACKAGES = ['mocha@11', 'jest@30'];

if (!existsSync(join(folder, 'node_modules/jest'))) {
  mkdirSync(folder, { recursive: true });
  execFileSync('npm', ['install', '--no-save', '--prefix', folder, ...PACKAGES], {
    stdio: ['ignore', 'ignore', 'inherit'],
  });
}
const { status } = spawnSync('npx', ['vitest', 'run', 'test/integration/testing.test.ts'], {
  cwd: root,
  stdio: 'inherit',
});
process.exitCode = status ?? 1;
