// `npm run soak:config [-- EDITS [SEED]]`: edits the configuration of a family of four under load, at random and in every way that
// files are edited or spoilt. Exits with code 1 if a worker ever has anything else than one whole version that was good, if not all
// have the last good one in the end of each burst, or if anything dies that was not killed.

import { spawn } from 'node:child_process';
import {
  closeSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { get } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { ControlClient } from 'doublefork/control';

const EDITS = Number(process.argv[2] ?? 10_000);
const SEED = Number(process.argv[3] ?? Date.now() % 2 ** 31);
const WORKERS = 4;
/** A worker is killed once in so many bursts. */
const BURSTS_PER_KILL = 20;
/** How long a burst may take to be in force everywhere, in ms; and how often all workers must have answered, so that it is not the machine that is late. */
const PATIENCE = 20_000;
const LOOKS = 300;

const directory = mkdtempSync(join(tmpdir(), 'doublefork-soak-'));
const file = join(directory, 'app.json');
const control = join(directory, 'control');
const shared = join(directory, 'http');

let seed = SEED;
/** From 0 to below `most`; the same for the same seed. @param {number} most */
function random(most) {
  seed = (Math.imul(seed, 1103515245) + 12345) & 0x7fffffff;
  return Math.floor((seed / 0x80000000) * most);
}

let last = 0;
/** A good version, in which every number is the same. */
const version = () =>
  JSON.stringify({ n: ++last, items: Array(random(2000)).fill(last), tail: last });

const clear = () => rmSync(file, { recursive: true, force: true });

/** At no moment there is no file, or half of one. @param {string | Buffer} text */
function putOver(text) {
  // rename(2) replaces no directory by a file.
  if (lstatSync(file, { throwIfNoEntry: false })?.isDirectory()) clear();
  writeFileSync(join(directory, 'new'), text);
  renameSync(join(directory, 'new'), file);
}

/**
 * Ways to have a good version there.
 * @type {Record<string, (text: string) => unknown>}
 */
const GOOD = {
  rename: putOver,
  'in place': (text) => {
    clear();
    writeFileSync(file, text);
  },
  'in pieces': async (text) => {
    clear();
    const fd = openSync(file, 'w');
    const size = Math.ceil(text.length / 3);
    for (let at = 0; at < text.length; at += size) {
      writeSync(fd, text.slice(at, at + size));
      await sleep(random(4));
    }
    closeSync(fd);
  },
  links: (text) => {
    clear();
    const name = `..${last}`;
    mkdirSync(join(directory, name), { recursive: true });
    writeFileSync(join(directory, name, 'app.json'), text);
    symlinkSync(name, join(directory, 'link'));
    renameSync(join(directory, 'link'), join(directory, '..data'));
    symlinkSync('..data/app.json', file);
    rmSync(join(directory, `..${last - 50}`), { recursive: true, force: true });
  },
  'made anew': async (text) => {
    clear();
    await sleep(random(30));
    putOver(text);
  },
};

/** Ways to spoil it. @type {Record<string, () => unknown>} */
const BAD = {
  broken: () => putOver(version().slice(0, -1 - random(10))),
  empty: () => {
    clear();
    writeFileSync(file, '');
  },
  binary: () => putOver(Buffer.from(Array.from({ length: 300 }, () => random(256)))),
  huge: () => putOver(`{"n":0,"tail":0,"items":["${'x'.repeat(200_000)}"]}`),
  'of the wrong type': () => putOver('{"n":"one","items":[],"tail":1}'),
  gone: clear,
  'a directory': () => {
    clear();
    mkdirSync(file);
  },
  'a loop of links': () => {
    clear();
    symlinkSync('app.json', file);
  },
};

/** @type {string[]} */
const faults = [];
const totals = { edits: 0, good: 0, bad: 0, requests: 0, cut: 0, kills: 0 };
/** What a worker may have: good versions. */
const written = new Set();

/** @param {string} socketPath @returns {Promise<{ id: number, pid: number, generation: number, value: { n: number, items: number[], tail: number } }>} */
function ask(socketPath) {
  return new Promise((resolve, reject) => {
    get({ socketPath, path: '/', agent: false }, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (data) => {
        text += data;
      });
      response.on('end', () => resolve(JSON.parse(text)));
      response.on('error', reject);
    }).on('error', reject);
  });
}

/** @param {Awaited<ReturnType<typeof ask>>} answer */
function check({ id, value }) {
  const isWhole = value.tail === value.n && value.items.every((item) => item === value.n);
  if (!isWhole)
    faults.push(`worker ${id} had half a version: ${JSON.stringify(value).slice(0, 200)}`);
  else if (!written.has(value.n)) faults.push(`worker ${id} had ${value.n}, which was never good`);
}

