// `npm run bench:logs`: what a log costs, straight and captured, beside s6-log, svlogd, multilog and pino-roll (in .bench),
// each if it is there. All in turns, in one run; figures are medians, ratios are what counts. Linux.

import { execFileSync, spawn, spawnSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { interleave, median } from '../support/statistics.mjs';

const here = import.meta.dirname;
const root = join(here, '../..');
const ROUNDS = Number(process.env.ROUNDS ?? 5);
const MEGABYTES = Number(process.env.MEGABYTES ?? 50);
const directory = mkdtempSync(join(tmpdir(), 'bench-logs-'));
const input = join(directory, 'input');
const LINE = `${'x'.repeat(99)}\n`;
writeFileSync(input, LINE.repeat((MEGABYTES * 1e6) / LINE.length));
const SIZE = statSync(input).size;

const has = (name) => spawnSync('sh', ['-c', `command -v ${name}`]).status === 0;
let places = 0;

/** A new directory for each measurement. */
function place() {
  const path = join(directory, String(places++));
  mkdirSync(path);
  return path;
}

/** How many bytes of lines there are in all files of a log. */
function written(path) {
  const names = readdirSync(path).filter((name) => /^(current|app\.log|@)/.test(name));
  return names.reduce(
    (sum, name) => sum + (statSync(join(path, name), { throwIfNoEntry: false })?.size ?? 0),
    0,
  );
}

/** The text that a program prints as its result, on fd 3. */
function result(words, options = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(words[0], words.slice(1), {
      stdio: ['ignore', 'ignore', 'inherit', 'pipe'],
      ...options,
    });
    let text = '';
    child.stdio[3].setEncoding('utf8').on('data', (data) => {
      text += data;
    });
    child.on('error', reject);
    child.stdio[3].on('end', () =>
      text === '' ? reject(new Error(`${words} told nothing`)) : resolve(JSON.parse(text)),
    );
  });
}

const program = (name, ...args) => [
  process.execPath,
  join(here, 'programs', name),
  ...args.map(String),
];

/** MB/s of cat(1) through a logger that reads its standard input. */
async function piped(words, path) {
  const began = performance.now();
  execFileSync('sh', ['-c', `cat ${input} | ${words}`]);
  const took = performance.now() - began;
  if (written(path) < SIZE) throw new Error(`${words}: ${written(path)} of ${SIZE} bytes`);
  rmSync(path, { recursive: true });
  return SIZE / 1e6 / (took / 1000);
}

const LOGGERS = {
  's6-log': (path) => `s6-log n20 s10000000 ${path}`,
  // Their largest file.
  svlogd: (path) =>
    `sh -c 'printf "s10000000\\nn20\\n" > ${path}/config; exec svlogd ${path} 2>/dev/null'`,
  multilog: (path) => `multilog n20 s10000000 ${path}`,
};
const present = Object.keys(LOGGERS).filter(has);

async function throughput() {
  const variants = {
    doublefork: async () => {
      const path = place();
      const seconds = await result(program('captured.mjs', path, input, SIZE));
      rmSync(path, { recursive: true });
      return SIZE / 1e6 / seconds;
    },
  };
  for (const name of present) {
    variants[name] = () => {
      const path = place();
      return piped(LOGGERS[name](path), path);
    };
  }
  const taken = await interleave(variants, ROUNDS);
  console.log(
    `\nCaptured: ${MEGABYTES} MB in lines of 100 bytes, files of 10 MB\n\n| logger | MB/s | doublefork is |\n| --- | --: | --: |`,
  );
  const own = median(taken.doublefork);
  for (const [name, values] of Object.entries(taken)) {
    console.log(
      `| ${name} | ${median(values).toFixed(0)} | ${(own / median(values)).toFixed(2)}x |`,
    );
  }
}

async function straight() {
  const run = async (kind) => {
    const path = place();
    const rate = await result(program('straight.mjs', kind, join(path, 'app.log')));
    rmSync(path, { recursive: true });
    return rate;
  };
  const taken = await interleave(
    { shell: () => run('shell'), doublefork: () => run('doublefork') },
    ROUNDS * 2,
  );
  const [shell, own] = [median(taken.shell), median(taken.doublefork)];
  console.log(
    `\nStraight: writes of a line of 100 bytes\n\n| to a file by | writes/s |\n| --- | --: |`,
  );
  console.log(
    `| a shell redirect | ${shell.toFixed(0)} |\n| log: 'app.log' | ${own.toFixed(0)} (${(own / shell).toFixed(3)}x) |`,
  );
}

/** The longest write in each quarter of a MB, where each is a file. */
async function pauses() {
  const rows = { doublefork: await result(program('pauses.mjs', 'captured', place())) };
  for (const name of present) {
    const path = place();
    const words = LOGGERS[name](path).replace('10000000', '250000');
    rows[name] = await result([
      'sh',
      '-c',
      `${program('pauses.mjs', 'piped', path).join(' ')} | ${words}`,
    ]);
  }
  const roll = join(root, '.bench/node_modules/pino-roll');
  if (existsSync(roll))
    rows['pino-roll'] = await result(program('pauses.mjs', 'pino-roll', place()));
  console.log(
    '\nPause of a writer at a rotation, each after 250 kB: the longest write between two of 200\n\n| | median | p99 |\n| --- | --: | --: |',
  );
  for (const [name, { p50, p99 }] of Object.entries(rows)) {
    console.log(`| ${name} | ${p50.toFixed(2)} ms | ${p99.toFixed(2)} ms |`);
  }
}

/** Proportional set size, in kB. */
function pss(pid) {
  return Number(/^Pss:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8'))[1]);
}

async function memory() {
  console.log('\nMemory after 10 MB\n\n| logger | kB (PSS) |\n| --- | --: |');
  const path = place();
  const { processes } = await result(program('captured.mjs', path, input, SIZE, 'memory'));
  console.log(
    `| doublefork, ${processes.length} processes | ${processes.reduce((sum, kb) => sum + kb, 0)} |`,
  );
  for (const name of present) {
    const child = spawn('sh', ['-c', `exec ${LOGGERS[name](place())}`], {
      stdio: ['pipe', 'ignore', 'ignore'],
    });
    child.stdin.write(LINE.repeat(100_000));
    await new Promise((resolve) => setTimeout(resolve, 1000));
    console.log(`| ${name} | ${pss(child.pid)} |`);
    child.stdin.end();
    await new Promise((resolve) => child.on('exit', resolve));
  }
}

try {
  await straight();
  await throughput();
  await pauses();
  await memory();
} finally {
  rmSync(directory, { recursive: true, force: true });
}
