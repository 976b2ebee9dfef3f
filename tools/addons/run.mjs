// `npm run test:addons`: native addons, in use when the process becomes a daemon, forks or is supervised.
//
//   --node MAJOR    a Node of .matrix/ (npm run test:matrix installs them); default: the one that runs this
//   --only NAMES    of packages, with commas
//   --times N       how often: daemons, children of one process, restarts under one supervisor; default 10
//   --no-install    what is not in .addons/ is left out; nothing is fetched
//
// The answers must be right, with work in flight across the call and without. The results are kept in
// .addons/, and docs/addons.md is made of them. Not part of the tests: it takes an hour.

import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { Run } from '../soak/watched-run.mjs';
import { directoryOf, failureOf, install, isInstalled, root } from './install.mjs';
import { packages } from './packages.mjs';
import { writePage } from './page.mjs';
import { works } from './works.mjs';

const { values: asked } = parseArgs({
  options: {
    node: { type: 'string', default: process.versions.node.split('.')[0] },
    only: { type: 'string' },
    times: { type: 'string', default: '10' },
    'no-install': { type: 'boolean', default: false },
  },
});
const times = Number(asked.times);
const major = asked.node;
const matrix = join(root, `.matrix/${major}/node_modules/node-linux-${process.arch}/bin/node`);
const node = process.versions.node.startsWith(`${major}.`) ? process.execPath : matrix;
if (!existsSync(node)) throw new Error(`${node} is not there: npm run test:matrix -- ${major}`);
const version = execFileSync(node, ['--version'], { encoding: 'utf8' }).trim();

const names = asked.only?.split(',');
const chosen = packages.filter(({ name }) => names?.includes(name) ?? true);
if (!asked['no-install']) {
  for (const wanted of chosen) await install(node, major, wanted);
}

/** Whether `doublefork doctor` warns of it, where it is installed. @param {string} name */
function toldByDoctor(name) {
  let text;
  try {
    const command = [join(root, 'dist/cli/doublefork.cjs'), 'doctor', '--json'];
    const cwd = directoryOf(major, name);
    text = execFileSync(node, command, {
      cwd,
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    });
  } catch (error) {
    text = error.stdout;
  }
  const about = JSON.parse(text).find(({ what }) => what === `package: ${name}`);
  return about?.verdict === 'warning' ? about.detail : undefined;
}

/** One run of the program. @returns {Promise<{ outcome: 'works' | 'refused' | 'broken', text?: string, inFlight?: number, binaries: string[] }>} */
async function once(name, call) {
  const program = join(import.meta.dirname, 'program.mjs');
  const words = [program, name, call, `${times}`, 'DIRECTORY'];
  const run = await new Run(node, words, { silence: 60_000 }).ended;
  const of = (key) => run.reports.find((report) => report[key] !== undefined);
  const binaries = of('binaries')?.binaries ?? [];
  const inFlight = of('inFlight')?.inFlight;
  if (!run.reports.includes('end')) run.problems.push('it did not get to its end');
  if (run.code !== 0) run.problems.push(`it ended with ${run.code ?? run.signal}`);
  if (run.problems.length > 0) {
    const text = [...run.problems, run.stderr].join('\n');
    return { outcome: 'broken', text, inFlight, binaries };
  }
  const refused = of('refused');
  if (refused !== undefined)
    return { outcome: 'refused', text: refused.refused, inFlight, binaries };
  return { outcome: 'works', inFlight, binaries };
}

/** Several runs, until one is broken. */
async function often(name, call, count) {
  const sum = { works: 0, refused: 0, broken: 0, inFlight: 0, texts: [], binaries: [] };
  for (let i = 0; i < count; i++) {
    const { outcome, text, inFlight = 0, binaries } = await once(name, call);
    sum[outcome]++;
    if (inFlight > 0) sum.inFlight++;
    if (text !== undefined && !sum.texts.includes(text)) sum.texts.push(text);
    if (binaries.length > 0) sum.binaries = binaries;
    if (outcome === 'broken') break;
  }
  return sum;
}

const resultsPath = join(root, '.addons', major, 'results.json');
mkdirSync(join(root, '.addons', major), { recursive: true });
const readResults = () =>
  existsSync(resultsPath) ? JSON.parse(readFileSync(resultsPath, 'utf8')) : {};

/** Another run may write its own meanwhile. */
function keep(name, result) {
  writeFileSync(resultsPath, JSON.stringify({ ...readResults(), [name]: result }, null, 1));
}

const word = ({ works: good, refused, broken }) =>
  broken > 0
    ? `BROKEN after ${good + refused}`
    : refused > 0
      ? `refused ${refused}, works ${good}`
      : `works`;

let faults = 0;
for (const { name } of chosen) {
  if (!isInstalled(major, name)) {
    const failure = failureOf(major, name) ?? 'was not tried';
    keep(name, { failure });
    console.log(`${name}: cannot be installed: ${failure}`);
    continue;
  }
  if (works[name] === undefined) throw new Error(`Nothing is known to do with ${name}`);
  const manifest = join(directoryOf(major, name), 'node_modules', name, 'package.json');
  const result = {
    version: JSON.parse(readFileSync(manifest, 'utf8')).version,
    node: version,
    times,
  };
  result.plain = await often(name, 'plain', 1);
  if (result.plain.broken === 0) {
    result.idle = await often(name, 'idle', times);
    result.busy = await often(name, 'busy', times);
    if (result.busy.inFlight === 0) delete result.busy;
    // As many times in one process.
    result.fork = await often(name, 'fork', 1);
    result.supervise = await often(name, 'supervise', 1);
  }
  result.doctor = toldByDoctor(name);
  result.date = new Date().toISOString().slice(0, 10);
  keep(name, result);
  const cells = ['plain', 'idle', 'busy', 'fork', 'supervise'].filter((call) => result[call]);
  console.log(
    `${name} ${result.version}: ${cells.map((call) => `${call} ${word(result[call])}`).join(', ')}`,
  );
  for (const call of cells) {
    for (const text of result[call].texts)
      console.log(`  ${call}: ${text.replaceAll('\n', '\n    ')}`);
    if (result[call].broken > 0 && result.doctor === undefined) faults++;
  }
}
writePage();
process.exit(faults === 0 ? 0 : 1);
