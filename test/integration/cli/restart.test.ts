// doublefork restart: looks before it stops, and starts what was meant.

import {
  chmodSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { node } from '../../support/node.js';
import { until } from '../../support/processes.js';
import { execute } from '../../support/program.js';
import { unprivileged } from '../../support/root.js';
import { COMMAND, Place } from './command.js';

const QUICK = ['--settle', '0'];
const STAY = 'setInterval(() => {}, 1e6);';

/** A program that writes into its log what it is. */
const TELLS = `console.log(JSON.stringify({ version: require('./version.json'), cwd: process.cwd(),
  PWD: process.env.PWD, COLOUR: process.env.COLOUR, SHAPE: process.env.SHAPE }));${STAY}`;

/** What it has written last. */
// biome-ignore lint/suspicious/noExplicitAny: as it was parsed
async function told(place: Place): Promise<any> {
  const { log } = await place.status('it');
  return JSON.parse(readFileSync(log, 'utf8').trim().split('\n').at(-1)!);
}

function release(folder: string, version: number): void {
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'app.js'), TELLS);
  writeFileSync(join(folder, 'version.json'), JSON.stringify(version));
}

describe('what could not be started again is left alone', () => {
  test.each([
    ['its working directory', ['--cwd', 'part'], 'part'],
    ['the directory of its log', ['--log', 'part/it.log'], 'part'],
    ['the directory of its pidfile', ['--pidfile', 'part/it.pid'], 'part'],
    ['its config file', ['--config', 'part/apps.json'], 'part'],
  ])('%s is gone', async (_, options, part) => {
    const place = new Place();
    const folder = join(place.folder, part);
    mkdirSync(folder);
    writeFileSync(
      join(folder, 'apps.json'),
      JSON.stringify({ apps: { it: { program: 'sleep', args: ['100'] } } }),
    );
    const words = options[0] === '--config' ? ['it'] : ['--name', 'it', '--', 'sleep', '100'];
    expect(await place.run('start', ...QUICK, ...options, ...words)).toMatchObject({ code: 0 });
    const { pid } = await place.status('it');
    renameSync(folder, `${folder}.gone`);
    const { code, stdout, stderr } = await place.run('restart', 'it');
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toContain(part);
    renameSync(`${folder}.gone`, folder);
    expect(await place.status('it')).toMatchObject({ status: 'running', pid });
    await place.run('stop', 'it');
  });

  test('its app is not in the config file any more, or has become wrong', async () => {
    const place = new Place();
    const config = join(place.folder, 'doublefork.config.json');
    const write = (apps: object) => writeFileSync(config, JSON.stringify({ apps }));
    write({ it: { program: 'sleep', args: ['100'] }, b: { program: 'sleep', args: ['100'] } });
    await place.run('start', 'it');
    await place.run('start', 'b');
    const { pid } = await place.status('it');
    for (const apps of [
      { b: { program: 'sleep' } },
      { it: { program: 'sleep', user: 'nobody-at-all' }, b: { program: 'sleep' } },
      { it: { program: 'sleep', umask: '999' }, b: { program: 'sleep' } },
    ]) {
      write(apps);
      expect(await place.run('restart', 'it')).toMatchObject({ code: 1, stdout: '' });
      // Nor is anything else stopped.
      expect(await place.run('restart', 'b', 'it')).toMatchObject({ code: 1, stdout: '' });
    }
    expect(await place.status('it')).toMatchObject({ status: 'running', pid });
    await place.run('stop', '--all');
  });

  test('a limit that only root may raise', async () => {
    const place = new Place();
    chmodSync(place.folder, 0o777);
    const [command, ...words] = unprivileged;
    const user = (...args: string[]) =>
      execute(command!, [...words, node, COMMAND, ...args], { cwd: place.folder, env: place.env });
    const limit = ['--limit', 'nofile=100'];
    const started = await user('start', ...QUICK, '--name', 'it', ...limit, '--', 'sleep', '100');
    expect(started).toMatchObject({ code: 0 });
    const record = join(place.state, 'it.json');
    const fields = JSON.parse(readFileSync(record, 'utf8'));
    fields.app.limits = { nofile: 2 ** 30 + 1 };
    writeFileSync(record, JSON.stringify(fields));
    const { code, stdout, stderr } = await user('restart', 'it');
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toContain('only root may raise it');
    expect((await user('status', 'it')).code).toBe(0);
    expect((await user('stop', 'it')).code).toBe(0);
  });
});

test('an app comes from its own config file, not from that of another project', async () => {
  const place = new Place();
  const [mine, other] = ['mine', 'other'].map((name, index) => {
    const folder = join(place.folder, name);
    release(folder, index + 1);
    writeFileSync(
      join(folder, 'doublefork.config.json'),
      JSON.stringify({ apps: { it: { program: './app.js' } } }),
    );
    return folder;
  });
  await place.launch(['start'], { cwd: mine! }).ended;
  expect(await told(place)).toMatchObject({ version: 1 });
  const restarted = await place.launch(['restart', 'it'], { cwd: other! }).ended;
  expect(restarted).toMatchObject({ code: 0 });
  expect(await told(place)).toMatchObject({ version: 1, cwd: mine });
  const config = join(other!, 'doublefork.config.json');
  await place.run('restart', 'it', '--config', config);
  expect(await told(place)).toMatchObject({ version: 2, cwd: other });
  await place.run('stop', 'it');
});

