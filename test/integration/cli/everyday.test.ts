// What people type without thinking.

import { spawn } from 'node:child_process';
import { appendFileSync, existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { testFork } from '../../support/engine.js';
import { node, root } from '../../support/node.js';
import { stat, until } from '../../support/processes.js';
import { execute } from '../../support/program.js';
import { testAsRoot } from '../../support/root.js';
import { COMMAND, Place } from './command.js';

const killed = async (place: Place, name: string) => {
  const { pid } = await place.status(name);
  process.kill(pid, 'SIGKILL');
  await until(() => (stat(pid)?.state ?? 'Z') === 'Z', 'killed');
  return pid;
};

test('start file.js needs no --, and start NAME starts again what has stopped', async () => {
  const place = new Place();
  writeFileSync(
    join(place.folder, 'app.js'),
    'console.log(process.argv.slice(2).join()); setInterval(() => {}, 1e6)',
  );
  expect(await place.run('start', 'app.js', 'one', 'two')).toMatchObject({ code: 0, stderr: '' });
  const logged = async () => (await place.run('logs', 'app')).stdout;
  await until(async () => (await logged()) === 'one,two\n', 'the log');
  const second = await place.run('start', 'app');
  expect(second).toMatchObject({ code: 1, stdout: '' });
  expect(second.stderr).toMatch(/^doublefork: app is already running \(pid \d+\)\n$/);
  await place.run('stop', 'app');
  expect(await place.run('start', 'app')).toMatchObject({ code: 0, stderr: '' });
  await until(async () => (await logged()) === 'one,two\none,two\n', 'the log');
  await place.run('stop', 'app');
  const unknown = await place.run('start', 'nobody');
  expect(unknown.code).toBe(1);
  expect(unknown.stderr).toBe(
    'doublefork: no daemon is known as nobody: none was started under that name, and there is no config file here; to start a program: doublefork start -- nobody\n',
  );
});

test('status without a name shows all; ls is list, -v the version', async () => {
  const place = new Place();
  expect(await place.run('status')).toMatchObject({ code: 3, stdout: 'no daemon is known here\n' });
  await place.run('start', '--name', 'a', '--', 'sleep', '100');
  await place.run('start', '--name', 'b', '--', 'sleep', '100');
  const both = await place.run('status');
  expect(both.code).toBe(0);
  expect(both.stdout).toMatch(/^NAME.*\na +running .*\nb +running .*\n$/);
  expect((await place.run('ls', '-q')).stdout).toBe('a\nb\n');
  expect((await place.run('-v')).stdout).toMatch(/^\d+\.\d+\.\d+\n$/);
  const top = await place.run('top', '--count', '1');
  expect(top.code).toBe(0);
  expect(top.stdout).toMatch(/^NAME.*\na +running .*\nb +running .*\n$/);
  await place.run('stop', 'b');
  expect((await place.run('status')).code).toBe(3);
  await place.run('stop', '--all');
});

test('logs of several stand under their names, as of tail', async () => {
  const place = new Place();
  mkdirSync(place.logs);
  for (const name of ['a', 'b']) writeFileSync(join(place.logs, `${name}.log`), `1\n${name}\n`);
  expect(await place.run('logs', '-n', '1', 'a', 'b')).toMatchObject({
    code: 0,
    stdout: '==> a <==\na\n\n==> b <==\nb\n',
  });
  const child = spawn(node, [COMMAND, 'logs', '-f', '-n', '1', 'a', 'b'], {
    env: { ...process.env, ...place.env },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let said = '';
  child.stdout.setEncoding('utf8').on('data', (text) => {
    said += text;
  });
  try {
    await until(() => said.endsWith('==> b <==\nb\n'), 'both');
    appendFileSync(join(place.logs, 'b.log'), 'more\n');
    await until(() => said.endsWith('==> b <==\nb\nmore\n'), 'more of the same');
    appendFileSync(join(place.logs, 'a.log'), 'more\n');
    await until(() => said.endsWith('more\n\n==> a <==\nmore\n'), 'more of the other');
  } finally {
    child.kill();
  }
});

test('delete forgets what has stopped, and refuses what runs, unless it is to stop it', async () => {
  const place = new Place();
  await place.run('start', '--name', 'a', '--', 'sleep', '100');
  await place.run('start', '--name', 'b', '--', 'sleep', '100');
  await place.run('stop', 'a');
  expect(await place.run('delete', 'a', 'b')).toMatchObject({
    code: 1,
    stdout: '',
    stderr: 'doublefork: b is running; stop it first, or give --force. Nothing was forgotten\n',
  });
  expect((await place.run('list', '-q')).stdout).toBe('a\nb\n');
  expect(await place.run('delete', 'a')).toMatchObject({ code: 0, stdout: 'a is forgotten\n' });
  const pid = await killed(place, 'b');
  expect((await place.run('status', 'b')).stdout).toContain(
    `b: ended without a word (the pidfile is left over: process ${pid} does not exist); see doublefork logs b`,
  );
  expect((await place.run('delete', 'b')).code).toBe(0);
  await place.run('start', '--name', 'c', '--', 'sleep', '100');
  const { pid: running } = await place.status('c');
  const forced = await place.run('delete', '--all', '--force', '--json');
  expect(JSON.parse(forced.stdout)).toEqual([{ name: 'c', pid: running }]);
  expect(stat(running)?.state ?? 'Z').toBe('Z');
  expect(readdirSync(place.state).filter((file) => !file.startsWith('.'))).toEqual([]);
});

testFork(
  'a start that failed is in the list, with how it ended; in JSON an error is an object',
  async () => {
    const place = new Place();
    const program = ['--', 'sh', '-c', 'echo oh no >&2; exit 3'];
    const plain = await place.run('start', '--name', 'bad', ...program);
    expect(plain.code).toBe(3);
    expect(plain.stderr).toMatch(
      /^doublefork: the program \(pid \d+\) exited with code 3 at once\n/,
    );
    const { stdout } = await place.run('list');
    expect(stdout).toMatch(
      /^bad: the program \(pid \d+\) exited with code 3 at once; see doublefork logs bad$/m,
    );
    const json = await place.run('start', '--json', '--name', 'bad', ...program);
    expect(json).toMatchObject({ code: 3, stdout: '' });
    expect(JSON.parse(json.stderr)).toEqual({
      error: expect.stringMatching(
        /^the program \(pid \d+\) exited with code 3 at once\n.*\noh no$/,
      ),
      code: 'ERR_START_FAILED',
    });
    expect(await place.run('start', '--name', 'bad', '--', 'sleep', '100')).toMatchObject({
      code: 0,
    });
    expect((await place.run('list')).stdout).not.toContain('exited');
    await place.run('stop', 'bad');
  },
);

testAsRoot('a full state directory leaves no temporary file', async () => {
  const place = new Place();
  mkdirSync(place.state);
  const script = `
    mount -t tmpfs -o size=4k,mode=755 none "$1" && cat /dev/zero > "$1/full" 2>/dev/null
    "$2" "$3" start --name it -- sleep 100; echo "$?"; ls "$1"`;
  const args = ['--mount', 'sh', '-c', script, '-', place.state, node, COMMAND];
  const { stdout, stderr } = await execute('unshare', args, { cwd: root, env: place.env });
  expect(stdout).toBe('1\nfull\n');
  expect(stderr).toMatch(
    /^doublefork: cannot write the (pidfile|record) .*: no space is left on the device\n$/,
  );
  expect(existsSync(join(place.state, 'it.json'))).toBe(false);
});
