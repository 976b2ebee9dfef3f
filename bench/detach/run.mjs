// npm run bench:detach -- [--json FILE] [--only detach|start|http|compute]
//
// Measures what daemonize() costs and checks it against the goals. Exit code 1: one was missed.

import { writeFileSync } from 'node:fs';
import { arch, availableParallelism, cpus, release, totalmem } from 'node:os';
import { parseArgs } from 'node:util';
import { median } from '../support/statistics.mjs';
import { measureDetach } from './detach.mjs';
import { measureStart } from './start.mjs';
import { measureCompute, measureHttp } from './throughput.mjs';

const { values: options } = parseArgs({
  options: { json: { type: 'string' }, only: { type: 'string' } },
});

/**
 * One line of the table: `ratio` is between the medians.
 * @typedef {{ name: string, ours: number, theirs: number, unit: string, ratio: number, goal: string, met: boolean, samples: { ours: number[], theirs: number[] } }} Result
 */

/** @type {Result[]} */
const results = [];

/**
 * @param {string} name
 * @param {string} unit
 * @param {number[]} ours
 * @param {number[]} theirs
 * @param {{ least?: number, most?: number, inverse?: boolean }} goal of ours to theirs, or inverse
 */
function compare(name, unit, ours, theirs, { least = 0, most = Infinity, inverse = false }) {
  const [a, b] = [median(ours), median(theirs)];
  const ratio = inverse ? b / a : a / b;
  const bounds = [];
  if (least > 0) bounds.push(`>= ${least}`);
  if (most < Infinity) bounds.push(`<= ${most}`);
  results.push({
    name,
    ours: a,
    theirs: b,
    unit,
    ratio,
    goal: bounds.join(', '),
    met: ratio >= least && ratio <= most,
    samples: { ours, theirs },
  });
}

const measurements = {
  async detach() {
    for (const [megabytes, rounds, most] of [
      [45, 31, 2.5],
      [500, 9, 1.25],
    ]) {
      const { daemonize, clones } = await measureDetach(megabytes, rounds);
      compare(`daemonize() / two bare clones, ${megabytes} MB`, 'ms', daemonize, clones, { most });
    }
  },
  async start() {
    const taken = await measureStart(21);
    const ours = taken.doublefork;
    compare('start to served / plain node', 'ms', ours, taken.plain, { most: 1.12 });
    const faster = { least: 1.7, inverse: true };
    compare('detached spawn / start to served', 'ms', ours, taken.spawn, faster);
    // Both start Node a second time.
    compare('exec engine / detached spawn', 'ms', taken.exec, taken.spawn, { most: 1.05 });
    const theirs = taken['daemonize-process'];
    compare('daemonize-process / start to served', 'ms', ours, theirs, faster);
  },
  async http() {
    const { daemon, plain } = await measureHttp(4);
    compare('HTTP throughput / plain node', 'req/s', daemon, plain, { least: 0.97, most: 1.03 });
  },
  async compute() {
    const { daemon, plain } = await measureCompute(11);
    compare('JIT and GC, time / plain node', 'ms', daemon, plain, { least: 0.97, most: 1.03 });
  },
};

const names = options.only === undefined ? Object.keys(measurements) : [options.only];
for (const name of names) {
  if (!Object.hasOwn(measurements, name)) throw new Error(`--only: no measurement "${name}"`);
  process.stderr.write(`measuring ${name} ...\n`);
  await measurements[name]();
}

const machine = {
  date: new Date().toISOString(),
  node: process.version,
  kernel: release(),
  processor: `${availableParallelism()} x ${cpus()[0]?.model ?? 'unknown'} (${arch()})`,
  memoryGiB: Math.round(totalmem() / 2 ** 30),
};
console.log(
  `${machine.date.slice(0, 10)}, Node ${machine.node}, Linux ${machine.kernel}, ${machine.processor}, ${machine.memoryGiB} GiB\n`,
);
const row = (cells) => `| ${cells.join(' | ')} |`;
console.log(row(['medians', 'ours', 'other', 'ratio', 'goal', 'met']));
console.log(row(['---', '--:', '--:', '--:', '---', '---']));
for (const { name, ours, theirs, unit, ratio, goal, met } of results) {
  const digits = ours < 1000 ? 1 : 0;
  console.log(
    row([
      name,
      `${ours.toFixed(digits)} ${unit}`,
      `${theirs.toFixed(digits)} ${unit}`,
      ratio.toFixed(2),
      goal,
      met ? 'yes' : 'no',
    ]),
  );
}
if (options.json !== undefined) {
  writeFileSync(options.json, `${JSON.stringify({ ...machine, results }, null, 2)}\n`);
}
process.exitCode = results.every(({ met }) => met) ? 0 : 1;
