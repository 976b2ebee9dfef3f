// `npm run test:mutations [-- WORD...]`: plants the faults of mutations.json one at a time into a copy
// of this checkout, each of which its test must catch. Those whose text has one of the words, or all.
// `--write` puts the score into docs/testing-doublefork.md.

import { execFileSync, spawnSync } from 'node:child_process';
import {
  chmodSync,
  copyFileSync,
  cpSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/**
 * @typedef Fault
 * @property {string} fault what is wrong then
 * @property {string} file where it is planted
 * @property {string} from text that is there once
 * @property {string} to what takes its place
 * @property {string} test the file of the test that must fail
 * @property {string} name part of the test's name
 */

const root = join(import.meta.dirname, '..');
const ADDON = 'build/Release/doublefork.node';
/** @type {Fault[]} */
const faults = JSON.parse(readFileSync(join(root, 'tools/mutations.json'), 'utf8'));
const words = process.argv.slice(2).filter((word) => word !== '--write');
const isAsked = ({ fault }) => words.length === 0 || words.some((word) => fault.includes(word));

const copy = mkdtempSync(join(tmpdir(), 'doublefork-mutations-'));
// Some tests run a program as a user without rights.
chmodSync(copy, 0o755);
process.on('exit', () => rmSync(copy, { recursive: true, force: true }));
process.on('SIGINT', () => process.exit(130));

const files = execFileSync('git', ['ls-files', '-z'], { cwd: root, encoding: 'utf8' }).split('\0');
// With their times: make(1) is to compile the file with the fault, and no other.
const asItIs = { recursive: true, preserveTimestamps: true };
for (const file of files.filter((name) => name !== '')) {
  cpSync(join(root, file), join(copy, file), asItIs);
}
for (const folder of ['build', 'dist']) cpSync(join(root, folder), join(copy, folder), asItIs);
symlinkSync(join(root, 'node_modules'), join(copy, 'node_modules'));

/** @param {string} command @param {string[]} args */
const run = (command, args) =>
  spawnSync(command, args, {
    cwd: copy,
    encoding: 'utf8',
    env: { ...process.env, NO_COLOR: '1' },
  });

/** Some unit tests are of the sources. @param {Fault} fault */
function build({ file, test }) {
  if (!/from '(doublefork|.*\/support\/)/.test(readFileSync(join(copy, test), 'utf8'))) return;
  const { status, stdout, stderr } = file.startsWith('native/')
    ? run('npx', ['node-gyp', 'build'])
    : run('node', ['tools/build.mjs']);
  if (status !== 0) throw new Error(`it does not build:\n${stdout}${stderr}`);
}

/** Whether that one test fails. @param {Fault} fault */
function isCaught({ test, name }) {
  // It is a regular expression there.
  const literally = name.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&');
  const words = ['vitest', 'run', '--project', 'fork', test, '-t', literally];
  const { status, stdout, stderr } = run('npx', words);
  if (!/Tests .*\d+ (passed|failed)/.test(stdout)) {
    throw new Error(`no test of ${test} has run: ${name}\n${stdout}${stderr}`);
  }
  return status !== 0;
}

/** @param {Fault} fault @returns {string} how it went */
function plant(fault) {
  const path = join(copy, fault.file);
  const text = readFileSync(path, 'utf8');
  if (text.split(fault.from).length !== 2) return 'its text is not there once: change the list';
  try {
    writeFileSync(
      path,
      text.replace(fault.from, () => fault.to),
    );
    build(fault);
    return isCaught(fault) ? 'caught' : 'NOT caught';
  } catch (error) {
    return error.message;
  } finally {
    writeFileSync(path, text);
    // dist/ is built whole each time, the addon not by the next fault of another language.
    copyFileSync(join(root, ADDON), join(copy, ADDON));
  }
}

const asked = faults.filter(isAsked);
/** Whether a test fails without a fault; each is run once. */
const fails = new Map();
const broken = asked.filter((fault) => {
  const key = `${fault.test} ${fault.name}`;
  if (!fails.has(key)) fails.set(key, isCaught(fault));
  return fails.get(key);
});
for (const { test, name } of broken) console.log(`fails without a fault: ${test}: ${name}`);
const outcomes = asked.map((fault) => {
  const outcome = broken.includes(fault) ? 'not tried' : plant(fault);
  console.log(`${outcome.padEnd(10)} ${fault.fault}`);
  return outcome;
});
const caught = outcomes.filter((outcome) => outcome === 'caught').length;
const score = `${caught} of ${asked.length} planted faults are caught`;
console.log(score);
process.exitCode = caught === asked.length ? 0 : 1;

if (process.argv.includes('--write')) {
  const page = join(root, 'docs/testing-doublefork.md');
  const text = readFileSync(page, 'utf8');
  writeFileSync(page, text.replace(/Last whole\nrun: [^.]*/, `Last whole\nrun: ${score}`));
}
