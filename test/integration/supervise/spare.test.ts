// C23: a worker that crashes is replaced by one that was forked before, and its end is heard of before
// its memory is freed.

import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { engine } from '../../support/engine.js';
import { temporaryFolder } from '../../support/folder.js';
import { descriptors, killQuietly, stat, status, until } from '../../support/processes.js';
import { start } from '../../support/program.js';
import { testAsRoot } from '../../support/root.js';
import { decisions } from './tools.js';

const describeFork = describe.skipIf(engine === 'exec');
const SUPERVISE = 'const { supervise } = doublefork;';
const STAY = 'setInterval(() => {}, 1e6);';

/** The children of a process with a name. */
const named = (parent: number, name: string): number[] =>
  readFileSync(`/proc/${parent}/task/${parent}/children`, 'utf8')
    .split(' ')
    .filter(Boolean)
    .map(Number)
    .filter((pid) => stat(pid)?.name === name && stat(pid)?.state !== 'Z');

async function spareOf(supervisor: number, except?: number): Promise<number> {
  const found = () => named(supervisor, 'spare-worker').find((pid) => pid !== except);
  await until(() => found() !== undefined, 'a spare');
  return found()!;
}

describeFork('a spare', () => {
  test('C23 becomes the worker that has crashed: its id, its generation, random numbers of its own', async () => {
    const program = start(`${SUPERVISE}
      const { randomUUID } = await import('node:crypto');
      randomUUID();
      const worker = supervise({ minUptime: 0 });
      report({ pid: process.pid, id: worker.id, generation: worker.generation, restarts: worker.restarts,
        uuid: randomUUID(), random: Math.random() });
      ${STAY}
    `);
    const seen = [await program.report()];
    for (let generation = 2; generation < 5; generation++) {
      const spare = await spareOf(program.pid);
      process.kill(seen.at(-1).pid, 'SIGKILL');
      const next = await program.report();
      expect(next).toMatchObject({ pid: spare, id: 1, generation, restarts: generation - 1 });
      // It is called as it was before, and leads its group.
      expect(stat(spare)).toMatchObject({ name: stat(program.pid)!.name, pgrp: spare });
      seen.push(next);
    }
    expect(new Set(seen.map(({ uuid }) => uuid)).size).toBe(4);
    expect(new Set(seen.map(({ random }) => random)).size).toBe(4);
    process.kill(program.pid);
    const ended = await program.ended;
    expect(ended.code).toBe(0);
    expect(decisions(ended, 'start').map(({ workerPid }) => workerPid)).toEqual(
      seen.map(({ pid }) => pid),
    );
  });

  test('runs nothing of the program while it waits: no Worker, no hook, no timer', async () => {
    const log = join(temporaryFolder(), 'log');
    writeFileSync(log, '');
    const program = start(`${SUPERVISE}
      const { Worker } = await import('node:worker_threads');
      const source = "setInterval(() => process.getBuiltinModule('fs').appendFileSync('${log}', process.pid + '\\\\n'), 5)";
      new Worker(source, { eval: true });
      setInterval(() => fs.appendFileSync('${log}', process.pid + '\\n'), 5);
      doublefork.onFork({ child: () => report({ hook: process.pid }) });
      supervise({ minUptime: 0, log: 'none' });
      report({ worker: process.pid });
      ${STAY}
    `);
    const ran = (pid: number) =>
      readFileSync(log, 'latin1')
        .split('\n')
        .filter((line) => line === String(pid)).length;
    const { hook: first } = await program.report();
    expect(await program.report()).toEqual({ worker: first });
    const spare = await spareOf(program.pid);
    // A hundred turns of both loops in the worker, none in the spare.
    const before = ran(first);
    await until(() => ran(first) > before + 100, 'turns of the loops');
    expect(ran(spare)).toBe(0);
    process.kill(first, 'SIGKILL');
    expect(await program.report()).toEqual({ hook: spare });
    expect(await program.report()).toEqual({ worker: spare });
    // Now both do: more than either alone in the same turns.
    await until(() => ran(spare) > 50, 'its own turns');
    process.kill(program.pid);
    await program.ended;
  });

  test('that is killed is no crash of a worker; there is another one', async () => {
    const program = start(`${SUPERVISE} supervise(); report(process.pid); ${STAY}`);
    const worker = await program.report();
    const first = await spareOf(program.pid);
    process.kill(first, 'SIGKILL');
    await until(() => stat(first) === undefined, 'reaped');
    const second = await spareOf(program.pid, first);
    expect(second).not.toBe(first);
    expect(stat(worker)).toBeDefined();
    process.kill(program.pid);
    const ended = await program.ended;
    expect(decisions(ended, 'exit')).toMatchObject([{ workerPid: worker, cause: 'stop' }]);
    expect(decisions(ended, 'start')).toHaveLength(1);
  });

  test('of before goes when all workers are to be new ones, and when logs are opened again', async () => {
    const control = join(temporaryFolder(), 'control');
    const program = start(`${SUPERVISE}
      process.on('SIGUSR2', () => {});
      supervise({ control: '${control}' }); report(process.pid); ${STAY}`);
    await program.report();
    const { ControlClient } = await import('doublefork/control');
    const client = await ControlClient.connect(control, 20_000);
    const first = await spareOf(program.pid);
    expect((await client.status()).spares).toEqual([first]);
    await client.recycle();
    const recycled = await program.report();
    expect(recycled).not.toBe(first);
    await until(() => stat(first) === undefined, 'gone');
    const second = await spareOf(program.pid, first);
    process.kill(program.pid, 'SIGUSR2');
    await until(() => stat(second) === undefined, 'gone');
    await spareOf(program.pid, second);
    client.close();
    process.kill(program.pid);
    expect((await program.ended).code).toBe(0);
  });

  test('has none of the descriptors of its supervisor, nor has the worker that it becomes', async () => {
    const control = join(temporaryFolder(), 'control');
    const program = start(`${SUPERVISE}
      const before = fs.readdirSync('/proc/self/fd').length;
      supervise({ workers: 3, minUptime: 0, control: '${control}' });
      report({ pid: process.pid, more: fs.readdirSync('/proc/self/fd').length - before });
      ${STAY}
    `);
    const workers = [await program.report(), await program.report(), await program.report()];
    await spareOf(program.pid);
    process.kill(workers[0].pid, 'SIGKILL');
    // The pipe to the supervisor.
    expect(await program.report()).toMatchObject({ more: 1 });
    process.kill(program.pid);
    await program.ended;
  });

  test('spare: 0 makes none, and is what the exec engine has', async () => {
    const control = join(temporaryFolder(), 'control');
    const program = start(`${SUPERVISE}
      supervise({ spare: 0, engine: 'fork', control: '${control}' }); report(process.pid); ${STAY}`);
    await program.report();
    const { ControlClient } = await import('doublefork/control');
    const client = await ControlClient.connect(control, 20_000);
    expect((await client.status()).spares).toEqual([]);
    client.close();
    process.kill(program.pid);
    await program.ended;
    const refused = await start(`${SUPERVISE} supervise({ spare: 17 });`).ended;
    expect(refused.stderr).toMatch(/"options.spare" is out of range/);
  });

  test('has pages of its own before it needs them: those that a worker has written to, and no others', async () => {
    const megabytes = (pid: number) => {
      const text = readFileSync(`/proc/${pid}/smaps_rollup`, 'latin1');
      return Number(/^Private_Dirty:\s+(\d+)/m.exec(text)![1]) / 1024;
    };
    const ofSpare = async (written: number) => {
      const source = `${SUPERVISE}
        globalThis.kept = [];
        for (let i = 0; i < 600_000; i++) kept.push({ number: i, next: [i] });
        // A worker that collects garbage writes everywhere.
        gc();
        const worker = supervise({ log: 'none', ready: 'manual' });
        for (let i = 0; i < ${written}; i++) kept[i].number = -i;
        worker.ready();
        report(process.pid);
        ${STAY}
      `;
      const program = start(source, { flags: ['--expose-gc'] });
      const worker = await program.report();
      const spare = await spareOf(program.pid);
      // It waits for its name when it has them.
      const call = () => readFileSync(`/proc/${spare}/syscall`, 'latin1').split(' ')[0];
      await until(() => call() === (process.arch === 'x64' ? '0' : '63'), 'a spare that reads');
      const own = { spare: megabytes(spare), worker: megabytes(worker) };
      process.kill(program.pid);
      await program.ended;
      return own;
    };
    const idle = await ofSpare(0);
    const busy = await ofSpare(100_000);
    expect(idle.spare).toBeLessThan(idle.worker + 4);
    expect(busy.spare).toBeGreaterThan(idle.spare + 4);
    expect(busy.spare).toBeLessThan(busy.worker + 4);
  });

  test('eighty crashes leave nothing behind: no process, no descriptor', async () => {
    const program = start(`${SUPERVISE}
      supervise({ minUptime: 0, log: 'none' }); report(process.pid); ${STAY}`);
    let worker = await program.report();
    const open = () => descriptors(program.pid).size;
    const spare = await spareOf(program.pid);
    const before = open();
    for (let kills = 0; kills < 80; kills++) {
      // Of every second one nobody waits for the next spare.
      if (kills % 2 === 0) await spareOf(program.pid);
      process.kill(worker, 'SIGKILL');
      worker = await program.report();
    }
    await spareOf(program.pid, spare);
    await until(() => named(program.pid, 'memory-holder').length === 2, 'two holders');
    // The worker, the spare, a holder for each.
    const children = () =>
      readFileSync(`/proc/${program.pid}/task/${program.pid}/children`, 'utf8')
        .split(' ')
        .filter(Boolean);
    await until(() => children().length === 4, 'four children');
    expect(open()).toBeLessThanOrEqual(before);
    process.kill(program.pid);
    expect((await program.ended).code).toBe(0);
  });
});

