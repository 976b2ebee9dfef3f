// Jobs in a worker of supervise().

import { expect, test } from 'vitest';
import { run } from '../../support/program.js';

test('a supervised worker has jobs, pools, images and snapshots; a crash of theirs is not its own', async () => {
  const { code, reports } = await run(`
    const table = new Map([['a', 1], ['b', 2]]);
    const worker = doublefork.supervise({ workers: 2, restart: 'never', ready: 'manual' });
    worker.ready();
    const { inFork, createPool, jobs, snapshot } = doublefork;
    const failed = async (promise) => { try { await promise; return 'nothing'; } catch (error) { return error; } };
    const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
    // The worker's own are not the copy's: it may not say that it is ready, nor is it told to stop.
    const result = await inFork(() => [table.get('a'), process.ppid]);
    const later = await inFork(async () => { await sleep(5); return table.get('b'); });
    const crash = await failed(inFork(() => process.abort(), { stdio: 'ignore' }));
    const pool = createPool({ size: 2, run: (key) => key === 'exit' ? process.exit(3) : table.get(key) });
    const pooled = [await pool.run('a'), (await failed(pool.run('exit'))).exitCode, await pool.run('b')];
    await pool.close();
    const image = jobs({ from: 'image', run: (key) => table.get(key) });
    const imaged = await image.run('b');
    await image.close();
    const path = '/tmp/doublefork-supervised-' + process.pid;
    const { bytes } = await snapshot(path, ({ write }) => write(JSON.stringify([...table])));
    fs.rmSync(path);
    report([result[0], result[1] === process.pid, later, crash.signal, pooled, imaged, bytes, worker.restarts]);
    // An answer is there before its copy has ended.
    while (fs.readFileSync('/proc/self/task/' + process.pid + '/children', 'utf8') !== '') await sleep(1);
    process.exit(0);
  `);
  expect(code).toBe(0);
  const each = [1, true, 2, 'SIGABRT', [1, 3, 2], 2, 17, 0];
  expect(reports.toSorted()).toEqual([each, each]);
});

test('a supervised worker that is killed leaves no copy behind, and the next one has jobs again', async () => {
  const { reports } = await run(`
    const worker = doublefork.supervise({ ready: 'manual', minUptime: 0, backoff: { initial: 1, jitter: 0 } });
    worker.ready();
    if (worker.restarts === 0) {
      doublefork.inFork(() => { report('copy'); process.kill(process.ppid, 'SIGKILL'); for (;;); });
    } else {
      report(await doublefork.inFork(() => 42));
      process.kill(process.ppid, 'SIGTERM');
    }
  `);
  // That the reports end tells that no copy is left.
  expect(reports).toEqual(['copy', 42]);
});
