// createPool(): copies of the process that take jobs in turn.

import { describe, expect, test } from 'vitest';
import { run } from '../../support/program.js';

const PROGRAM = `
const pools = [];
const createPool = (options) => {
  const pool = doublefork.createPool(options);
  pools.push(pool);
  return pool;
};
const closeAll = () => Promise.all(pools.map((pool) => pool.close()));
const failed = async (promise) => {
  try { await promise; return 'nothing'; } catch (error) { return error; }
};
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const own = () => fs.readFileSync('/proc/self/task/' + process.pid + '/children', 'utf8').trim();
`;

async function program(source: string, options: Parameters<typeof run>[1] = {}) {
  const { code, reports, stderr } = await run(`${PROGRAM}${source}\nawait closeAll();`, options);
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  return reports;
}

describe('jobs', () => {
  test('are done by warm copies, which see what was there when they were made', async () => {
    const reports = await program(`
      const table = new Map([[1, 'one'], [2, 'two']]);
      const pool = createPool({ size: 2, run: async (key) => { await sleep(20); return [table.get(key), process.pid]; } });
      const answers = await Promise.all([1, 2, 1, 2].map((key) => pool.run(key)));
      report(answers.map(([word]) => word));
      report([new Set(answers.map(([, pid]) => pid)).size, answers.every(([, pid]) => pid !== process.pid)]);
    `);
    expect(reports).toEqual([
      ['one', 'two', 'one', 'two'],
      [2, true],
    ]);
  });

  test('that throw, exit or take too long are lost alone', async () => {
    const reports = await program(`
      const pool = createPool({ size: 1, timeout: 300, run: (what) => {
        if (what === 'throw') throw Object.assign(new RangeError('thrown'), { code: 'ECODE' });
        if (what === 'exit') process.exit(5);
        if (what === 'kill') process.kill(process.pid, 'SIGKILL');
        if (what === 'spin') for (;;);
        if (what === 'function') return () => 1;
        return what;
      } });
      for (const what of ['a', 'throw', 'b', 'exit', 'c', 'kill', 'd', 'spin', 'e', 'function', 'f']) {
        const answer = await pool.run(what).catch((error) => [error.code ?? error.name, error.exitCode ?? error.signal ?? null]);
        report(answer);
      }
      report((await failed(pool.run(() => 1))).message.includes('could not be cloned'));
      report(await pool.run('g'));
      report([pool.stats.completed_total, pool.stats.failed_total, pool.stats.forks_total]);
    `);
    expect(reports).toEqual([
      'a',
      ['ECODE', null],
      'b',
      ['ERR_JOB_EXITED', 5],
      'c',
      ['ERR_JOB_EXITED', 'SIGKILL'],
      'd',
      ['ERR_JOB_TIMEOUT', null],
      'e',
      [expect.stringMatching(/Error$/), null],
      'f',
      true,
      'g',
      [7, 6, 4],
    ]);
  });

  test('that are cancelled: waiting ones are not begun, running ones end with their copy', async () => {
    const reports = await program(`
      const pool = createPool({ size: 1, run: async (ms) => { await sleep(ms); return process.pid; } });
      const before = await pool.run(0);
      const running = new AbortController();
      const waiting = new AbortController();
      const first = pool.run(60_000, { signal: running.signal });
      const second = pool.run(0, { signal: waiting.signal });
      const third = pool.run(0);
      waiting.abort(new Error('not needed'));
      running.abort(new Error('enough'));
      report((await failed(first)).message);
      report((await failed(second)).message);
      report((await third) !== before);
      report((await failed(pool.run(0, { signal: AbortSignal.abort(new Error('never')) }))).message);
    `);
    expect(reports).toEqual(['enough', 'not needed', true, 'never']);
  });

  test('of an async function leave the timers of the parent alone', async () => {
    const reports = await program(`
      const pid = process.pid;
      const timer = setInterval(() => { if (process.pid !== pid) report('twice'); }, 5);
      const pool = createPool({ size: 1, run: () => sleep(60) });
      await pool.run();
      clearInterval(timer);
      report('done');
    `);
    expect(reports).toEqual(['done']);
  });
});

