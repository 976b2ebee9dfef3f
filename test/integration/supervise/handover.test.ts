// handover.send and handover.received: what a version leaves to the next one. C35, C36.

import { readdirSync, readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { killQuietly, until } from '../../support/processes.js';
import { Service, type Version } from './service.js';

/** Each worker tells what it has received; `send` is what it leaves. */
const version = (name: string, send: string, rest: Partial<Version> = {}): Version => ({
  name,
  first: `
    import { handover } from ${JSON.stringify(join(import.meta.dirname, '../../../dist/index.js'))};
    import { appendFileSync, fstatSync, openSync, readFileSync, readSync, writeFileSync as write } from 'node:fs';
    const tell = (what) => appendFileSync(process.env.CONTROL + '.told', JSON.stringify({ version: '${name}', ...what }) + '\\n');
  `,
  before: 'const early = handover.received.length;',
  after: `tell({ worker: worker.id, early, received: handover.received }); ${send}`,
  ...rest,
});

// biome-ignore lint/suspicious/noExplicitAny: as it was parsed
const told = (service: Service): any[] =>
  readFileSync(`${service.control}.told`, 'utf8')
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line));

const toldBy = (service: Service, name: string) =>
  told(service)
    .filter((it) => it.version === name)
    .sort((a, b) => a.worker - b.worker);

const descriptors = (pid: number) => readdirSync(`/proc/${pid}/fd`).length;

test('each worker leaves a value; the next version has all of them, from its start and in each worker', async () => {
  const send = (name: string) =>
    `handover.send({ from: '${name}', worker: worker.id, bytes: 12 });`;
  const service = await Service.start(version('1', send('1')));
  expect(toldBy(service, '1').map(({ received }) => received)).toEqual([[], []]);
  for (const [from, next] of [
    ['1', '2'],
    ['2', '3'],
  ] as const) {
    service.deploy(version(next, send(next)));
    await service.reload();
    const received = [1, 2].map((worker) => {
      return { worker, value: { from, worker, bytes: 12 }, fds: {} };
    });
    expect(toldBy(service, next)).toEqual(
      [1, 2].map((worker) => ({ version: next, worker, early: 2, received })),
    );
  }
  expect((await service.stop()).code).toBe(0);
});

test('a function is asked when the successor is about to be started; its promise is waited for', async () => {
  const send = `
    let asked = 0;
    handover.send(async () => { await new Promise((done) => setTimeout(done, 20)); return { asked: ++asked, at: new Map([[1, new Date(5)]]) }; });
  `;
  const service = await Service.start(version('1', send));
  service.deploy(version('2', send, { after: "throw new Error('broken')" }));
  await expect(service.reload()).rejects.toThrow('broken');
  const values = 'handover.received.map(({ value }) => [value.asked, value.at.get(1).getTime()])';
  service.deploy(version('3', '', { after: `tell({ worker: worker.id, values: ${values} });` }));
  await service.reload();
  const values3 = [2, 5];
  expect(toldBy(service, '3').map((it) => it.values)).toEqual([
    [values3, values3],
    [values3, values3],
  ]);
  expect((await service.stop()).code).toBe(0);
});

test('descriptors come by name, open and where they were; the keeper keeps none of them', async () => {
  const open = `
    const file = process.env.CONTROL + '.file' + worker.id;
    write(file, 'abcdef');
    const fd = openSync(file); readSync(fd, Buffer.alloc(2));
    handover.send({ file }, { fds: { file: fd } });
  `;
  const service = await Service.start(version('1', open));
  const readOn = `
    const texts = handover.received.map(({ value, fds }) => [value.file.at(-1), fstatSync(fds.file).size, Object.keys(fds)]);
    tell({ worker: worker.id, texts });
    if (worker.id === 1) tell({ worker: 0, rest: handover.received.map(({ fds }) => { const b = Buffer.alloc(9); return b.toString('latin1', 0, readSync(fds.file, b)); }) });
  `;
  service.deploy(version('2', '', { after: `${readOn} ${open}` }));
  await service.reload();
  const [{ rest }, first, second] = toldBy(service, '2');
  const texts = [
    ['1', 6, ['file']],
    ['2', 6, ['file']],
  ];
  expect([first.texts, second.texts, rest]).toEqual([texts, texts, ['cdef', 'cdef']]);
  await service.reload();
  const before = descriptors(service.pid);
  for (let count = 0; count < 3; count++) await service.reload();
  await until(() => descriptors(service.pid) <= before, 'no more descriptors than before');
  expect((await service.stop()).code).toBe(0);
});

