// `npm run soak`: many double forks in one run, and then random scenarios, until the time is up.
//
//   --forks N     double forks under load, in one process of each Node; default 10000
//   --minutes N   of random scenarios; default 30
//   --seed N      the one that an earlier run has printed: the same scenarios in the same order
//   --only N      that scenario alone, again and again
//   --node MAJOR  a Node of .matrix/ (npm run test:matrix installs them); may be given more than once.
//                 Default: all that are there, else the one that runs this
//   --jobs N      scenarios at a time; default: as many as processors
//
// A hang, a crash or lost work ends with exit code 1 and is printed with the seed, the scenario and the
// stacks of all threads. What is refused (EBUSY) is counted. Not part of the tests: it takes long.

import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { installedWorks } from '../addons/works.mjs';
import { loads } from './loads.mjs';
import { Choices } from './random.mjs';
import { Run } from './watched-run.mjs';

const root = join(import.meta.dirname, '../..');
const { values: asked } = parseArgs({
  options: {
    forks: { type: 'string', default: '10000' },
    minutes: { type: 'string', default: '30' },
    seed: { type: 'string', default: `${Date.now() % 2 ** 31}` },
    only: { type: 'string' },
    node: { type: 'string', multiple: true },
    jobs: { type: 'string', default: `${availableParallelism()}` },
  },
});
const seed = Number(asked.seed);

const majors = asked.node ?? (existsSync(join(root, '.matrix')) ? ['20', '22', '24', '26'] : []);
const nodes = majors
  .map((major) => join(root, `.matrix/${major}/node_modules/node-linux-${process.arch}/bin/node`))
  .filter((path) => existsSync(path));
if (nodes.length === 0) nodes.push(process.execPath);
const versionOf = (node) => execFileSync(node, ['--version'], { encoding: 'utf8' }).trim();

/** Where Debian has them: libjemalloc2, libmimalloc2.0, libtcmalloc-minimal4. */
const allocators = ['libjemalloc.so.2', 'libmimalloc.so.2', 'libtcmalloc_minimal.so.4'].flatMap(
  (name) => {
    const triplet = { x64: 'x86_64-linux-gnu', arm64: 'aarch64-linux-gnu' }[process.arch];
    const path = `/usr/lib/${triplet}/${name}`;
    return existsSync(path) ? [path] : [];
  },
);

async function doubleForks(node, count) {
  const version = versionOf(node);
  const began = performance.now();
  let done = 0;
  let refused = 0;
  const run = new Run(node, [join(import.meta.dirname, 'double-forks.mjs'), `${count}`], {
    silence: 120_000,
    onReport(report) {
      if (typeof report === 'number') done++;
      else if (report.refused !== undefined) refused++;
      else if (report.after !== undefined) {
        const memory = `${Math.round(report.memory / 2 ** 20)} MB, ${report.descriptors} descriptors`;
        console.log(`${version}: ${report.after} double forks, ${memory}`);
      }
    },
  });
  await run.ended;
  if (new Set(run.reports.filter((it) => typeof it === 'number')).size !== count) {
    run.problems.push(`${done} daemons of ${count} got to their end`);
  }
  if (run.code !== 0) run.problems.push(`it ended with ${run.code ?? run.signal}`);
  if (run.stderr !== '') run.problems.push(run.stderr);
  const seconds = Math.round((performance.now() - began) / 1000);
  console.log(
    `${version}: ${done} of ${count} double forks under load, ${refused} refused once, ${run.problems.length} problems, ${seconds} s`,
  );
  for (const problem of run.problems) console.log(problem);
  return run.problems.length;
}

const CALLS = ['daemonize', 'chain', 'children', 'supervise', 'jobs'];
const FLAGS = [
  '--expose-gc',
  '--max-old-space-size=200',
  '--single-threaded-gc',
  '--stress-compaction',
];
/** Addons that are installed for that Node: npm run test:addons. @param {string} node */
const addonsFor = (node) => installedWorks(versionOf(node).slice(1).split('.')[0]);

