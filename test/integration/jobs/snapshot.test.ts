// snapshot(): a picture of memory in a file, from a copy of the process.

import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { temporaryFolder } from '../../support/folder.js';
import { run } from '../../support/program.js';

const PROGRAM = `
const { snapshot } = doublefork;
const [folder] = process.argv.slice(1);
const file = folder + '/state.json';
const failed = async (promise) => { try { await promise; return 'nothing'; } catch (error) { return error; } };
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
`;

async function program(folder: string, source: string) {
  const { code, reports, stderr } = await run(PROGRAM + source, { args: [folder] });
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  return reports;
}

test('what is written is the memory at the call, however it changes meanwhile', async () => {
  const folder = temporaryFolder();
  const reports = await program(
    folder,
    `
    const state = Array.from({ length: 20_000 }, (_, id) => ({ id, version: 1 }));
    const done = snapshot(file, ({ write }) => {
      for (const entry of state) write(JSON.stringify(entry) + '\\n');
    });
    for (const entry of state) entry.version = 2;
    const { path, bytes } = await done;
    report([path === file, bytes === fs.statSync(file).size]);
    await snapshot(folder + '/second', async ({ write }) => { await sleep(5); write(Buffer.from([0, 255])); });
  `,
  );
  expect(reports).toEqual([[true, true]]);
  const lines = readFileSync(join(folder, 'state.json'), 'utf8').trimEnd().split('\n');
  expect(lines).toHaveLength(20_000);
  expect(lines.every((line) => JSON.parse(line).version === 1)).toBe(true);
  expect(statSync(join(folder, 'state.json')).mode & 0o777).toBe(0o600);
  expect([...readFileSync(join(folder, 'second'))]).toEqual([0, 255]);
  expect(readdirSync(folder).toSorted()).toEqual(['second', 'state.json']);
});

test('one that fails in any way leaves the file that was there, and nothing else', async () => {
  const folder = temporaryFolder();
  writeFileSync(join(folder, 'state.json'), 'old');
  const reports = await program(
    folder,
    `
    const show = (error) => report(error.code ?? error.message);
    show(await failed(snapshot(file, ({ write }) => { write('half'); throw new Error('thrown'); })));
    show(await failed(snapshot(file, ({ write }) => { write(Buffer.alloc(3_000_000)); process.kill(process.pid, 'SIGKILL'); })));
    show(await failed(snapshot(file, async ({ write }) => { write(Buffer.alloc(3_000_000)); await sleep(60_000); }, { timeout: 50 })));
    show(await failed(snapshot(file, ({ write }) => { write('x'); return sleep(1); })));
    show(await failed(snapshot(folder + '/none/state', ({ write }) => write('x'))));
    show(await failed(snapshot('/dev/full/state', ({ write }) => write('x'))));
  `,
  );
  expect(reports).toEqual([
    'thrown',
    'ERR_JOB_EXITED',
    'ERR_JOB_TIMEOUT',
    'ERR_JOB_NOT_ASYNC',
    'ENOENT',
    'ENOTDIR',
  ]);
  expect(readFileSync(join(folder, 'state.json'), 'utf8')).toBe('old');
  expect(readdirSync(folder)).toEqual(['state.json']);
});

test('never two of one file at once, unless asked', async () => {
  const folder = temporaryFolder();
  const reports = await program(
    folder,
    `
    const slow = async ({ write }) => { await sleep(100); write('slow'); };
    const first = snapshot(file, slow);
    report((await failed(snapshot(folder + '/./state.json', slow))).code);
    const other = snapshot(folder + '/other', slow);
    const second = snapshot(file, slow, { concurrent: true });
    report((await Promise.all([first, other, second])).map(({ bytes }) => bytes));
    report((await snapshot(file, slow)).bytes);
  `,
  );
  expect(reports).toEqual(['ERR_SNAPSHOT_RUNNING', [4, 4, 4], 4]);
});
