// Reload means the new version: images of the program come and go, the pid stays. C35, C36.

import { readdirSync, rmSync } from 'node:fs';
import { Agent } from 'node:http';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { killQuietly, until } from '../../support/processes.js';
import { isGone, Service, type Version } from './service.js';
import { decisions } from './tools.js';

describe('reload', () => {
  test('a switched link means new code, new directory and new workers, below the same pid', async () => {
    const service = await Service.start({ name: 'old' });
    const before = await service.get();
    const { workers } = await service.status();
    service.deploy({ name: 'new' });
    await service.reload();
    for (const worker of workers) expect(isGone(worker.pid!)).toBe(true);
    // Each of its workers may answer.
    for (let i = 0; i < 20; i++) {
      const { version, cwd } = await service.get();
      expect({ version, cwd }).toEqual({ version: 'new', cwd: join(service.folder, 'releases/2') });
    }
    expect(before).toMatchObject({ version: 'old', cwd: join(service.folder, 'releases/1') });
    expect(await service.status()).toMatchObject({
      pid: service.pid,
      image: { number: 2 },
      previous: { number: 1, pid: service.pid },
    });
    const { code, stderr } = await service.stop();
    expect(code).toBe(0);
    expect(decisions({ stderr }, 'image-serves')).toMatchObject([{ image: 2 }]);
  });

  test('SIGHUP does it, too; one that comes while another one is under way is not lost', async () => {
    const service = await Service.start({ name: '1' });
    service.deploy({ name: '2' });
    process.kill(service.pid, 'SIGHUP');
    await until(async () => (await service.status()).image.number === 2, 'the second image');
    service.deploy({ name: '3' });
    process.kill(service.pid, 'SIGHUP');
    await until(async () => (await service.get()).version === '3', 'the third version');
    expect((await service.stop()).code).toBe(0);
  });

  test('10 in a row, with clients that keep connections alive: no request is lost, nothing grows', async () => {
    const service = await Service.start({ name: '0' });
    const agent = new Agent({ keepAlive: true });
    onTestFinished(() => agent.destroy());
    let done = false;
    const lost: unknown[] = [];
    const client = async (agent?: Agent) => {
      while (!done) await service.get(service.port, agent).catch((error) => lost.push(error));
    };
    const clients = [client(), client(agent), client(agent)];
    const descriptors = () => readdirSync(`/proc/${service.pid}/fd`).length;
    const counts: number[] = [];
    for (let i = 1; i <= 10; i++) {
      service.deploy({ name: String(i) });
      await service.reload();
      expect((await service.get()).version).toBe(String(i));
      counts.push(descriptors());
    }
    done = true;
    await Promise.all(clients);
    expect(lost).toEqual([]);
    // From the second on there is one that serves and one that is parked, beside this process.
    const few = Math.min(...counts.slice(1, 4));
    await until(() => descriptors() <= few, 'as many descriptors as before');
    await until(() => service.images().length === 2, 'two images');
    expect((await service.stop()).code).toBe(0);
  });

  test('a worker asks for it; so does a watched file, or link, that leads elsewhere', async () => {
    const watch = "watch: process.env.CONTROL + '/../current',";
    const after = "if (worker.id === 1) process.on('SIGUSR2', () => worker.reload());";
    const service = await Service.start({ name: '1', options: watch });
    service.deploy({ name: '2', after });
    await until(async () => (await service.get()).version === '2', 'the second version');
    // Another start of the same: nothing was switched.
    await until(async () => (await service.status()).previous !== null, 'the status');
    process.kill((await service.status()).workers[0]!.pid!, 'SIGUSR2');
    await until(async () => (await service.status()).image.number === 3, 'the third image');
    expect((await service.stop()).code).toBe(0);
  });

  test('a second one meanwhile is told so', async () => {
    const service = await Service.start({ name: 'old' });
    service.deploy({ name: 'new' });
    const first = service.reload();
    await until(async () => {
      const second = await service.reload().catch(({ message }) => message);
      return /under way|still answers/.test(second);
    }, 'the refusal');
    await first;
    expect((await service.get()).version).toBe('new');
    expect((await service.stop()).code).toBe(0);
  });

  test('a changed port is a new socket, and the old one is closed', async () => {
    const service = await Service.start({ name: 'old' });
    const other = service.port === 20_001 ? 20_002 : 20_001;
    service.deploy({ name: 'new', listen: `{ port: ${other}, host: '127.0.0.1' }` });
    await service.reload();
    expect(await service.get(other)).toMatchObject({ version: 'new', port: other });
    await expect(service.get()).rejects.toMatchObject({ code: 'ECONNREFUSED' });
    await expect(service.rollback()).rejects.toThrow('no image before');
    expect((await service.stop()).code).toBe(0);
  });
});