describe('if it cannot be handed over the reload fails with the reason, and the old version serves on', () => {
  test.each([
    [
      'handover.send(() => ({ cache: { load() {} } }));',
      'worker 1 cannot hand over: value.cache.load cannot be handed over: it is a function',
    ],
    [
      "handover.send(() => { throw new Error('no time for that'); });",
      'worker 1 cannot hand over: no time for that',
    ],
    [
      "handover.send(1, { fds: { lock: openSync('/dev/null') } }); (await import('node:fs')).closeSync(FD);",
      'worker 1 cannot hand over: fds.lock (',
    ],
  ])('%s', async (send, text) => {
    const known = send.replace(
      /\(await import.*FD\);/,
      "handover.send(1, { fds: { lock: LOCK } }); (await import('node:fs')).closeSync(LOCK);",
    );
    const opened = known.replace("openSync('/dev/null')", 'LOCK');
    const after = `const LOCK = openSync('/dev/null'); if (worker.id === 1) { ${opened} }`;
    const service = await Service.start(version('1', after));
    const { workers } = await service.status();
    service.deploy(version('2', ''));
    await expect(service.reload()).rejects.toThrow(text);
    expect((await service.get()).version).toBe('1');
    expect((await service.status()).workers.map(({ pid }) => pid)).toEqual(
      workers.map(({ pid }) => pid),
    );
    expect(service.images()).toEqual([]);
    expect((await service.stop()).code).toBe(0);
  });

  test('as one that takes longer than readyTimeout', async () => {
    const never = 'if (worker.id === 2) handover.send(() => new Promise(() => {}));';
    const service = await Service.start(version('1', never, { options: 'readyTimeout: 4000,' }));
    service.deploy(version('2', ''));
    await expect(service.reload()).rejects.toThrow(
      'worker 2 did not hand over in time (readyTimeout)',
    );
    expect((await service.get()).version).toBe('1');
    expect((await service.stop()).code).toBe(0);
  });

  test('stop while it takes its time ends all, and who waits is told', async () => {
    const never = 'handover.send(() => { tell({ asked: true }); return new Promise(() => {}); });';
    const service = await Service.start(version('1', never));
    const reload = service.reload();
    reload.catch(() => {});
    await until(() => told(service).some(({ asked }) => asked), 'it is asked');
    await expect(service.reload()).rejects.toThrow('a reload is under way');
    const { code } = await service.stop();
    expect(code).toBe(0);
    await expect(reload).rejects.toThrow('the supervisor is stopping');
  });
});

test('one that dies instead of an answer leaves nothing, and the reload goes on', async () => {
  const dies =
    "handover.send(() => worker.id === 1 ? process.kill(process.pid, 'SIGKILL') : 'two');";
  const service = await Service.start(version('1', dies));
  service.deploy(version('2', ''));
  await service.reload();
  const received = [{ worker: 2, value: 'two', fds: {} }];
  expect(toldBy(service, '2').map((it) => it.received)).toEqual([received, received]);
  expect((await service.stop()).code).toBe(0);
});

test('what was sent is taken back by undefined', async () => {
  const service = await Service.start(version('1', 'handover.send(1); handover.send(undefined);'));
  service.deploy(version('2', ''));
  await service.reload();
  expect(toldBy(service, '2').map((it) => it.received)).toEqual([[], []]);
  expect((await service.stop()).code).toBe(0);
});

test('whoever is no worker is not asked, and whoever floods the socket is dropped', async () => {
  const service = await Service.start(version('1', 'handover.send(worker.id);'));
  const addresses = readFileSync('/proc/net/unix', 'latin1').matchAll(/@(doublefork-[\da-f-]+)/g);
  const [address] = [...addresses].map(([, name]) => name!);
  const strangers = Array.from({ length: 40 }, () => connect({ path: `\0${address}` }));
  for (const stranger of strangers) {
    stranger.on('error', () => {});
    stranger.write('{"secret":"guess","image":1,"worker":1}\n{"id":1,"names":[]}\nno JSON\n');
  }
  await Promise.all(strangers.map((it) => new Promise((closed) => it.once('close', closed))));
  service.deploy(version('2', ''));
  await service.reload();
  expect(toldBy(service, '2')[0].received.map(({ value }: { value: number }) => value)).toEqual([
    1, 2,
  ]);
  const { workers } = await service.status();
  killQuietly(workers[0]!.pid!);
  await until(
    () => toldBy(service, '2').length === 3,
    'a worker that is started again has it, too',
  );
  expect(toldBy(service, '2').every((it) => it.received.length === 2)).toBe(true);
  expect((await service.stop()).code).toBe(0);
});
