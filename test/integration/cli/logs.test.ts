// doublefork logs.

import { execFileSync, spawn } from 'node:child_process';
import {
  appendFileSync,
  renameSync,
  rmSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { expect, test } from 'vitest';
import { node, root } from '../../support/node.js';
import { until } from '../../support/processes.js';
import { COMMAND, Place } from './command.js';

async function withLog(content: string) {
  const place = new Place();
  const log = join(place.folder, 'it.log');
  await place.run('start', '--name', 'it', '--log', log, '--', 'sleep', '100');
  await place.run('stop', 'it');
  writeFileSync(log, content);
  return { place, log };
}

const lines = (from: number, to: number) =>
  Array.from({ length: to - from + 1 }, (_, n) => `line ${from + n}\n`).join('');

test('the last ten lines, or as many as asked for', async () => {
  const { place, log } = await withLog(lines(1, 30_000));
  const last = async (...args: string[]) => (await place.run('logs', 'it', ...args)).stdout;
  expect(await last()).toBe(lines(29_991, 30_000));
  expect(await last('-n', '1')).toBe('line 30000\n');
  expect(await last('-n', '0')).toBe('');
  expect(await last('--lines', '25000')).toBe(lines(5001, 30_000));
  expect(await last('-n', '99999')).toBe(lines(1, 30_000));
  writeFileSync(log, 'a\nb\nno newline');
  expect(await last('-n', '2')).toBe('b\nno newline');
  writeFileSync(log, '');
  expect(await last()).toBe('');
});

test('-f goes on: more lines, a log that was moved away, one that was emptied', async () => {
  const { place, log } = await withLog('one\n');
  const child = spawn(node, [COMMAND, 'logs', '-f', 'it'], {
    env: { ...process.env, ...place.env },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let said = '';
  child.stdout.setEncoding('utf8').on('data', (text) => {
    said += text;
  });
  try {
    await until(() => said === 'one\n', 'one');
    appendFileSync(log, 'two\n');
    await until(() => said === 'one\ntwo\n', 'two');
    renameSync(log, `${log}.1`);
    writeFileSync(log, 'three\n');
    await until(() => said.endsWith('three\n'), 'three');
    truncateSync(log);
    await until(() => said.endsWith('three\n'), 'emptied');
    // Shorter than what was read of the old one.
    writeFileSync(log, '4\n');
    await until(() => said === 'one\ntwo\nthree\n4\n', 'four');
  } finally {
    child.kill();
  }
});

test('no log: says where it should be', async () => {
  const { place, log } = await withLog('');
  rmSync(log);
  const { code, stderr } = await place.run('logs', 'it');
  expect(code).toBe(1);
  expect(stderr).toMatch(
    /^doublefork: cannot open .*\/it\.log: there is no such file or directory\n$/,
  );
});

const json = (level: number, time: number, msg: string, more: object = {}) =>
  `${JSON.stringify({ level, time, ...more, msg })}\n`;

test('rotated files are read too, compressed ones, by the names of the logger and of logrotate', async () => {
  const { place, log } = await withLog(lines(31, 40));
  writeFileSync(`${log}.2.gz`, gzipSync(lines(1, 10)));
  writeFileSync(`${log}.1`, lines(11, 20));
  writeFileSync(`${log}.20260101T000000.000000Z.gz`, gzipSync(lines(21, 30)));
  writeFileSync(`${log}.mine`, 'not a rotated one\n');
  const hour = (ago: number) => Date.now() / 1000 - ago * 3600;
  utimesSync(`${log}.2.gz`, hour(3), hour(3));
  utimesSync(`${log}.1`, hour(2), hour(2));
  utimesSync(`${log}.20260101T000000.000000Z.gz`, hour(1), hour(1));
  const said = async (...args: string[]) => (await place.run('logs', 'it', ...args)).stdout;
  expect(await said('-n', '25')).toBe(lines(16, 40));
  expect(await said('-n', '99')).toBe(lines(1, 40));
  expect(await said('--grep', 'line .*5$')).toBe('line 5\nline 15\nline 25\nline 35\n');
  expect(await said('--grep', 'line .*5$', '-n', '2')).toBe('line 25\nline 35\n');
});

test('by time, level and worker; several daemons merged by time', async () => {
  const { place, log } = await withLog('');
  const now = Date.now();
  writeFileSync(
    log,
    json(30, now - 3_600_000, 'old') +
      json(50, now - 60_000, 'bad', { worker: 2 }) +
      '    at a line of a stack\n' +
      json(30, now - 20_000, 'new', { worker: 1 }),
  );
  const other = join(place.folder, 'other.log');
  await place.run('start', '--name', 'other', '--log', other, '--', 'sleep', '100');
  await place.run('stop', 'other');
  writeFileSync(other, `${new Date(now - 40_000).toISOString()} between\n`);
  const said = async (...args: string[]) => (await place.run('logs', ...args)).stdout;
  expect((await said('it', '--since', '10min')).match(/"msg":"\w+"|stack/g)).toEqual([
    '"msg":"bad"',
    'stack',
    '"msg":"new"',
  ]);
  expect(await said('it', '--until', '30min')).toContain('old');
  expect((await said('it', '--level', 'warn')).trim().split('\n')).toHaveLength(1);
  expect(await said('it', '--worker', '1')).toContain('"new"');
  expect(
    (await said('it', 'other', '--since', '10min')).split('\n').map((line) => line.slice(0, 8)),
  ).toEqual(['it    | ', 'it    | ', 'other | ', 'it    | ', '']);
  const { code, stderr } = await place.run('logs', 'it', '--since', 'yesterdayish');
  expect(code).toBe(2);
  expect(stderr).toContain('10min');
});

test('the log of a program that has one of its own, captured or not; and of a start that failed', async () => {
  const place = new Place();
  for (const log of ["'OWN'", "{ file: 'OWN', maxSize: 1e6 }"]) {
    const own = join(place.folder, 'own.log');
    const program = `import('${join(root, 'dist/index.js')}').then(({ daemonize }) => {
      daemonize({ log: ${log.replace('OWN', own)} }); console.log('in its own'); setInterval(() => {}, 1e6); });`;
    await place.startIt('', [node, '-e', program]);
    await until(
      async () => (await place.run('logs', 'it')).stdout.endsWith('in its own\n'),
      'it is found',
    );
    await place.run('stop', 'it');
    rmSync(own);
  }
  const { code, stderr } = await place.startIt('--log-format iso', [
    node,
    '-e',
    'console.log("why it failed"); process.exit(3)',
  ]);
  expect(code).toBe(3);
  expect(stderr).toContain('why it failed');
  expect((await place.run('logs', 'it')).stdout).toMatch(/^\d{4}-.*Z why it failed$/m);
});

test('on a terminal lines of JSON are for people, with --json they are not', async () => {
  const { place } = await withLog(
    json(40, Date.UTC(2026, 0, 1), 'take \u001b[31mcare', { name: 'shop', worker: 2, a: 1 }) +
      'plain\n',
  );
  const tty = (...args: string[]) =>
    execFileSync('script', ['-qec', `${node} ${COMMAND} logs it ${args.join(' ')}`, '/dev/null'], {
      env: { ...process.env, ...place.env, TZ: 'UTC' },
      encoding: 'utf8',
    }).replaceAll('\r', '');
  expect(tty()).toBe('2026-01-01 00:00:00.000 WARN  (shop/2) take  [31mcare a=1\nplain\n');
  expect(tty('--json')).toContain('{"level":40');
});

test('what cannot be understood is said; and what fits logrotate is known only of what runs', async () => {
  const { place } = await withLog('');
  const refused = async (...args: string[]) => (await place.run(...args)).stderr;
  expect(await refused('logs', 'it', '--since', 'soon')).toContain(
    'It must be a time, such as 2026-11-25T14:30, or how long ago: 30s, 10min, 2h, 1d.',
  );
  expect(await refused('logs', 'it', '--grep', '(')).toContain('It must be a regular expression:');
  expect(await refused('logs', 'it', '--level', 'loud')).toContain('It must be one of trace');
  expect(await refused('logrotate', 'it')).toContain(
    'is not running, and whether it opens its log again on SIGUSR2 is not known; start it first',
  );
});

test('of a log that is no file it says where to read it, and there is nothing to rotate', async () => {
  const place = new Place();
  const config = join(place.folder, 'doublefork.json');
  const app = { program: 'sleep', args: ['100'], log: 'journal' };
  writeFileSync(config, JSON.stringify({ apps: { it: app } }));
  const logs = await place.run('logs', '--config', config, 'it');
  expect(logs).toMatchObject({ code: 1, stdout: '' });
  expect(logs.stderr).toContain('it writes no file; read its entries with: journalctl -t it');
  const rotation = await place.run('logrotate', '--config', config, 'it');
  expect(rotation.code).toBe(1);
  expect(rotation.stderr).toContain('it writes to journal, which sees to its own rotation');
  writeFileSync(config, JSON.stringify({ apps: { it: { ...app, logMaxSize: '1M' } } }));
  const start = await place.run('start', '--config', config);
  expect(start.code).toBe(1);
  expect(start.stderr).toContain('logMaxSize is for a log that is a file, and this one is journal');
});