describe('a version that fails leaves everything as it was, and its words are for who asked', () => {
  const failures: [what: string, version: Partial<Version> | string | undefined, text: RegExp][] = [
    ['has a syntax error', 'this is no program', /SyntaxError/],
    ['lacks a module', { first: "await import('nowhere');" }, /Cannot find package 'nowhere'/],
    ['throws', { before: "throw new Error('no configuration');" }, /no configuration/],
    ['throws in a worker', { after: "throw new Error('no database');" }, /no database/],
    ['exits with code 0', { before: 'process.exit(0);' }, /exited with code 0 before it served/],
    ['is killed', { before: "process.kill(process.pid, 'SIGKILL');" }, /killed by SIGKILL/],
    ['cannot have its port', { listen: "{ port: 1, host: '192.0.2.1' }" }, /EADDRNOTAVAIL/],
    ['has wrong options', { options: 'workers: -1,' }, /options.workers/],
    ['is not there', undefined, /Cannot find module/],
  ];
  test.each(failures)('one that %s', async (_what, version, text) => {
    const service = await Service.start({ name: 'old' });
    const { workers } = await service.status();
    if (typeof version === 'string') service.deploy({ name: 'new' }, version);
    else service.deploy(version && { name: 'new', ...version });
    await expect(service.reload()).rejects.toThrow(text);
    expect((await service.status()).workers.map(({ pid }) => pid)).toEqual(
      workers.map(({ pid }) => pid),
    );
    expect((await service.get()).version).toBe('old');
    // The next one can be better.
    service.deploy({ name: 'better' });
    await service.reload();
    expect((await service.get()).version).toBe('better');
    expect((await service.stop()).code).toBe(0);
  });

  test('one that hangs is ended after readyTimeout', async () => {
    const service = await Service.start({ name: 'old', options: 'readyTimeout: 3000,' });
    service.deploy({ name: 'new', before: "console.error('waiting'); for (;;);" });
    await expect(service.reload()).rejects.toThrow(/not ready within 3 s; it has said:\nwaiting/);
    expect((await service.get()).version).toBe('old');
    expect((await service.stop()).code).toBe(0);
  });

  test('the directory is gone', async () => {
    const service = await Service.start({ name: 'old' });
    rmSync(join(service.folder, 'current'));
    await expect(service.reload()).rejects.toThrow(/cannot change to the directory .*current/);
    expect((await service.get()).version).toBe('old');
    expect((await service.stop()).code).toBe(0);
  });
});

describe('rollback', () => {
  test('the image before serves again without a start of the program, and back', async () => {
    const service = await Service.start({ name: '1' });
    await expect(service.rollback()).rejects.toThrow('no image before');
    for (const name of ['2', '3']) {
      service.deploy({ name });
      await service.reload();
    }
    const { image, previous } = await service.status();
    await service.rollback();
    expect((await service.get()).version).toBe('2');
    expect(await service.status()).toMatchObject({ image: previous, previous: image });
    await service.rollback();
    expect((await service.get()).version).toBe('3');
    expect((await service.stop()).code).toBe(0);
  });

  test('to the first image, whose process is the one that stays', async () => {
    const service = await Service.start({ name: '1' });
    service.deploy({ name: '2' });
    await service.reload();
    await service.rollback();
    expect((await service.get()).version).toBe('1');
    service.deploy({ name: '3' });
    await service.reload();
    expect((await service.get()).version).toBe('3');
    expect((await service.stop()).code).toBe(0);
  });

  test('without keepPrevious there is nothing to go back to', async () => {
    const service = await Service.start({ name: '1', options: 'keepPrevious: false,' });
    service.deploy({ name: '2' });
    await service.reload();
    await expect(service.rollback()).rejects.toThrow('no image before');
    expect((await service.stop()).code).toBe(0);
  });

  test('a version that gives up soon after it came to serve is rolled back by itself', async () => {
    const service = await Service.start({ name: 'good', options: 'minUptime: 60_000,' });
    service.deploy({
      name: 'bad',
      options: 'maxFailures: 1, backoff: { initial: 0 }, onGiveUp: 9, minUptime: 60_000,',
      after: "setTimeout(() => { throw new Error('late'); }, 1000);",
    });
    await service.reload();
    await until(async () => {
      const version = await service.get().then(
        ({ version }) => version,
        () => '',
      );
      return version === 'good';
    }, 'the rollback');
    expect((await service.stop()).code).toBe(0);
  });
});

