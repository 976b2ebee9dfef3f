// npm run bench:supervise -- [--json FILE] [--only crash|serve|memory|start] [--rounds N]
//
// Measures what supervise() is for against its peers, in one interleaved run, and checks it against the
// goals. Exit code 1: one was missed. Installs express and pm2 into node_modules/.cache; runit, s6 and
// wrk are left out where they are missing.

import { writeFileSync } from 'node:fs';
import { arch, availableParallelism, cpus, release, totalmem } from 'node:os';
import { parseArgs } from 'node:util';
import { median } from '../support/statistics.mjs';
import { measureCrashes } from './crash.mjs';
import { measureMemory, measureStart } from './memory.mjs';
import { clear, install } from './peers.mjs';
import { measureServing } from './serve.mjs';

const { values: options } = parseArgs({
  options: {
    json: { type: 'string' },
    only: { type: 'string' },
    peers: { type: 'string' },
    rounds: { type: 'string', default: '15' },
  },
});

const quantile = (values, part) =>
  values.toSorted((a, b) => a - b)[Math.min(values.length - 1, Math.floor(values.length * part))];

/** One line of the table. @type {{ name: string, value: string, goal: string, met: boolean | undefined }[]} */
const lines = [];
const samples = {};

/** @param {{ least?: number, most?: number }} goal of the value */
function tell(name, value, unit, { least = -Infinity, most = Infinity } = {}) {
  const bounds = [];
  if (least > -Infinity) bounds.push(`>= ${least}`);
  if (most < Infinity) bounds.push(`<= ${most}`);
  const met = bounds.length === 0 ? undefined : value >= least && value <= most;
  const digits = unit === 'ms' || unit === 'MB' ? 1 : unit === 'times' ? 2 : 0;
  lines.push({ name, value: `${value.toFixed(digits)} ${unit}`, goal: bounds.join(', '), met });
}

const measurements = {
  async crash() {
    const taken = await measureCrashes(Number(options.rounds), options.peers?.split(','));
    samples.crash = taken;
    const ours = taken['doublefork SIGKILL'];
    for (const [name, { ms, refused, private: own }] of Object.entries(taken)) {
      const isOurs = name.startsWith('doublefork');
      const what = `${name} (${Math.round(median(own))} MB private), ${ms.length} crashes`;
      tell(`${what}, median`, median(ms), 'ms', isOurs ? { most: 5 } : {});
      if (isOurs) tell(`${what}, p99`, quantile(ms, 0.99), 'ms', { most: 10 });
      if (isOurs) tell(`${what}, refused`, refused, 'connections', { most: 0 });
      else tell(`${what}, refused`, refused, 'connections');
      if (!isOurs && ours !== undefined)
        tell(`${name} / doublefork`, median(ms) / median(ours.ms), 'times', { least: 20 });
    }
    const large = taken['doublefork SIGKILL 300 MB'];
    if (large !== undefined)
      tell('300 MB / as it is', median(large.ms) / median(ours.ms), 'times', { most: 1.3 });
  },
  async serve() {
    const taken = await measureServing(4);
    samples.serve = taken;
    for (const app of ['hello', 'express']) {
      const [ours, theirs] = [taken[`doublefork ${app}`], taken[`node:cluster ${app}`]];
      tell(`${app}: requests per second`, median(ours.rate), 'req/s');
      tell(`${app}: node:cluster's`, median(theirs.rate), 'req/s');
      tell(`${app}: ours / theirs`, median(ours.rate) / median(theirs.rate), 'times', { least: 1 });
      tell(`${app}: busiest / idlest worker`, median(ours.spread), 'times', { most: 1.2 });
      tell(`${app}: node:cluster's`, median(theirs.spread), 'times');
    }
  },
  async memory() {
    const taken = await measureMemory(8);
    samples.memory = taken;
    tell('PSS of 8 workers and what watches them', taken.doublefork, 'MB');
    tell("node:cluster's", taken['node:cluster'], 'MB');
    tell('ours / theirs', taken.doublefork / taken['node:cluster'], 'times', { most: 0.4 });
    tell('a spare and holders, of that', taken.ahead, 'MB');
  },
  async start() {
    const taken = await measureStart(15);
    samples.start = taken;
    tell('start to served', median(taken.doublefork), 'ms');
    tell('plain node', median(taken.plain), 'ms');
    const ratio = median(taken.doublefork) / median(taken.plain);
    tell('ours / plain node', ratio, 'times', { most: 1.08 });
  },
};

install();
try {
  for (const [name, measure] of Object.entries(measurements)) {
    if (options.only !== undefined && !options.only.split(',').includes(name)) continue;
    await measure();
  }
} finally {
  clear();
}

const date = new Date().toISOString().slice(0, 10);
const memory = `${Math.round(totalmem() / 2 ** 30)} GiB`;
console.log(
  `${date}, Node ${process.version}, Linux ${release()}, ${availableParallelism()} x ${cpus()[0]?.model.trim()} (${arch()}), ${memory}\n`,
);
console.log('| | | goal | met |\n| --- | --: | --- | --- |');
for (const { name, value, goal, met } of lines)
  console.log(`| ${name} | ${value} | ${goal} | ${met === undefined ? '' : met ? 'yes' : 'no'} |`);
if (options.json !== undefined) writeFileSync(options.json, JSON.stringify({ lines, samples }));
process.exitCode = lines.some(({ met }) => met === false) ? 1 : 0;
