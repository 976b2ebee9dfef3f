// doublefork logs.

import { spawn } from 'node:child_process';
import { appendFileSync, renameSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { node } from '../../support/node.js';
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
