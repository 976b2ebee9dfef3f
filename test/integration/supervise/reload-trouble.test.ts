// A reload where something is in its way: afterwards the version before serves, and the next reload can do
// better. C36.

import { execFileSync } from 'node:child_process';
import { chmodSync, symlinkSync, unlinkSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { countedGroup } from '../../support/cgroup.js';
import { temporaryFolder } from '../../support/folder.js';
import { node } from '../../support/node.js';
import { descriptors, until } from '../../support/processes.js';
import { testAsRoot, unprivileged } from '../../support/root.js';
import { childrenOf, Service } from './service.js';

/** A link to the interpreter, which can be replaced by a file that is not executable. */
function replaceableInterpreter() {
  const path = join(temporaryFolder(), 'node');
  symlinkSync(node, path);
  return {
    path,
    replace() {
      unlinkSync(path);
      writeFileSync(path, 'no program', { mode: 0o644 });
    },
    restore() {
      unlinkSync(path);
      symlinkSync(node, path);
    },
  };
}

/** The version before serves as it did, and the next one can take over. */
async function expectUnchanged(service: Service): Promise<void> {
  expect((await service.get()).version).toBe('old');
  expect((await service.status()).image.number).toBe(1);
  service.deploy({ name: 'better' });
  await service.reload();
  expect((await service.get()).version).toBe('better');
  expect((await service.stop()).code).toBe(0);
}

describe('what the new image needs', () => {
  test('an interpreter that can be executed no more', async () => {
    const interpreter = replaceableInterpreter();
    const service = await Service.start({ name: 'old' }, { command: [interpreter.path] });
    service.deploy({ name: 'new' });
    interpreter.replace();
    await expect(service.reload()).rejects.toThrow(/EACCES|permission denied|not.*execut/i);
    interpreter.restore();
    await expectUnchanged(service);
  });

  test('a port that somebody else has', async () => {
    const other = createServer().listen(0, '127.0.0.1');
    onTestFinished(() => void other.close());
    await new Promise((resolve) => other.once('listening', resolve));
    const { port } = other.address() as { port: number };
    const service = await Service.start({ name: 'old' });
    service.deploy({ name: 'new', listen: `{ port: ${port}, host: '127.0.0.1' }` });
    await expect(service.reload()).rejects.toThrow(/EADDRINUSE|in use/);
    await expectUnchanged(service);
  });

  testAsRoot('a process more than its user may have', async () => {
    const service = await Service.start({ name: 'old' }, { command: [...unprivileged, node] });
    service.deploy({ name: 'new' });
    // As that user: a container's root may lack the right to.
    const prlimit = (...args: string[]) =>
      execFileSync('prlimit', ['--pid', String(service.pid), ...args], { uid: 65533, gid: 65533 });
    const hard = String(prlimit('--nproc', '-o', 'HARD', '--noheadings')).trim();
    prlimit('--nproc=1:');
    await expect(service.reload()).rejects.toThrow(/fork.* failed: the system has no room/);
    prlimit(`--nproc=${hard}:`);
    await expectUnchanged(service);
  });

  test('a process more than its control group may have', async ({ skip }) => {
    const group = countedGroup() ?? skip('no control group can be made that limits processes');
    const command = ['sh', '-c', 'echo $$ >"$0" && exec "$@"', group.procs, node];
    const service = await Service.start({ name: 'old' }, { command });
    service.deploy({ name: 'new' });
    group.limit(1);
    await expect(service.reload()).rejects.toThrow(/fork.* failed: the system has no room/);
    group.limit('max');
    await expectUnchanged(service);
  });

  test('descriptors', async () => {
    const service = await Service.start({ name: 'old' });
    service.deploy({ name: 'new' });
    const limit = (value: number) =>
      execFileSync('prlimit', ['--pid', String(service.pid), `--nofile=${value}:`]);
    await service.ask(async (client) => {
      // The number above which there is none to be had.
      const open = descriptors(service.pid);
      let first = 0;
      while (open.has(first)) first++;
      limit(first);
      await expect(client.reload()).rejects.toThrow(/EMFILE|too many open files|descriptors/i);
    });
    limit(1024);
    await expectUnchanged(service);
  });

  testAsRoot('another user: the version after may have fewer rights, and not more', async () => {
    const service = await Service.start({ name: 'root' });
    const drop = 'process.setgid(54321); process.setuid(54321);';
    service.deploy({ name: 'dropped', before: drop });
    chmodSync(join(service.folder, 'port'), 0o666);
    await service.reload();
    expect((await service.get()).version).toBe('dropped');
    await service.rollback();
    expect((await service.get()).version).toBe('root');
    await service.rollback();
    expect((await service.get()).version).toBe('dropped');
    expect((await service.stop()).code).toBe(0);
  });

  testAsRoot('rights that the service has given up', async () => {
    const service = await Service.start({ name: 'old' }, { command: [...unprivileged, node] });
    service.deploy({ name: 'new', before: 'process.setuid(0);' });
    await expect(service.reload()).rejects.toThrow(/EPERM/);
    await expectUnchanged(service);
  });
});

describe('another release of this package at the other end', () => {
  test('what it says that is unknown is passed over, in both directions', async () => {
    const preload = join(import.meta.dirname, 'speak-otherwise.cjs');
    const env = { NODE_OPTIONS: `--require ${preload}` };
    const service = await Service.start({ name: '1' }, { env });
    for (const name of ['2', '3']) {
      service.deploy({ name });
      await service.reload();
      expect((await service.get()).version).toBe(name);
    }
    await service.rollback();
    expect((await service.get()).version).toBe('2');
    expect((await service.status()).workers).toHaveLength(2);
    expect((await service.stop()).code).toBe(0);
  });
});

describe('stop in each phase of a change', () => {
  const hang = 'for (;;);';
  const slow = "process.on('SIGTERM', () => setTimeout(() => process.exit(0), 1500));";
  const ended = (change: Promise<unknown>) =>
    change.then(
      () => 'done',
      ({ message }) => String(message),
    );

  test.each([
    ['the program is on its way to supervise()', { before: hang }],
    ['its workers are not ready', { after: hang }],
  ])('%s', async (_phase, version) => {
    const service = await Service.start({ name: 'old' });
    service.deploy({ name: 'new', ...version });
    const change = ended(service.reload());
    await until(() => service.images().length === 1, 'the next image');
    if ('after' in version) {
      const [image] = service.images();
      await until(() => childrenOf(image!).length >= 2, 'its workers');
    }
    expect((await service.stop()).code).toBe(0);
    expect(await change).toMatch(/stopping|ended/);
  });

  test('the workers of before still answer', async () => {
    const service = await Service.start({ name: 'old', after: slow });
    service.deploy({ name: 'new' });
    const change = ended(service.reload());
    await until(async () => (await service.status()).image.number === 2, 'the second image');
    expect((await service.stop()).code).toBe(0);
    expect(await change).toMatch(/stopping|ended/);
  });

  test('the image before has no workers yet that are ready', async () => {
    // On the way to serve a second time.
    const after = 'if (worker.generation > 1) for (;;);';
    const service = await Service.start({ name: 'old', after });
    service.deploy({ name: 'new' });
    await service.reload();
    const change = ended(service.rollback());
    await until(() => service.ownWorkers().length >= 2, 'workers of before');
    expect((await service.stop()).code).toBe(0);
    expect(await change).toMatch(/stopping|ended/);
  });

  test('a reload during the stop is refused, and the stop goes on', async () => {
    const service = await Service.start({ name: 'old', after: slow });
    service.deploy({ name: 'new' });
    process.kill(service.pid, 'SIGTERM');
    await until(
      async () => (await service.status()).workers.every(({ state }) => state === 'stopping'),
      'the stop',
    );
    await expect(service.reload()).rejects.toThrow('the supervisor is stopping');
    process.kill(service.pid, 'SIGHUP');
    expect((await service.running.ended).code).toBe(0);
  });
});
