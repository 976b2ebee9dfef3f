// `npm run check:package`: what publint and arethetypeswrong have to say about the package. Both come from the npm
// registry when this is run: they would be a third of all that a clone installs.

import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

process.chdir(join(import.meta.dirname, '..'));
const folder = mkdtempSync(join(tmpdir(), 'doublefork-'));

/** @param {string[]} words @param {import('node:child_process').StdioOptions} stdio */
const npm = (words, stdio) => execFileSync('npm', words, { encoding: 'utf8', stdio });

try {
  const pack = ['pack', '--ignore-scripts', '--silent', '--pack-destination', folder];
  const tarball = join(folder, npm(pack, ['ignore', 'pipe', 'inherit']).trim());
  for (const [name, ...command] of [
    ['publint@0.3', 'publint', 'run', '--strict', tarball],
    // node10: TypeScript's name for how Node 10 finds a file, which knows no "exports".
    ['@arethetypeswrong/cli@0.18', 'attw', '--profile', 'node16', tarball],
  ]) {
    npm(['exec', '--yes', `--package=${name}`, '--', ...command], 'inherit');
  }
} catch {
  // It has said what is wrong.
  process.exitCode = 1;
} finally {
  rmSync(folder, { recursive: true });
}