describe('the image that serves', () => {
  test('killed, it is started again, and connections wait meanwhile', async () => {
    const service = await Service.start({ name: '1' });
    service.deploy({ name: '2' });
    await service.reload();
    const { image, workers } = await service.status();
    killQuietly(image.pid);
    await until(() => workers.every(({ pid }) => isGone(pid!)), 'the end of its workers');
    const answer = await service.get();
    expect(answer.version).toBe('2');
    await until(async () => (await service.status()).image.number === 3, 'the third image');
    expect((await service.stop()).code).toBe(0);
  });

  test('is asked what concerns its workers: status, scale, recycle, log', async () => {
    const service = await Service.start({ name: '1' });
    service.deploy({ name: '2' });
    await service.reload();
    const before = (await service.status()).workers.map(({ pid }) => pid);
    await service.ask((client) => client.recycle());
    const after = (await service.status()).workers.map(({ pid }) => pid);
    expect(after.filter((pid) => before.includes(pid))).toEqual([]);
    await service.ask((client) => client.scale(3));
    await until(async () => (await service.status()).workers.length === 3, 'the third worker');
    const lines = await service.ask(async (client) => {
      const lines: string[] = [];
      for await (const line of client.log()) lines.push(line);
      return lines;
    });
    const events = lines.map((line) => JSON.parse(line).event);
    expect(events).toContain('recycled');
    expect(events).toContain('image-serves');
    expect((await service.stop()).code).toBe(0);
  });

  test('passes its exit code on when it gives up', async () => {
    const service = await Service.start({ name: '1', options: 'minUptime: 0,' });
    service.deploy({
      name: '2',
      options: 'maxFailures: 1, backoff: { initial: 0 }, onGiveUp: 9, minUptime: 60_000,',
      after: `process.on('SIGUSR2', () => process.exit(3));`,
    });
    await service.reload();
    const { image } = await service.status();
    for (let i = 0; i < 2; i++) process.kill(image.pid, 'SIGUSR2');
    await until(() => isGone(image.pid) || trySignal(image.pid), 'its end');
    expect((await service.running.ended).code).toBe(9);
  });
});

function trySignal(pid: number): boolean {
  try {
    process.kill(pid, 'SIGUSR2');
  } catch {
    return true;
  }
  return false;
}

describe('the end', () => {
  test('stop while the next image starts: it ends with the rest', async () => {
    const service = await Service.start({ name: 'old' });
    service.deploy({ name: 'new', before: 'for (;;);' });
    const reload = service.reload().catch(({ message }) => message);
    await until(() => service.images().length === 1, 'the next image');
    expect((await service.stop()).code).toBe(0);
    expect(await reload).toMatch(/stopping|ended/);
  });

  test('stop while the old workers still answer', async () => {
    const slow = `process.on('SIGTERM', () => setTimeout(() => process.exit(0), 2000));`;
    const service = await Service.start({ name: 'old', after: slow });
    service.deploy({ name: 'new' });
    const reload = service.reload().catch(({ message }) => message);
    await until(async () => (await service.status()).image.number === 2, 'the second image');
    expect((await service.stop()).code).toBe(0);
    expect(await reload).toMatch(/stopping|ended/);
  });

  test('the process that stays is killed: all of its images end', async () => {
    const service = await Service.start({ name: '1' });
    service.deploy({ name: '2' });
    await service.reload();
    const { image, workers } = await service.status();
    killQuietly(service.pid);
    await service.running.exited;
    const pids = [image.pid, ...workers.map(({ pid }) => pid!)];
    await until(() => pids.every(isGone), 'the end of all');
  });
});
