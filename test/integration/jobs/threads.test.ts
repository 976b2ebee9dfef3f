// Where this process cannot be copied: inFork() says so, and a pool has threads.

import { pathToFileURL } from 'node:url';
import { describe, expect, test } from 'vitest';
import { node, root } from '../../support/node.js';
import { execute, inline, run } from '../../support/program.js';
import { testAsRoot } from '../../support/root.js';

const MODULE = `${root}/test/fixtures/job-module.mjs`;

const PROGRAM = `
const { inFork, snapshot, jobs, createPool } = doublefork;
const [module] = process.argv.slice(1);
const failed = async (promise) => {
  try { await (typeof promise === 'function' ? promise() : promise); return 'nothing'; } catch (error) { return error; }
};
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
`;

/** Without fork: /proc there is that of another pid namespace. */
async function withoutFork(source: string) {
  const program = inline(PROGRAM + source, { args: [MODULE] });
  const { code, reports, stderr } = await execute('unshare', ['--pid', '--fork', node, ...program]);
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  return reports;
}

async function program(source: string) {
  const { code, reports, stderr } = await run(PROGRAM + source, { args: [MODULE] });
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  return reports;
}

testAsRoot('without fork a function is refused, with the reason and what to do', async () => {
  const reports = await withoutFork(`
    const all = await Promise.all([
      inFork(() => 1),
      inFork(async () => 1),
      snapshot('/nowhere/file', () => {}),
      () => createPool({ run: () => 1 }),
      () => createPool({ run: module, isolate: true }),
      () => createPool({ run: module, engine: 'fork' }),
      () => jobs({ from: 'image', run: () => 1 }),
    ].map(failed));
    for (const { code, message } of all) report([code, message]);
  `);
  expect(reports.map(([code]) => code)).toEqual(Array(7).fill('ENOTSUP'));
  for (const [, message] of reports) expect(message).toContain('another pid namespace');
  expect(reports[0][1]).toContain("createPool({ run: 'a module' })");
  expect(reports[3][1]).toContain('the path or URL of a module');
  expect(reports[4][1]).toContain('the option isolate');
});

testAsRoot('without fork a pool of a module runs on threads', async () => {
  const reports = await withoutFork(`
    const pool = createPool({ run: module, size: 2 });
    report(await pool.run('where'));
    await pool.close();
  `);
  expect(reports).toEqual(['thread']);
});

describe.each(['fork', 'threads'])('a pool of a module, engine %s', (engine) => {
  test('does jobs; those that throw, exit, take too long or too much are lost alone', async () => {
    const reports = await program(`
      const pools = {
        plain: createPool({ engine: '${engine}', run: module, size: 1 }),
        small: createPool({ engine: '${engine}', run: module, size: 1, memoryLimit: 1 << 26 }),
        short: createPool({ engine: '${engine}', run: module, size: 1, timeout: 2_000 }),
      };
      for (const what of ['where', 'throw', 'a', 'exit', 'b', 'spin', 'c', 'grow', 'd', 'function', 'e']) {
        // Its time includes the start of a thread: whatever else is done has as long as it likes.
        const pool = { grow: pools.small, spin: pools.short }[what] ?? pools.plain;
        report(await pool.run(what).catch((error) => [error.code ?? error.name, error.exitCode ?? error.signal ?? null, error instanceof RangeError]));
      }
      const pool = pools.plain;
      report((await failed(pool.run(() => 1))).message.includes('could not be cloned'));
      report([pool.stats.completed_total, pool.stats.failed_total, pool.stats.running]);
      await Promise.all(Object.values(pools).map((pool) => pool.close()));
      report((await failed(pool.run('late'))).code);
    `);
    expect(reports).toEqual([
      engine === 'fork' ? 'copy' : 'thread',
      ['ECODE', null, true],
      'a',
      ['ERR_JOB_EXITED', 5, false],
      'b',
      ['ERR_JOB_TIMEOUT', null, false],
      'c',
      ['ERR_JOB_MEMORY', null, false],
      'd',
      [engine === 'fork' ? 'Error' : 25, null, false],
      'e',
      true,
      [6, 4, 0],
      'ERR_POOL_CLOSED',
    ]);
  });

  test('cancels, has a bounded queue, keeps the order, drains', async () => {
    const reports = await program(`
      const pool = createPool({ engine: '${engine}', run: module, size: 1, queue: 1 });
      await pool.run('first');
      const controller = new AbortController();
      const running = pool.run('spin', { signal: controller.signal });
      const queued = pool.run('queued');
      report([pool.tryRun('no') === undefined, pool.stats.running, pool.stats.queued]);
      await sleep(200);
      controller.abort(new Error('enough'));
      report((await failed(running)).message);
      report(await queued);
      const all = [];
      for await (const n of pool.map([30, 1, 20, 2])) all.push(n);
      report(all);
      const last = pool.run(20);
      await pool.drain();
      report([pool.stats.running, await last]);
      await pool.close();
    `);
    expect(reports).toEqual([[true, 1, 1], 'enough', 'queued', [30, 1, 20, 2], [0, 20]]);
  });
});

test('a module that is not there, or exports no function, is told with its path', async () => {
  const reports = await program(`
    const { code, message } = await failed(() => createPool({ run: '/nowhere/job.mjs' }));
    report([code, message]);
    for (const engine of ['fork', 'threads']) {
      const pool = createPool({ engine, run: '${pathToFileURL(`${root}/vitest.config.ts`).href}'.replace('vitest.config.ts', 'package.json'), size: 1 });
      report((await failed(pool.run())).code);
      await pool.close();
    }
    report((await failed(() => createPool({ engine: 'thread', run: module }))).code);
  `);
  expect(reports[0]).toEqual(['ENOENT', expect.stringContaining('/nowhere/job.mjs')]);
  expect(reports[1]).toEqual(expect.stringMatching(/^ERR_/));
  expect(reports[2]).toEqual(expect.stringMatching(/^ERR_/));
  expect(reports[3]).toBe('ERR_OUT_OF_RANGE');
});