const PROGRAM = `
  import { createServer } from 'node:http';
  import { rmSync } from 'node:fs';
  import { listen, supervise } from 'doublefork';
  import { loadConfig } from 'doublefork/config';
  const schema = { '~standard': { version: 1, vendor: 'soak', validate: (value) =>
    typeof value.n === 'number' && typeof value.tail === 'number' && Array.isArray(value.items)
      ? { value } : { issues: [{ message: 'must be a version', path: ['n'] }] } } };
  const config = loadConfig({ file: ${JSON.stringify(file)}, schema, watch: 20, maxSize: 100_000 });
  const http = listen('http', { path: ${JSON.stringify(shared)} });
  const worker = supervise({ workers: ${WORKERS}, control: ${JSON.stringify(control)}, log: 'none', minUptime: 0, ready: 'manual' });
  const answer = (_, response) => {
    const { value, generation } = config;
    response.end(JSON.stringify({ id: worker.id, pid: process.pid, generation, value }));
  };
  const own = ${JSON.stringify(directory)} + '/worker-' + worker.id;
  rmSync(own, { force: true });
  createServer(answer).listen(own, () => createServer(answer).listen({ fd: http.fd }, worker.ready));
  worker.signal.addEventListener('abort', () => process.exit());
`;

putOver(version());
written.add(last);
let inForce = last;
const family = spawn(process.execPath, ['--input-type=module', '-e', PROGRAM], {
  stdio: 'inherit',
  cwd: join(import.meta.dirname, '../..'),
});
let over = false;
family.once('exit', (code, signal) => {
  if (!over) faults.push(`the supervisor has ended: ${code ?? signal}`);
});

const all = () =>
  Promise.all(
    Array.from({ length: WORKERS }, (_, index) => ask(join(directory, `worker-${index + 1}`))),
  );

/** Waits until all workers are as wanted. @param {(answers: Awaited<ReturnType<typeof all>>) => boolean | Promise<boolean>} wanted @param {string} what */
async function until(wanted, what) {
  const end = Date.now() + PATIENCE;
  for (let looks = 0; ; ) {
    const answers = await all().catch(() => undefined);
    for (const answer of answers ?? []) check(answer);
    if (answers !== undefined) looks++;
    if (answers !== undefined && (await wanted(answers))) return answers;
    if (faults.length > 0 || family.exitCode !== null) return undefined;
    if (Date.now() > end && looks > LOOKS) {
      const had = answers?.map(({ id, generation, value }) => `${id}: ${value.n} (${generation})`);
      const { config } = await client.status();
      faults.push(
        `not within ${PATIENCE / 1000} s: ${what}; workers had ${had}; the supervisor has ${JSON.stringify(config)}`,
      );
      return undefined;
    }
    await sleep(5);
  }
}

async function load() {
  while (!over) {
    try {
      check(await ask(shared));
      totals.requests++;
    } catch {
      // The worker was killed that had it.
      totals.cut++;
      await sleep(2);
    }
  }
}

await until((answers) => answers.every(({ value }) => value.n === last), 'the start');
const client = await ControlClient.connect(control);
const loads = [load(), load()];
const of = (/** @type {object} */ ways) => Object.keys(ways)[random(Object.keys(ways).length)];

for (let burst = 1; totals.edits < EDITS && faults.length === 0; burst++) {
  let isGood = true;
  let how = '';
  /** What may be in force while the last edit is a bad one. */
  const allowed = new Set([inForce]);
  for (let count = 1 + random(6); count > 0; count--) {
    isGood = random(3) > 0;
    if (isGood) {
      const text = version();
      written.add(last);
      allowed.add(last);
      how = of(GOOD);
      await GOOD[how](text);
      totals.good++;
    } else {
      how = of(BAD);
      await BAD[how]();
      totals.bad++;
    }
    totals.edits++;
    if (random(2) === 0) await sleep(random(60));
  }
  if (burst % BURSTS_PER_KILL === 0) {
    const victim = (await client.status()).workers[random(WORKERS)];
    if (victim.pid !== null) process.kill(victim.pid, 'SIGKILL');
    totals.kills++;
  }
  const expected = last;
  const isInForce = async (/** @type {Awaited<ReturnType<typeof all>>} */ answers) => {
    const [{ generation, value }] = answers;
    if (isGood && value.n !== expected) return false;
    if (!isGood && (await client.status()).config[0]?.error == null) return false;
    return answers.every((it) => it.generation === generation && it.value.n === value.n);
  };
  const answers = await until(
    isInForce,
    `edit ${totals.edits} (${how}): ${isGood ? expected : 'refused'}`,
  );
  if (answers === undefined) break;
  inForce = answers[0].value.n;
  if (!allowed.has(inForce))
    faults.push(`${inForce} is in force, which was before the last good one`);
}
over = true;
await Promise.all(loads);
const { restarts, config } = await client.status();
if (restarts !== totals.kills)
  faults.push(`${restarts} workers have died, ${totals.kills} were killed`);
const ended = new Promise((resolve) => family.once('exit', resolve));
await client.stop();
await ended;
rmSync(directory, { recursive: true, force: true });
console.log(
  `${totals.edits} edits (${totals.good} good, ${totals.bad} bad), ${config[0]?.generation} generations in ${WORKERS} workers, ` +
    `${totals.requests} answers under load, ${totals.kills} workers killed: ${faults.length === 0 ? 'each answer a whole version that was good, and the last good one in force everywhere' : 'FAULTS'} (seed ${SEED})`,
);
for (const fault of faults) console.error(fault);
process.exitCode = faults.length === 0 ? 0 : 1;
