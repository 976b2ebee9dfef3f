// Installs and builds whatever is missing or out of date, so that `npm start` and `npm test` work on
// a fresh clone. Runs before anything is installed: Node alone must do.

import { spawnSync } from 'node:child_process';
import { readdirSync, statSync, utimesSync } from 'node:fs';
import { join } from 'node:path';

process.chdir(join(import.meta.dirname, '..'));

/**
 * @typedef Product
 * @property {string} file exists, and is the newest, if there is nothing to do
 * @property {string[]} sources files and folders that it is made of
 * @property {string} task for people
 * @property {string[]} npm the npm command that makes it
 */

/** @type {Product[]} In the order in which they build on each other. */
const products = [
  {
    // npm's own record of what it installed.
    file: 'node_modules/.package-lock.json',
    sources: ['package-lock.json'],
    task: 'Installing packages',
    // With a NODE_ENV of production npm would leave the build tools out.
    npm: ['ci', '--include=dev', '--no-audit', '--no-fund'],
  },
  {
    file: 'build/Release/doublefork.node',
    sources: ['native', 'binding.gyp'],
    task: 'Building the addon',
    npm: ['exec', '--no', '--', 'node-gyp', 'configure', 'build'],
  },
  {
    file: 'dist/index.js',
    sources: [
      'src',
      'binding.gyp',
      'package.json',
      'tools/build.mjs',
      'tsconfig.json',
      'tsconfig.build.json',
    ],
    task: 'Compiling TypeScript',
    npm: ['run', 'build:ts'],
  },
];

for (const product of products) {
  if (!isFresh(product)) make(product);
}

/** @param {Product} product */
function isFresh({ file, sources }) {
  const made = statSync(file, { throwIfNoEntry: false });
  return made !== undefined && sources.every((source) => newest(source) <= made.mtimeMs);
}

/** When a file, or the last of the files in a folder, was changed. @param {string} path */
function newest(path) {
  const stat = statSync(path);
  if (!stat.isDirectory()) return stat.mtimeMs;
  return Math.max(...readdirSync(path).map((name) => newest(join(path, name))));
}

/** @param {Product} product */
function make({ file, task, npm }) {
  process.stdout.write(`${task} (npm ${npm.join(' ')}) ... `);
  const start = performance.now();
  const { status, error, stdout, stderr } = runNpm(npm);
  if (status !== 0) {
    process.stdout.write('failed\n');
    process.stderr.write(error === undefined ? `${stdout}${stderr}` : `${error.message}\n`);
    process.exit(1);
  }
  // make(1) leaves a file alone whose sources turned out to say the same as before.
  const now = new Date();
  utimesSync(file, now, now);
  process.stdout.write(`${((performance.now() - start) / 1000).toFixed(1)} s\n`);
}

/** The npm that runs this, or else the one in PATH. @param {string[]} args */
function runNpm(args) {
  const own = process.env.npm_execpath;
  /** @type {import('node:child_process').SpawnSyncOptionsWithStringEncoding} */
  const options = {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
    maxBuffer: 2 ** 28,
  };
  return own?.endsWith('.js')
    ? spawnSync(process.execPath, [own, ...args], options)
    : spawnSync('npm', args, options);
}
