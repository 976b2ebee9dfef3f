// What a function in a copy can do wrong, and a machine that has no room: the parent goes on.

import { describe, expect, test } from 'vitest';
import { node } from '../../support/node.js';
import { execute, inline } from '../../support/program.js';
import { unprivileged } from '../../support/root.js';
import { PROGRAM, program } from './tools.js';

describe('a function', () => {
  test('that allocates until there is no memory ends its copy alone, in a pool as well', async () => {
    const { reports } = await program(
      `
      const grow = () => { for (const all = [];;) all.push(new Array(10_000).fill({})); };
      const show = ({ code, signal }) => report([code, signal]);
      show(await failed(inFork(grow, { stdio: 'ignore' })));
      const pool = createPool({ size: 1, stdio: 'ignore', run: (what) => what === 'grow' ? grow() : what });
      show(await failed(pool.run('grow')));
      report(await pool.run('next'));
      await pool.close();
      report(await inFork(() => 42));
    `,
      { flags: ['--max-old-space-size=100'] },
    );
    const ended = ['ERR_JOB_EXITED', 'SIGABRT'];
    expect(reports).toEqual([ended, ended, 'next', 42]);
  });

  test('that forks on its own: the answer is that of the copy, whole, and its child gives none', async () => {
    const { reports } = await program(`
      for (let i = 0; i < 5; i++) {
        const bytes = await inFork(() => {
          const pid = fork();
          // Both return, and neither answer fits into the pipe at once.
          return Buffer.alloc(5_000_000, pid === 0 ? 'b' : 'a');
        });
        report([bytes.length, bytes.every((byte) => byte === bytes[0]), String.fromCharCode(bytes[0])]);
      }
      report(await inFork(async ({ send }) => {
        const pid = fork();
        send(pid === 0 ? 'child' : 'copy');
        await sleep(5);
        if (pid > 0) posix.waitpid(pid);
        return pid === 0 ? 'child' : 'copy';
      }));
    `);
    expect(reports).toEqual([...Array(5).fill([5_000_000, true, 'a']), 'copy']);
  });

  test('of a pool that forks on its own: its child takes no job', async () => {
    const { reports } = await program(`
      const pool = createPool({ size: 1, run: async (n) => {
        if (n === 0) {
          const pid = fork();
          // It goes on, with all that the copy has.
          if (pid === 0) { await sleep(500); posix._exit(0); }
        }
        await sleep(5);
        return process.pid;
      } });
      const pids = [];
      for (let n = 0; n < 30; n++) pids.push(await pool.run(n));
      report(new Set(pids).size);
      await pool.close();
    `);
    expect(reports).toEqual([1]);
  });

  test('that leaves a process behind does not keep its promise waiting', async () => {
    const { reports } = await program(`
      const pid = await inFork(() => {
        const pid = fork();
        if (pid === 0) for (;;) posix.poll([], 1000);
        return pid;
      });
      process.kill(pid, 0);
      process.kill(pid, 'SIGKILL');
      report('done');
    `);
    expect(reports).toEqual(['done']);
  });

  test('that is copied while output of the parent waits to be written: it comes once', async () => {
    const { stdout } = await program(`
      process.stdout.write('x'.repeat(3_000_000));
      process.stdout.write('y');
      await inFork(async () => { await sleep(300); });
      await inFork(async () => { console.log('z'); });
    `);
    expect(stdout.replaceAll(/x+/g, ({ length }) => `[${length}]`).replace('z\n', '')).toBe(
      '[3000000]y',
    );
  });

  test('that prints more than a pipe holds: all of it arrives, in order', async () => {
    const { stdout } = await program(`
      console.log('before');
      await inFork(() => { console.log('x'.repeat(1_000_000)); });
      await inFork(async () => { console.log('y'.repeat(1_000_000)); await sleep(1); });
      console.log('after');
    `);
    expect(stdout).toBe(`before\n${'x'.repeat(1_000_000)}\n${'y'.repeat(1_000_000)}\nafter\n`);
  });
});

describe('no room for another process', () => {
  /** As a user whom RLIMIT_NPROC holds. */
  async function asUser(source: string) {
    const [command, ...args] = unprivileged as [string, ...string[]];
    const { code, reports, stderr } = await execute(command, [
      ...args,
      node,
      ...inline(PROGRAM + source),
    ]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    return reports;
  }

  test('EAGAIN, with nothing begun; afterwards it works again', async () => {
    const reports = await asUser(`
      const limit = posix.getrlimit('nproc');
      const open = () => fs.readdirSync('/proc/self/fd').length;
      await inFork(() => 0);
      await childless();
      const before = open();
      posix.setrlimit('nproc', { soft: 1, hard: limit.hard });
      report((await failed(inFork(() => 1))).code);
      report((await failed(inFork(async () => 1))).code);
      const pool = createPool({ size: 2, run: (n) => n });
      report((await failed(pool.run(1))).code);
      const image = jobs({ from: 'image', run: (n) => n });
      report((await failed(image.run(1))).code);
      report(open() - before);
      posix.setrlimit('nproc', limit);
      report(await inFork(() => 42));
      report(await pool.run(7));
      await pool.close();
      await image.close();
    `);
    expect(reports).toEqual(['EAGAIN', 'EAGAIN', 'EAGAIN', 'EAGAIN', 0, 42, 7]);
  });

  test('room for the copy, not for all of its threads: no copy is left, or there is the answer', async () => {
    const reports = await asUser(`
      const limit = posix.getrlimit('nproc');
      await inFork(() => 0);
      const threads = fs.readdirSync('/proc/self/task').length;
      const answers = [];
      for (let more = 1; more <= threads + 2; more++) {
        posix.setrlimit('nproc', { soft: threads + more, hard: limit.hard });
        answers.push(await inFork(() => 42, { timeout: 20_000, stdio: 'ignore' }).catch(({ code }) => code));
      }
      report(answers);
      posix.setrlimit('nproc', limit);
      await childless();
      report(await inFork(() => 42));
    `);
    expect(
      reports[0].filter(
        (answer: unknown) => ![42, 'EAGAIN', 'ERR_JOB_EXITED'].includes(answer as never),
      ),
    ).toEqual([]);
    expect(reports.slice(1)).toEqual([42]);
  });
});
