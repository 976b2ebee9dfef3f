// doublefork reload and signal: nobody ends by what was to tell something, and "reloaded" was seen.

import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { root } from '../../support/node.js';
import { stat, until } from '../../support/processes.js';
import { Place } from './command.js';

const isGone = (pid: number) => (stat(pid)?.state ?? 'Z') === 'Z';

describe('a program that does not listen', () => {
  test.each([
    [['reload'], 'SIGHUP'],
    [['signal', 'HUP'], 'SIGHUP'],
    [['signal', 'reopen'], 'SIGUSR2'],
    [['signal', '40'], 'SIG40'],
  ])('to %j is sent nothing, unless by --force', async (command, signal) => {
    const place = new Place();
    await place.startIt('--settle 0', ['sleep', '100']);
    const { pid } = await place.status('it');
    const { code, stdout, stderr } = await place.run(...command, 'it');
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toContain(
      `it (pid ${pid}) was sent nothing: it has no handler for ${signal}, and would end`,
    );
    expect(isGone(pid)).toBe(false);
    expect((await place.run(...command, 'it', '--force')).code).toBe(0);
    await until(() => isGone(pid), 'ended');
  });

  test('because it ignores the signal', async () => {
    const place = new Place();
    await place.startIt('', ['sh', '-c', 'trap "" HUP; exec sleep 100']);
    const { code, stderr } = await place.run('reload', 'it');
    expect(code).toBe(1);
    expect(stderr).toContain('was sent nothing: it ignores SIGHUP');
    await place.run('stop', 'it');
  });

  test('is sent what is to end it, or to stop it for a while', async () => {
    const place = new Place();
    await place.startIt('--settle 0', ['sleep', '100']);
    const { pid } = await place.status('it');
    for (const signal of ['STOP', 'CONT', 'INT']) {
      expect((await place.run('signal', signal, 'it')).code).toBe(0);
    }
    await until(() => isGone(pid), 'ended');
  });
});

test('one that fetches the signal by itself listens, too', async () => {
  const place = new Place();
  const script =
    'import signal; signal.pthread_sigmask(signal.SIG_BLOCK, [1]); open("there", "w"); signal.sigwait([1]); open("told", "w")';
  await place.startIt('', ['python3', '-c', script]);
  await until(() => existsSync(join(place.folder, 'there')), 'it waits');
  expect((await place.run('reload', 'it')).code).toBe(0);
  await until(() => existsSync(join(place.folder, 'told')), 'it was told');
});

test('each of several is told, or has its error', async () => {
  const place = new Place();
  const listens = 'trap "touch told" HUP; while :; do sleep 0.02; done';
  await place.run('start', '--name', 'a', '--settle', '0', '--', 'sleep', '100');
  await place.run('start', '--name', 'b', '--', 'sh', '-c', listens);
  const { code, stdout, stderr } = await place.run('reload', '--all');
  expect(code).toBe(1);
  expect(stdout).toMatch(/^sent reload to b \(pid \d+\)\n$/);
  expect(stderr).toContain('a (pid ');
  await until(() => existsSync(join(place.folder, 'told')), 'it was told');
  await place.run('stop', '--all');
});

describe('reload of a supervisor', () => {
  async function supervisor(): Promise<Place> {
    const place = new Place();
    const program = join(place.folder, 'it.mjs');
    // The version is what the worker finds when it starts.
    writeFileSync(
      program,
      `import { appendFileSync, existsSync } from 'node:fs';
       import { supervise } from '${root}/dist/index.js';
       const worker = supervise({ workers: 2, minUptime: 0, readyTimeout: 60_000 });
       if (existsSync('broken')) throw new Error('cannot be');
       setInterval(() => {}, 1e6);
       setTimeout(() => { appendFileSync('ready', process.pid + '\\n'); worker.ready(); }, 200);`,
    );
    expect(await place.startIt('', [program])).toMatchObject({ code: 0 });
    const isReady = ({ state }: { state: string }) => state === 'ready';
    await until(async () => {
      const workers = (await place.status('it')).supervisor?.workers ?? [];
      return workers.length === 2 && workers.every(isReady);
    }, 'ready');
    return place;
  }

  test('is over when the new workers are ready', async () => {
    const place = await supervisor();
    const { pid, supervisor: before } = await place.status('it');
    const { code, stdout } = await place.run('reload', 'it');
    expect({ code, stdout }).toEqual({
      code: 0,
      stdout: `it has been reloaded: 2 of 2 workers ready (pid ${pid})\n`,
    });
    const lines = readFileSync(join(place.folder, 'ready'), 'utf8').trim().split('\n');
    expect(lines.length).toBe(4);
    const old = before.workers.map((worker: { pid: number }) => String(worker.pid)).sort();
    expect(lines.slice(0, 2).sort()).toEqual(old);
    await place.run('stop', 'it');
  });

  test('means the new version; rollback the one before, recycle new workers of it', async () => {
    const place = await supervisor();
    const { pid } = await place.status('it');
    const program = join(place.folder, 'it.mjs');
    const text = readFileSync(program, 'utf8');
    const versionsAre = async (version: string) => {
      const { workers } = (await place.status('it')).supervisor;
      for (const worker of workers) expect(worker.status ?? 'old').toBe(version);
      return workers.map((worker: { pid: number }) => worker.pid);
    };
    const old = await versionsAre('old');
    writeFileSync(program, text.replace('setInterval', "worker.status('new'); setInterval"));
    expect((await place.run('reload', 'it')).code).toBe(0);
    await versionsAre('new');
    expect(await place.run('rollback', 'it')).toMatchObject({
      code: 0,
      stdout: `it is back at image 1 (pid ${pid})\n`,
    });
    const back = await versionsAre('old');
    expect(back).not.toEqual(old);
    expect(await place.run('recycle', 'it')).toMatchObject({
      code: 0,
      stdout: 'it has 2 new workers\n',
    });
    expect((await versionsAre('old')).filter((pid: number) => back.includes(pid))).toEqual([]);
    expect((await place.status('it')).pid).toBe(pid);
    await place.run('stop', 'it');
  });

  test('that fails is a failure, and changes nothing', async () => {
    const place = await supervisor();
    const pids = async () =>
      (await place.status('it')).supervisor.workers.map(({ pid }: { pid: number }) => pid).sort();
    const before = await pids();
    writeFileSync(join(place.folder, 'broken'), '');
    const { code, stdout, stderr } = await place.run('reload', 'it');
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toMatch(/it was not reloaded; the workers from before go on: .*cannot be/s);
    expect(await pids()).toEqual(before);
    await place.run('stop', 'it');
  });
});
