// jobs({ from: 'image' }): each job in a copy of its own, made from a copy of the process.

import { expect, test } from 'vitest';
import { run } from '../../support/program.js';

const PROGRAM = `
const { jobs } = doublefork;
const failed = async (promise) => {
  try { await promise; return 'nothing'; } catch (error) { return error; }
};
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const parentOf = (pid) => Number(/^PPid:\\s*(\\d+)$/m.exec(fs.readFileSync('/proc/' + pid + '/status', 'utf8'))[1]);
const children = (pid) => fs.readFileSync('/proc/' + pid + '/task/' + pid + '/children', 'utf8').trim();
`;

async function program(source: string, options: Parameters<typeof run>[1] = {}) {
  const { code, reports, stderr } = await run(PROGRAM + source, options);
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  return reports;
}

test('each job has a copy of its own, of the image, which this process forks once', async () => {
  const reports = await program(`
    let forks = 0;
    doublefork.onFork({ parent: () => { forks++; } });
    const state = { version: 'early' };
    const pool = jobs({ from: 'image', size: 2, run: async (n) => {
      state.touched = (state.touched ?? 0) + 1;
      await sleep(10);
      return [n, process.pid, process.ppid, state];
    } });
    await pool.run(0);
    state.version = 'late';
    const all = await Promise.all([1, 2, 3, 4].map((n) => pool.run(n)));
    report(all.map(([n]) => n));
    report(all.every(([, , , seen]) => seen.version === 'early' && seen.touched === 1));
    report([new Set(all.map(([, pid]) => pid)).size, new Set(all.map(([, , ppid]) => ppid)).size]);
    report([parentOf(all[0][2]) === process.pid, forks]);
    await pool.close();
    report(children(process.pid));
  `);
  expect(reports).toEqual([[1, 2, 3, 4], true, [4, 1], [true, 1], '']);
});

test('jobs that throw, exit, are killed, take too long or too much, are cancelled: they alone', async () => {
  const reports = await program(`
    const pool = jobs({ from: 'image', size: 1, timeout: 2_000, memoryLimit: 1 << 27, run: (what) => {
      if (what === 'throw') throw Object.assign(new RangeError('thrown'), { code: 'ECODE' });
      if (what === 'exit') process.exit(5);
      if (what === 'kill') process.kill(process.pid, 'SIGKILL');
      if (what === 'spin') for (;;);
      if (what === 'grow') for (const all = [];;) all.push(Buffer.alloc(1 << 20, 1));
      if (what === 'function') return () => 1;
      return what;
    } });
    for (const what of ['a', 'throw', 'exit', 'kill', 'spin', 'grow', 'function', 'b']) {
      report(await pool.run(what).catch((error) => [error.code ?? error.name, error.exitCode ?? error.signal ?? null]));
    }
    report((await failed(pool.run(() => 1))).message.includes('could not be cloned'));
    const controller = new AbortController();
    const cancelled = pool.run('spin', { signal: controller.signal });
    await sleep(100);
    controller.abort(new Error('enough'));
    report((await failed(cancelled)).message);
    report(await pool.run('c'));
    const [image] = children(process.pid).split(' ');
    // A copy that has answered may still be ending.
    while (children(image) !== '') await sleep(5);
    report(children(image));
    await pool.close();
  `);
  expect(reports).toEqual([
    'a',
    ['ECODE', null],
    ['ERR_JOB_EXITED', 5],
    ['ERR_JOB_EXITED', 'SIGKILL'],
    ['ERR_JOB_TIMEOUT', null],
    ['ERR_JOB_MEMORY', null],
    [expect.stringMatching(/Error$/), null],
    'b',
    true,
    'enough',
    'c',
    '',
  ]);
});

test('arguments and results of any size, while the event loop of this process goes on', async () => {
  const reports = await program(`
    const { createHash, randomFillSync } = await import('node:crypto');
    const hash = (bytes) => createHash('sha256').update(bytes).digest('hex');
    const pool = jobs({ from: 'image', size: 2, run: (bytes) => bytes });
    const all = [0, 1, 65_536, 5_000_001, 20_000_000].map((size) => randomFillSync(Buffer.alloc(size)));
    const back = await Promise.all(all.map((bytes) => pool.run(bytes)));
    report(back.every((bytes, i) => hash(bytes) === hash(all[i])));
    await pool.close();
  `);
  expect(reports).toEqual([true]);
});

test('an argument that the image cannot take yet does not hold this process up', async () => {
  const reports = await program(`
    const pool = jobs({ from: 'image', size: 2, run: (bytes) => bytes.length });
    await pool.run(Buffer.alloc(1));
    const [image] = children(process.pid).split(' ').map(Number);
    process.kill(image, 'SIGSTOP');
    const job = pool.run(Buffer.alloc(30_000_000));
    // A write that waited would never come here.
    await sleep(20);
    process.kill(image, 'SIGCONT');
    report(await job);
    await pool.close();
  `);
  expect(reports).toEqual([30_000_000]);
});

test('the image is killed: its jobs are told, and no copy stays', async () => {
  const reports = await program(`
    const pool = jobs({ from: 'image', size: 2, run: () => { report('up'); for (;;); } });
    const running = [pool.run(), pool.run()].map(failed);
    await sleep(0);
    let image;
    while (!image || children(image).split(' ').length < 2) { await sleep(5); [image] = children(process.pid).split(' '); }
    process.kill(Number(image), 'SIGKILL');
    report((await Promise.all(running)).map(({ code, signal }) => [code, signal]));
    report((await failed(pool.run())).code);
    await pool.close();
  `);
  // The end of the program's reports tells that no process of it is left.
  const told = reports.filter((value) => value !== 'up');
  expect(told).toEqual([
    [
      ['ERR_JOB_EXITED', 'SIGKILL'],
      ['ERR_JOB_EXITED', 'SIGKILL'],
    ],
    'ERR_JOB_EXITED',
  ]);
});

test('the parent is killed: neither the image nor a copy of it stays', async () => {
  const { signal, reports } = await run(`${PROGRAM}
    const pool = jobs({ from: 'image', size: 2, run: () => { report('up'); for (;;); } });
    pool.run().catch(() => {}); pool.run().catch(() => {});
    let image;
    while (!image || children(image).split(' ').length < 2) { await sleep(5); [image] = children(process.pid).split(' '); }
    process.kill(process.pid, 'SIGKILL');
  `);
  expect(signal).toBe('SIGKILL');
  expect(reports.every((value) => value === 'up')).toBe(true);
});

test("from: 'parent' copies this process for each job; wrong options are refused", async () => {
  const reports = await program(`
    let state = 'early';
    const pool = jobs({ from: 'parent', run: () => [state, process.ppid] });
    await pool.run();
    state = 'late';
    report((await pool.run()).join() === 'late,' + process.pid);
    await pool.close();
    const code = (options) => { try { jobs(options); return 'taken'; } catch (error) { return error.code; } };
    report([{ run() {} }, { from: 'else', run() {} }, { from: 'image' }, { from: 'image', run() {}, isolate: true }].map(code));
  `);
  expect(reports).toEqual([
    true,
    ['ERR_OUT_OF_RANGE', 'ERR_OUT_OF_RANGE', 'ERR_INVALID_ARG_TYPE', 'ERR_OUT_OF_RANGE'],
  ]);
});
