// C23: what becomes of workers that end.

import { execFileSync } from 'node:child_process';
import { chmodSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { engine } from '../../support/engine.js';
import { temporaryFolder } from '../../support/folder.js';
import { stat, status, until } from '../../support/processes.js';
import { run, start } from '../../support/program.js';
import { decisions } from './tools.js';

const SUPERVISE = 'const { supervise } = doublefork;';
const STAY = 'setInterval(() => {}, 1e6);';

describe('restart', () => {
  test('C23 a worker that is killed is forked again, from the same image, as a child of the supervisor', async () => {
    const program = start(`${SUPERVISE}
      const image = Math.floor(performance.timeOrigin);
      const worker = supervise({ minUptime: 0 });
      report({ pid: process.pid, ppid: process.ppid, image, id: worker.id, generation: worker.generation,
        restarts: worker.restarts });
      ${STAY}
    `);
    const first = await program.report();
    process.kill(first.pid, 'SIGKILL');
    const second = await program.report();
    const image = engine === 'exec' ? expect.any(Number) : first.image;
    expect(second).toEqual({ ...first, pid: second.pid, image, generation: 2, restarts: 1 });
    expect(second.pid).not.toBe(first.pid);
    expect(first.ppid).toBe(program.pid);
    expect(stat(second.pid)).toMatchObject({ ppid: program.pid, pgrp: second.pid });
    expect(stat(first.pid)).toBeUndefined();
    process.kill(program.pid, 'SIGTERM');
    const ended = await program.ended;
    expect(ended.code).toBe(0);
    expect(decisions(ended, 'exit')[0]).toMatchObject({
      worker: 1,
      workerPid: first.pid,
      exitCode: null,
      signal: 'SIGKILL',
      outOfMemory: false,
    });
  });

  test('C23 the backoff grows, and more failures than allowed end it with an error', async () => {
    const ended = await run(`${SUPERVISE}
      supervise({ maxFailures: 3, onGiveUp: 70, minUptime: 1e9, backoff: { initial: 20, factor: 3, jitter: 0 } });
      throw new Error('no database');
    `);
    expect(ended.code).toBe(70);
    expect(decisions(ended, 'backoff').map(({ delay }) => delay)).toEqual([20, 60, 180]);
    expect(decisions(ended, 'exit')).toHaveLength(4);
    expect(decisions(ended, 'exit')[3].error).toMatch(/^Error: no database\n {4}at/);
    expect(decisions(ended, 'give-up')).toMatchObject([{ worker: 1, failures: 4, code: 70 }]);
  });

  test('C23 a healthy life resets the backoff', async () => {
    // By readiness, not by age: how long a life takes is the machine's to say.
    const ended = await run(`${SUPERVISE}
      const worker = supervise({
        ready: 'manual', minUptime: 0, maxFailures: 2, backoff: { initial: 10, jitter: 0 },
      });
      if (worker.generation === 3) worker.ready();
      process.exit(1);
    `);
    expect(ended.code).toBe(1);
    expect(decisions(ended, 'backoff').map(({ delay }) => delay)).toEqual([10, 20, 10, 20]);
  });

  test("a worker that ends with code 0 is left be with 'on-failure'; the last one ends the supervisor", async () => {
    const ended = await run(`${SUPERVISE}
      const worker = supervise({ workers: 2, restart: 'on-failure', minUptime: 0 });
      report(worker.id);
      process.exit(worker.id === 2 && worker.restarts === 0 ? 3 : 0);
    `);
    expect(ended.code).toBe(0);
    expect(ended.reports.sort()).toEqual([1, 2, 2]);
  });

  test("with 'never' its code becomes the supervisor's, or 128 and the signal", async () => {
    const exited = await run(`${SUPERVISE} supervise({ restart: 'never' }); process.exit(42);`);
    expect(exited.code).toBe(42);
    const killed = await run(
      `${SUPERVISE} supervise({ restart: 'never' }); process.kill(process.pid, 'SIGKILL');`,
    );
    expect(killed.code).toBe(137);
  });

  test('no more restarts than maxRestarts', async () => {
    const ended = await run(`${SUPERVISE}
      const worker = supervise({ maxRestarts: 2, minUptime: 0 });
      report(worker.restarts);
      process.exit(5);
    `);
    expect(ended).toMatchObject({ code: 5, reports: [0, 1, 2] });
  });

  test('a core dump and an abort are told', async () => {
    const ended = await run(`${SUPERVISE} supervise({ restart: 'never' }); process.abort();`);
    expect(ended.code).toBe(134);
    expect(decisions(ended, 'exit')).toMatchObject([{ signal: 'SIGABRT' }]);
  });

  // Root has no limit, so it becomes somebody else.
  test.runIf(process.getuid?.() === 0)(
    'a fork that is refused for a while is tried again, and told once',
    async () => {
      const folder = temporaryFolder();
      chmodSync(folder, 0o777);
      const log = join(folder, 'log');
      const program = start(`${SUPERVISE}
        process.setuid(54321);
        supervise({ minUptime: 0, log: '${log}', backoff: { initial: 100, jitter: 0 } });
        report(process.pid);
        ${STAY}
      `);
      // As that user: a container's root may lack the right to.
      const prlimit = (...args: string[]) =>
        execFileSync('prlimit', ['--pid', String(program.pid), ...args], { uid: 54321 });
      const limit = (processes: string) => prlimit(`--nproc=${processes}:`);
      const pid = await program.report();
      const hard = String(prlimit('--nproc', '-o', 'HARD', '--noheadings')).trim();
      limit('1');
      process.kill(pid, 'SIGKILL');
      const told = () => decisions({ stderr: readFileSync(log, 'utf8') }, 'refused');
      await until(() => told().length > 0, 'refused');
      limit(hard);
      expect(await program.report()).not.toBe(pid);
      expect(told()).toMatchObject([{ worker: 1, code: 'EAGAIN' }]);
      process.kill(program.pid);
      await program.ended;
    },
  );
});

describe('readiness', () => {
  test('daemon.ready() in a worker is worker.ready(), also when the launcher has gone', async () => {
    const log = join(temporaryFolder(), 'log');
    const program = start(`${SUPERVISE}
      const daemon = daemonize({ ready: 'manual', keepFds: [3], cwd: 'keep' });
      const worker = supervise({ minUptime: 0, log: '${log}' });
      report({ pid: process.pid, supervisor: process.ppid });
      daemon.ready();
      ${STAY}
    `);
    const first = await program.report();
    expect(await program.exited).toMatchObject({ code: 0 });
    process.kill(first.pid, 'SIGKILL');
    await program.report();
    const ready = () => decisions({ stderr: readFileSync(log, 'utf8') }, 'ready');
    await until(() => ready().length === 2, 'ready again');
    process.kill(first.supervisor);
    await program.ended;
  });

  test('a worker that does not become ready in time has failed', async () => {
    const ended = await run(`${SUPERVISE}
      supervise({ readyTimeout: 200, maxFailures: 1, backoff: { initial: 10 } });
      ${STAY}
    `);
    expect(ended.code).toBe(1);
    expect(decisions(ended, 'end').map(({ cause }) => cause)).toEqual(['not ready', 'not ready']);
  });

  test('C20 the launcher returns once all workers are ready, C17 or with the error of those that are not', async () => {
    const source = (then: string) => `${SUPERVISE}
      daemonize({ ready: 'manual', keepFds: [3], umask: 0o22 });
      const worker = supervise({ workers: 2, maxFailures: 1, backoff: { initial: 10 } });
      ${then}
    `;
    const program = start(
      source(`
      setTimeout(() => { worker.ready(); report(process.ppid); }, worker.id * 200);
      setInterval(() => {}, 1e6);
    `),
    );
    const exit = await program.exited;
    expect(exit).toEqual({ code: 0, signal: null });
    const supervisor = await program.report();
    expect(await program.report()).toBe(supervisor);
    process.kill(supervisor, 'SIGTERM');
    await program.ended;

    const failed = await run(source(`throw new Error('no database');`));
    expect(failed.code).toBe(1);
    expect(failed.stderr).toMatch(/^Error: no database\n {4}at/m);
  });
});

test('the supervisor uses no time when nothing happens, and its workers neither', async () => {
  const program = start(`${SUPERVISE}
    const worker = supervise({ workers: 2 });
    report(process.pid);
    ${STAY}
  `);
  const pids = [program.pid, await program.report(), await program.report()];
  const ticks = () => pids.map((pid) => status(pid, 'voluntary_ctxt_switches'));
  // Asleep is also who has its last steps to take, and waits for a moment in between.
  await until(async () => {
    const before = ticks();
    await new Promise((resolve) => setTimeout(resolve, 1000));
    return ticks().every((count, index) => count === before[index]);
  }, 'a second in which nothing happens');
  process.kill(program.pid);
  await program.ended;
});