test('it has the environment that it was started with, unless it is to have the present one', async () => {
  const place = new Place();
  release(place.folder, 1);
  const launch = (words: string[], env: Record<string, string>) =>
    place.launch(words, { env }).ended;
  await launch(['start', '--name', 'it', '--env', 'SHAPE=round', '--', './app.js'], {
    COLOUR: 'red',
  });
  expect(await told(place)).toMatchObject({ COLOUR: 'red', SHAPE: 'round' });
  await launch(['restart', 'it'], { COLOUR: 'blue', SHAPE: 'flat' });
  expect(await told(place)).toMatchObject({ COLOUR: 'red', SHAPE: 'round' });
  await launch(['restart', 'it', '--env-update'], { COLOUR: 'blue', SHAPE: 'flat' });
  expect(await told(place)).toMatchObject({ COLOUR: 'blue', SHAPE: 'round' });
  await launch(['restart', 'it'], {});
  expect(await told(place)).toMatchObject({ COLOUR: 'blue', SHAPE: 'round' });
  await place.run('stop', 'it');
});

describe('what was started in a link is started again in what that leads to now', () => {
  test.each([
    ['by the command line', ['start', '--name', 'it', '--', './app.js']],
    ['by a config file', ['start', 'it']],
  ])('%s', async (_, words) => {
    const place = new Place();
    const current = join(place.folder, 'current');
    for (const version of [1, 2]) {
      const folder = join(place.folder, `release-${version}`);
      release(folder, version);
      writeFileSync(
        join(folder, 'doublefork.config.json'),
        JSON.stringify({ apps: { it: { program: './app.js', env: { SHAPE: `${version}` } } } }),
      );
    }
    symlinkSync('release-1', current);
    const { code } = await place.launch(words, { cwd: current, env: { PWD: current } }).ended;
    expect(code).toBe(0);
    expect(await told(place)).toMatchObject({ version: 1, PWD: current });
    rmSync(current);
    symlinkSync('release-2', current);
    expect((await place.launch(['restart', 'it'], { cwd: '/' }).ended).code).toBe(0);
    expect(await told(place)).toMatchObject({
      version: 2,
      cwd: join(place.folder, 'release-2'),
      PWD: current,
      ...(words.at(-1) === 'it' ? { SHAPE: '2' } : {}),
    });
    await place.run('stop', 'it');
  });

  test('a PWD that leads elsewhere is not believed', async () => {
    const place = new Place();
    release(place.folder, 1);
    const words = ['start', '--name', 'it', '--', './app.js'];
    await place.launch(words, { env: { PWD: '/usr' } }).ended;
    expect(await told(place)).toMatchObject({ version: 1, cwd: place.folder, PWD: place.folder });
    await place.run('stop', 'it');
  });
});

test('several are restarted one after the other', async () => {
  const place = new Place();
  for (const name of ['a', 'b']) {
    await place.run('start', ...QUICK, '--name', name, '--', 'sleep', '100');
  }
  const pids = async () => [(await place.status('a')).pid, (await place.status('b')).pid];
  const before = await pids();
  const { code, stdout } = await place.run('restart', '--all');
  expect(code).toBe(0);
  const after = await pids();
  expect(stdout).toBe(
    `a has stopped (pid ${before[0]}, SIGTERM)\na runs with pid ${after[0]}\n` +
      `b has stopped (pid ${before[1]}, SIGTERM)\nb runs with pid ${after[1]}\n`,
  );
  await place.run('stop', '--all');
});

test('where the working directory was removed', async () => {
  const place = new Place();
  const folder = join(place.folder, 'gone');
  const script = 'cd "$1"; rmdir "$1"; shift; exec "$@"';
  const gone = async (...words: string[]) => {
    mkdirSync(folder);
    const command = ['-c', script, 'sh', folder, node, COMMAND, ...words];
    return await execute('sh', command, { env: place.env });
  };
  expect(await gone('stop', 'nobody')).toMatchObject({
    code: 1,
    stderr: expect.stringContaining('no daemon is known as nobody'),
  });
  expect(await gone('start', '--name', 'it', '--', 'sleep', '100')).toMatchObject({
    code: 1,
    stderr: expect.stringContaining('the working directory was removed; say by --cwd'),
  });
  const words = ['start', '--name', 'it', '--cwd', '/'];
  expect(await gone(...words, '--', 'sleep', '100')).toMatchObject({ code: 0, stderr: '' });
  await until(async () => (await place.status('it')).status === 'running', 'it runs');
  for (const command of ['list', 'status', 'restart', 'stop']) {
    expect(await gone(command, ...(command === 'list' ? [] : ['it']))).toMatchObject({
      code: 0,
      stderr: '',
    });
  }
});
