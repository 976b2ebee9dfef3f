// C22 of a captured log: each line exactly once, whoever is killed, across reloads.

import { closeSync, readdirSync, readFileSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { Capture } from '../../../src/logs/capture.js';
import { checkCapture } from '../../../src/logs/options.js';
import { ControlClient } from '../../../src/supervise/control-client.js';
import { temporaryFolder } from '../../support/folder.js';
import { node } from '../../support/node.js';
import { endOthers, killQuietly, MARK, stat, until } from '../../support/processes.js';
import { launch } from '../../support/program.js';
import { finished, lines, loggersOf } from './tools.js';

/** `npm run test:logs` has more. */
const COUNT = Number(process.env.DOUBLEFORK_LINES ?? 20_000);
const RELOADS = COUNT > 100_000 ? 10 : 3;
const ENGINE = process.env.DOUBLEFORK_ENGINE ?? 'auto';
const PACKAGE = JSON.stringify(join(import.meta.dirname, '../../../dist/index.js'));

/** Each worker writes numbered lines under its pid, and notes beside the log how many it has written. */
const program = (directory: string) => `
import * as fs from 'node:fs';
import { supervise } from ${PACKAGE};
const worker = supervise({
  workers: 4, engine: '${ENGINE}', control: '${directory}/control', maxFailures: 0, minUptime: 0,
  backoff: { initial: 1, max: 1 }, log: { file: '${directory}/app.log', maxSize: 5e6, maxFiles: 0 },
});
const progress = fs.openSync('${directory}/progress.' + process.pid, 'w');
let on = true;
worker.signal.addEventListener('abort', () => { on = false; });
for (let i = 0; on; ) {
  for (let k = 0; k < 20; k++) {
    // No longer than what a pipe takes whole.
    fs.writeSync(1, 'w' + process.pid + ' ' + i + ' ' + 'x'.repeat(i % 180) + '\\n');
    fs.writeSync(progress, String(++i), 0);
  }
  await new Promise(setImmediate);
}
process.exit(0);
`;

/** How many lines each process of a worker has written for certain, by its pid. */
function progressIn(directory: string): Map<number, number> {
  const names = readdirSync(directory).filter((name) => name.startsWith('progress.'));
  return new Map(
    names.map((name) => [
      Number(name.slice('progress.'.length)),
      Number(readFileSync(join(directory, name), 'utf8')),
    ]),
  );
}

/** The two processes of a logger, as soon as there are two and no others. */
async function pairOf(file: string, when: string): Promise<{ holder: number; writer: number }> {
  let pair: number[] = [];
  await until(() => {
    pair = loggersOf(file);
    if (pair.length === 2 && stat(pair[0]!)?.ppid === pair[1]) pair.reverse();
    return pair.length === 2 && stat(pair[1]!)?.ppid === pair[0];
  }, `${when} the logger is two processes`).catch((error) => {
    const found = pair.map((pid) => `${pid}, child of ${stat(pid)?.ppid}, ${stat(pid)?.state}`);
    throw new Error(`${error.message}; it is ${found.join('; ')}`);
  });
  return { holder: pair[0]!, writer: pair[1]! };
}

const sum = (values: Iterable<number>) => [...values].reduce((a, b) => a + b, 0);

test('each line exactly once while workers and the logger are killed at random, across reloads', async () => {
  const directory = temporaryFolder();
  const file = join(directory, 'app.log');
  writeFileSync(join(directory, 'app.mjs'), program(directory));
  const running = launch(node, [join(directory, 'app.mjs')], { deadline: 800_000 });
  let reloads = 0;
  let kills = 0;
  let isOver = false;
  const isDone = () => reloads >= RELOADS && sum(progressIn(directory).values()) >= COUNT;
  const reload = async () => {
    while (reloads < RELOADS && !isOver) {
      try {
        await using client = await ControlClient.connect(join(directory, 'control'));
        await client.reload();
        reloads++;
      } catch {
        // A worker of the new image was killed: the old one stays.
      }
    }
  };
  try {
    await until(() => progressIn(directory).size >= 4, 'the workers write');
    const reloading = reload();
    while (!isDone()) {
      const pids = [...progressIn(directory).keys()].filter(
        (pid) => (stat(pid)?.state ?? 'Z') !== 'Z',
      );
      const worker = pids[Math.floor(Math.random() * pids.length)];
      if (worker !== undefined) killQuietly(worker);
      // One of the two, and no other before that one is made anew: when both are gone nobody reads.
      const { holder, writer } = await pairOf(file, `after ${kills} kills`);
      killQuietly(kills++ % 2 === 0 ? holder : writer);
      await new Promise((resolve) => setTimeout(resolve, 50 + Math.random() * 200));
    }
    await reloading;
    process.kill(running.pid, 'SIGTERM');
    await running.ended;
    await finished(file);
  } finally {
    isOver = true;
    await endOthers(process.env[MARK]!);
  }

  const seen = new Map<number, number[]>();
  const damaged: string[] = [];
  for (const line of lines(file)) {
    if (line.startsWith('{')) continue; // The supervisor's.
    const [, pid, number, rest] = /^w(\d+) (\d+) (x*)$/.exec(line) ?? [];
    if (rest === undefined || rest.length !== Number(number) % 180) damaged.push(line);
    else if (seen.get(Number(pid))?.push(Number(number)) === undefined) {
      seen.set(Number(pid), [Number(number)]);
    }
  }
  expect(damaged).toEqual([]);
  let unnoted = 0;
  for (const [pid, count] of progressIn(directory)) {
    const numbers = seen.get(pid) ?? [];
    // It may have been killed after it had written a line and before it noted that.
    unnoted += numbers.length - count;
    expect(numbers.length - count).toBeOneOf([0, 1]);
    expect(numbers.every((number, index) => number === index)).toBe(true);
  }
  const total = sum([...seen.values()].map(({ length }) => length));
  console.info(
    `${total} lines of ${seen.size} processes, each once and in order; ${kills} kills of a logger, ${reloads} reloads; ${unnoted} lines were written by a worker that was killed before it noted that`,
  );
});

test('the holder is killed at any instant while it takes pipes', async () => {
  const directory = temporaryFolder();
  const settings = checkCapture({ file: join(directory, 'app.log'), maxSize: 0 }, 'log', '/');
  const { file } = settings;
  writeFileSync(file, '');
  const capture = Capture.start(settings);
  const written: string[] = [];
  try {
    for (let round = 0; round < 40; round++) {
      const { holder } = await pairOf(file, `in round ${round}`);
      const pipes = Array.from({ length: 6 }, () => capture.open({}));
      // Each pipe is another writer; at one time or other among them.
      for (const end = performance.now() + (round % 20) / 10; performance.now() < end; );
      killQuietly(holder);
      for (const [index, fd] of pipes.entries()) {
        written.push(`round ${round}, pipe ${index}`);
        writeSync(fd, `${written.at(-1)}\n`);
        closeSync(fd);
      }
    }
  } finally {
    capture.close();
  }
  await finished(file);
  expect(lines(file).sort()).toEqual(written.sort());
});