describeFork('a holder of memory', () => {
  test('has the memory of its worker until that ends, and no child of the worker’s is it', async () => {
    const program = start(`${SUPERVISE}
      supervise({ spare: 0, restart: 'never' });
      const own = fs.readFileSync('/proc/self/task/' + process.pid + '/children', 'latin1');
      report({ pid: process.pid, own });
      ${STAY}
    `);
    const { pid, own } = await program.report();
    expect(own).toBe('');
    const [holder] = named(program.pid, 'memory-holder');
    // It is the same memory; the worker may touch more of it between the two looks, until it waits.
    await until(() => status(holder!, 'VmRSS') === status(pid, 'VmRSS'), 'the same memory');
    process.kill(pid, 'SIGKILL');
    await program.ended;
    expect(stat(holder!)).toBeUndefined();
  });

  test('goes when its worker becomes another program', async () => {
    const program = start(`${SUPERVISE}
      supervise({ spare: 0 });
      process.on('SIGUSR2', () => posix.execve('/bin/sleep', ['sleep', '1000'], {}));
      report(process.pid);
      ${STAY}
    `);
    const worker = await program.report();
    expect(named(program.pid, 'memory-holder')).toHaveLength(1);
    process.kill(worker, 'SIGUSR2');
    await until(() => stat(worker)?.name === 'sleep', 'sleep');
    await until(() => named(program.pid, 'memory-holder').length === 0, 'no holder');
    process.kill(program.pid);
    await program.ended;
  });

  testAsRoot('K2 cannot act with the privileges that its worker has given up', async () => {
    const program = start(`${SUPERVISE}
      supervise({ spare: 0, restart: 'never' });
      process.setgid(65534);
      process.setuid(65534);
      report(process.pid);
      ${STAY}
    `);
    const worker = await program.report();
    const [holder] = named(program.pid, 'memory-holder');
    // A filter lets it wait and end, and nothing else: not even to open what it has no descriptor for.
    expect(status(holder!, 'Seccomp')).toBe('2');
    expect(status(holder!, 'NoNewPrivs')).toBe('1');
    expect(descriptors(holder!).size).toBe(0);
    // Nobody but KILL and STOP reaches it.
    expect(BigInt(`0x${status(holder!, 'SigBlk')}`) | (1n << 8n) | (1n << 18n)).toBe(
      2n ** 64n - 1n,
    );
    expect(status(holder!, 'Threads')).toBe('1');
    killQuietly(worker);
    await program.ended;
  });
});
