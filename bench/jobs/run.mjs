// `npm run bench:jobs [-- PART...]`: functions in copies of the process, and state in memory, each beside what else there is.
// Parts: copy pool journal sum snapshot. Each is one run in which all have their turns.

import { execFileSync } from 'node:child_process';
import { cpus } from 'node:os';
import { join } from 'node:path';

const parts = {
  /** Of which the goals speak: a copy of 60 MB against a process and a Worker that answer `42`. */
  copy() {
    console.log(
      '| resident | inFork(() => 42) | pause of the parent | new Worker | child_process.fork() |',
    );
    console.log('| --: | --: | --: | --: | --: |');
    for (const [size, rounds] of [
      [60, 25],
      [500, 15],
      [2000, 7],
    ]) {
      const { inFork, pause, worker, childProcess } = measure('measure.mjs', 8000, size, rounds);
      const beside = (value) => `${ms(value)} (${times(value, inFork)})`;
      console.log(
        `| ${size} MB | ${ms(inFork)} | ${ms(pause)} | ${beside(worker)} | ${beside(childProcess)} |`,
      );
      if (size === 60) {
        goal('child_process.fork() takes 14 times as long', childProcess / inFork >= 14);
        goal('a Worker takes 4 times as long', worker / inFork >= 4);
      }
    }
  },

  pool() {
    const results = measure('pool.mjs', 4000, 9);
    console.log('| jobs of 1 ms, argument | createPool() | piscina | |\n| --- | --: | --: | --: |');
    for (const [name, { ours, piscina }] of Object.entries(results)) {
      console.log(
        `| ${name} | ${ours.toFixed(0)}/s | ${piscina.toFixed(0)}/s | ${times(ours, piscina)} |`,
      );
      goal(`0.9 of piscina's throughput, argument ${name}`, ours / piscina >= 0.9);
    }
  },

  journal() {
    const { journal, sqlite, sqliteTogether } = measure('journal.mjs', 1000, 5);
    const row = (name, value) =>
      console.log(`| ${name} | ${value.toFixed(0)}/s | ${times(journal, value)} |`);
    console.log('| 64 writers, durable | appends | Journal has |\n| --- | --: | --: |');
    row('Journal', journal);
    row('SQLite, a transaction each', sqlite);
    row('SQLite, one transaction for all that wait', sqliteTogether);
    goal("0.8 of SQLite's appends", journal / sqlite >= 0.8);
    goal(
      "0.8 of SQLite's appends, all that wait in one transaction",
      journal / sqliteTogether >= 0.8,
    );
  },

  sum() {
    const { one, inFork, piscina, cores, objects } = measure('sum.mjs', 12_000, 1000, 2);
    console.log(`| sum over ${objects} objects, 1 GB | time | |\n| --- | --: | --: |`);
    console.log(`| one thread | ${ms(one)} | ${times(one, inFork)} |`);
    console.log(`| inFork(), ${cores} jobs | ${ms(inFork)} | 1 |`);
    console.log(`| piscina, ${cores} threads | ${ms(piscina)} | ${times(piscina, inFork)} |`);
  },

  snapshot() {
    const { nothing, snapshot, inPlace, entries } = measure('snapshot.mjs', 8000, 1000);
    const redis = measure('redis.mjs', 1000, entries);
    console.log(
      `| ${entries} entries, 10,000 writes/s | longest pause | until it is durable |\n| --- | --: | --: |`,
    );
    const row = (name, { longest, took }) =>
      console.log(`| ${name} | ${ms(longest)} | ${ms(took)} |`);
    row('nothing beside', nothing);
    row('snapshot()', snapshot);
    row('JSON.stringify() in place', inPlace);
    row('Redis, nothing beside', redis.nothing);
    row('Redis, BGSAVE', redis.bgsave);
  },
};

/** @param {string} file @param {number} heap in MB @param {...number} args */
function measure(file, heap, ...args) {
  const command = [
    `--max-old-space-size=${heap}`,
    join(import.meta.dirname, file),
    ...args.map(String),
  ];
  return JSON.parse(execFileSync(process.execPath, command, { encoding: 'utf8' }));
}

const ms = (value) => `${value.toFixed(value < 100 ? 1 : 0)} ms`;
const times = (value, other) => `${(value / other).toFixed(2)} x`;
/** @param {string} what @param {boolean} met */
function goal(what, met) {
  goals.push(`${met ? 'met' : 'MISSED'}: ${what}`);
  if (!met) process.exitCode = 1;
}
/** @type {string[]} */
const goals = [];

const asked = process.argv.slice(2);
for (const name of asked)
  if (!(name in parts)) throw new Error(`no part ${name}: ${Object.keys(parts).join(' ')}`);
console.log(`Node ${process.version}, ${cpus().length} x ${cpus()[0]?.model}`);
for (const [name, part] of Object.entries(parts)) {
  if (asked.length > 0 && !asked.includes(name)) continue;
  console.log(`\n${name}`);
  part();
}
console.log(`\n${goals.join('\n')}`);