describe('the queue', () => {
  test('is bounded: tryRun() says no, run() waits for room', async () => {
    const reports = await program(`
      const pool = createPool({ size: 1, queue: 2, run: async (n) => { await sleep(30); return n; } });
      await pool.run(0);
      const taken = [1, 2, 3].map((n) => pool.tryRun(n));
      report([taken.every((job) => job !== undefined), pool.tryRun(4) === undefined]);
      const late = pool.run(4);
      report([pool.stats.running, pool.stats.queued, pool.stats.waiting]);
      report(await Promise.all([...taken, late]));
      report(pool.stats.waited_seconds_total > 0.05);
    `);
    expect(reports).toEqual([[true, true], [1, 2, 1], [1, 2, 3, 4], true]);
  });

  test('map() keeps the order, or not, and never has more under way than there are copies', async () => {
    const reports = await program(`
      const pool = createPool({ size: 2, run: async (n) => { await sleep(n === 0 ? 150 : 5); return n; } });
      let begun = 0; let most = 0; let seen = 0;
      function* items() { for (let n = 0; n < 6; n++) { begun++; most = Math.max(most, begun - seen); yield n; } }
      const ordered = [];
      for await (const n of pool.map(items())) { seen++; ordered.push(n); }
      report([ordered, most <= 3]);
      const loose = [];
      for await (const n of pool.map([0, 1, 2, 3], { ordered: false })) loose.push(n);
      report([loose.toSorted(), loose.at(-1)]);
    `);
    expect(reports).toEqual([
      [[0, 1, 2, 3, 4, 5], true],
      [[0, 1, 2, 3], 0],
    ]);
  });
});

describe('copies', () => {
  test('are replaced after so many jobs, end when idle, or serve one job each', async () => {
    const reports = await program(`
      {
        const pool = createPool({ size: 1, maxJobsPerWorker: 2, run: () => process.pid });
        const pids = [];
        for (let i = 0; i < 6; i++) pids.push(await pool.run());
        report(new Set(pids).size);
      }
      {
        const pool = createPool({ size: 1, idleTimeout: 50, run: () => process.pid });
        const first = await pool.run();
        while (pool.stats.workers > 0) await sleep(5);
        report(first !== await pool.run());
      }
      {
        let state = 'old';
        const pool = createPool({ size: 2, isolate: true, run: (n) => [n, process.pid, state] });
        const all = await Promise.all([1, 2, 3, 4].map((n) => pool.run(n)));
        state = 'new';
        report([new Set(all.map(([, pid]) => pid)).size, (await pool.run(5))[2]]);
      }
      await closeAll();
      report(own());
    `);
    expect(reports).toEqual([3, true, [4, 'new'], '']);
  });

  test('close() does what was handed in, takes nothing more, and leaves no child and no descriptor', async () => {
    const reports = await program(`
      const open = () => fs.readdirSync('/proc/self/fd').length;
      await doublefork.inFork(() => 0);
      while (own() !== '') await sleep(1);
      const before = open();
      const pool = createPool({ size: 3, run: async (n) => { await sleep(20); return n; } });
      const jobs = [1, 2, 3, 4, 5].map((n) => pool.run(n));
      const closed = pool.close();
      report((await failed(pool.run(6))).code);
      report(await Promise.all(jobs));
      await closed;
      report([own(), open() - before, pool.stats.workers]);
    `);
    expect(reports).toEqual(['ERR_POOL_CLOSED', [1, 2, 3, 4, 5], ['', 0, 0]]);
  });

  test('die with their parent', async () => {
    const { signal, reports } = await run(`${PROGRAM}
      const pool = createPool({ size: 2, run: () => { report('up'); for (;;); } });
      pool.run().catch(() => {}); pool.run().catch(() => {});
      while (pool.stats.running < 2) await sleep(1);
      await sleep(100);
      process.kill(process.pid, 'SIGKILL');
    `);
    expect({ signal, reports }).toEqual({ signal: 'SIGKILL', reports: ['up', 'up'] });
  });
});

test('wrong options are refused', async () => {
  const reports = await program(`
    const code = (options) => { try { createPool(options); return 'taken'; } catch (error) { return error.code; } };
    report(['', { run: 1 }, { run() {}, size: 0 }, { run() {}, queue: -1 }, { run() {}, sise: 1 }, { run() {}, isolate: 1 }].map(code));
  `);
  expect(reports).toEqual([
    [
      'ERR_INVALID_ARG_TYPE',
      'ERR_INVALID_ARG_TYPE',
      'ERR_OUT_OF_RANGE',
      'ERR_OUT_OF_RANGE',
      'ERR_INVALID_ARG_VALUE',
      'ERR_INVALID_ARG_TYPE',
    ],
  ]);
});