/** The scenario with that number. */
function scenarioOf(number) {
  const choices = new Choices(Math.imul(seed, 0x9e3779b1) ^ number);
  const names = Object.keys(loads);
  const node = choices.one(nodes);
  const call = choices.one(CALLS);
  const env = {};
  if (choices.chance(0.25)) env.UV_USE_IO_URING = '1';
  if (choices.chance(0.2)) env.UV_THREADPOOL_SIZE = `${choices.one([1, 2, 16])}`;
  if (choices.chance(0.3) && allocators.length > 0) env.LD_PRELOAD = choices.one(allocators);
  const flags = choices.some(FLAGS, 0.15);
  if (choices.chance(0.15)) flags.push('--inspect=127.0.0.1:0');
  if (choices.chance(0.1)) flags.push(`--v8-pool-size=${choices.one([0, 1, 8])}`);
  const own = choices.some(names, 3 / names.length);
  const installed = addonsFor(node);
  const addons = choices.some(installed, 1.5 / installed.length);
  const byExec = call === 'daemonize' || call === 'supervise';
  return {
    node,
    env,
    flags,
    scenario: {
      call,
      loads: own.length === 0 ? [choices.one(names)] : own,
      addons,
      engine: byExec ? choices.one(['fork', 'fork', 'auto', 'exec']) : 'fork',
      parent: choices.one(['running', 'frozen', 'main-thread']),
      times: choices.between(1, 6),
      delay: choices.between(0, 40),
      patience: 20_000,
    },
  };
}

const counts = {};
const refusals = {};
let failures = 0;

async function play(number) {
  const { node, env, flags, scenario } = scenarioOf(number);
  const words = [
    ...flags,
    join(import.meta.dirname, 'program.mjs'),
    JSON.stringify(scenario),
    'DIRECTORY',
  ];
  const run = await new Run(node, words, { env, silence: 60_000 }).ended;
  counts[scenario.call] = (counts[scenario.call] ?? 0) + 1;
  const refusal = /^.*Error: (.*)\n(?:.*\n)*? *code: '(?:EBUSY|ENOTSUP|EAGAIN)'/m.exec(
    run.stderr,
  )?.[1];
  if (refusal !== undefined && run.problems.length === 0) {
    const kind = refusal.replace(/\d+/g, 'N').slice(0, 150);
    refusals[kind] = (refusals[kind] ?? 0) + 1;
    return;
  }
  if (!run.reports.includes('end')) {
    const stands = run.reports.flatMap((report) => report.stands ?? []);
    run.problems.push(
      `it did not get to its end${stands.length > 0 ? `; these stood still: ${stands}` : ''}`,
    );
  }
  if (run.code !== 0) run.problems.push(`it ended with ${run.code ?? run.signal}`);
  if (run.problems.length === 0) return;
  failures++;
  console.log(
    `\n*** scenario ${number} of seed ${seed}: npm run soak -- --forks 0 --seed ${seed} --only ${number}\n` +
      `Node ${versionOf(node)} ${flags.join(' ')} ${JSON.stringify(env)}\n${JSON.stringify(scenario)}\n` +
      `${run.problems.join('\n')}\n${run.stderr}`,
  );
}

async function scenarios(minutes) {
  const began = Date.now();
  const end = began + minutes * 60_000;
  let next = 0;
  let played = 0;
  let told = began;
  const player = async () => {
    while (Date.now() < end) {
      await play(asked.only === undefined ? next++ : Number(asked.only));
      played++;
      if (Date.now() - told > 60_000) {
        told = Date.now();
        console.log(
          `${Math.round((told - began) / 60_000)} min: ${played} scenarios, ${failures} failed`,
        );
      }
    }
  };
  await Promise.all(Array.from({ length: Number(asked.jobs) }, player));
  console.log(`${played} scenarios of seed ${seed}: ${failures} failed`);
  console.log(`calls: ${JSON.stringify(counts)}\nrefused: ${JSON.stringify(refusals, null, 1)}`);
}

console.log(
  `seed ${seed}; Node ${nodes.map(versionOf).join(', ')}; ${allocators.length} allocators`,
);
const forks = Number(asked.forks);
if (forks > 0) for (const node of nodes) failures += await doubleForks(node, forks);
if (Number(asked.minutes) > 0) await scenarios(Number(asked.minutes));
process.exit(failures === 0 ? 0 : 1);
