// doublefork start --ready: the launcher returns when the program says so.

import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { hasFork, testFork } from '../../support/engine.js';
import { node } from '../../support/node.js';
import { stat, status, until } from '../../support/processes.js';
import { Terminal } from '../../support/pty.js';
import { COMMAND, Place } from './command.js';

const isRoot = process.getuid?.() === 0;
const has = (command: string) => spawnSync('sh', ['-c', `command -v ${command}`]).status === 0;

/** A shell program that is ready once a file is there. */
const shell = (...steps: string[]) => ['sh', '-c', steps.join('; ')];

describe('--ready fd', () => {
  testFork('a newline on descriptor 3', async () => {
    const place = new Place();
    const program = shell('while [ ! -e go ]; do sleep 0.02; done', 'echo >&3', 'exec sleep 100');
    const starting = place.launch(['start', '--name', 'it', '--ready', 'fd', '--', ...program]);
    await until(() => existsSync(join(place.state, 'it.pid')), 'the pidfile');
    writeFileSync(join(place.folder, 'go'), '');
    const { code, stdout, stderr } = await starting.ended;
    const { pid } = await place.status('it');
    expect({ code, stdout, stderr }).toEqual({
      code: 0,
      stdout: `it runs with pid ${pid}\n`,
      stderr: 'waiting for it to be ready, at most 60 s\n',
    });
    expect(stat(pid)).toMatchObject({ ttyNr: 0 });
    expect((await place.run('stop', 'it')).code).toBe(0);
  });

  testFork('dies before: its code, what it wrote, and nothing is left', async () => {
    const place = new Place();
    const program = shell('echo cannot do that', 'sleep 0.1', 'exit 7');
    const { code, stderr } = await place.startIt('--ready fd', program);
    expect(code).toBe(7);
    expect(stderr).toContain('exited with code 7 before it was ready');
    expect(stderr).toContain('it.log:\ncannot do that\n');
    expect(existsSync(join(place.state, 'it.pid'))).toBe(false);
  });

  testFork('closes it without a newline: is killed', async () => {
    const place = new Place();
    const program = shell('exec 3>&-', 'exec sleep 100');
    const { code, stderr } = await place.startIt('--ready fd', program);
    expect(code).toBe(137);
    expect(stderr).toContain('closed descriptor 3 without a newline before it was ready');
    expect((await place.run('status', 'it')).code).toBe(3);
  });

  testFork('says nothing in time: is killed, and so is what it has started', async () => {
    const place = new Place();
    const program = shell('sleep 100 & sleep 100');
    const started = await place.startIt('--ready fd --timeout 0.3', program);
    expect(started.code).toBe(1);
    expect(started.stderr).toContain('was not ready within 300 ms and was killed');
  });

  testFork('cannot be run: 126, with the reason', async () => {
    const place = new Place();
    writeFileSync(join(place.folder, 'script'), 'echo hello', { mode: 0o755 });
    const { code, stderr } = await place.run('start', '--ready', 'fd', '--', './script');
    expect(code).toBe(126);
    expect(stderr).toContain('has no interpreter in its first line (#!)');
  });
});

describe('--ready notify', () => {
  const withNotify = test.skipIf(!hasFork || !has('systemd-notify'));

  withNotify('READY=1 of systemd-notify', async () => {
    const place = new Place();
    const program = shell(
      'systemd-notify --status=soon',
      'systemd-notify --ready',
      'exec sleep 100',
    );
    const { code, stdout } = await place.startIt('--ready notify', program);
    const { pid } = await place.status('it');
    expect({ code, stdout }).toEqual({ code: 0, stdout: `it runs with pid ${pid}\n` });
    expect(readdirSync(place.state).sort()).toEqual(['.it.lock', 'it.d', 'it.json', 'it.pid']);
    await place.run('stop', 'it');
  });

  withNotify('ERRNO: it gave up, and is ended', async () => {
    const place = new Place();
    const program = shell('systemd-notify ERRNO=13', 'exec sleep 100');
    const { code, stderr } = await place.startIt('--ready notify', program);
    expect(code).toBe(137);
    expect(stderr).toContain('gave up with ERRNO=13 before it was ready');
  });
});

testFork(
  'on a terminal a spinner shows how long it has taken, and Ctrl-C leaves no orphan',
  async () => {
    const place = new Place();
    const words = ['start', '--name', 'it', '--ready', 'fd', '--', 'sleep', '100'];
    const terminal = Terminal.launch(node, [COMMAND, ...words], {
      cwd: place.folder,
      env: { ...place.env, NO_COLOR: '' },
    });
    await until(() => /waiting for it to be ready .*1 s/.test(terminal.output()), 'the spinner');
    const pidfile = join(place.state, 'it.pid');
    let pid = 0;
    await until(() => {
      pid = existsSync(pidfile) ? Number(readFileSync(pidfile, 'latin1')) : 0;
      return pid > 0 && readFileSync(`/proc/${pid}/cmdline`, 'latin1').startsWith('sleep\0');
    }, 'the program');
    terminal.type('\x03');
    expect((await terminal.exited).code).not.toBe(0);
    await until(() => (stat(pid)?.state ?? 'Z') === 'Z', 'the program is gone');
  },
);

test.skipIf(!isRoot)('--user, --group and --limit', async () => {
  const place = new Place();
  const { code } = await place.run(
    ...[
      'start',
      '--name',
      'it',
      '--user',
      'nobody',
      '--limit',
      'nofile=100:200',
      '--limit',
      'core=0',
    ],
    ...[
      '--',
      'sh',
      '-c',
      'echo $USER $HOME $(ulimit -n) $(ulimit -Hn) $(ulimit -c); exec sleep 100',
    ],
  );
  expect(code).toBe(0);
  const { pid, log } = await place.status('it');
  for (const field of ['Uid', 'Gid']) expect(status(pid, field)).toBe('65534\t65534\t65534\t65534');
  expect(status(pid, 'Groups')).toBe('65534');
  await until(() => readFileSync(log, 'utf8').endsWith('\n'), 'the log');
  expect(readFileSync(log, 'utf8')).toBe('nobody /nonexistent 100 200 0\n');
  await place.run('stop', 'it');
});

test('the program has the soft limit on open files that a shell would give it', async () => {
  const place = new Place();
  const words = `ulimit -Sn 256; "$0" "$@"; exit $?`;
  const started = spawnSync(
    'bash',
    [
      '-c',
      words,
      node,
      COMMAND,
      'start',
      '--name',
      'it',
      '--',
      'sh',
      '-c',
      'ulimit -n; exec sleep 100',
    ],
    { env: { ...process.env, ...place.env }, encoding: 'utf8' },
  );
  expect(started.status).toBe(0);
  const { log } = await place.status('it');
  await until(() => readFileSync(log, 'utf8') !== '', 'the log');
  expect(readFileSync(log, 'utf8')).toBe('256\n');
  await place.run('stop', 'it');
});

test('a user that there is not', async () => {
  const place = new Place();
  const { code, stderr } = await place.run('start', '--user', 'nobody-at-all', '--', 'sleep', '1');
  expect(code).toBe(1);
  expect(stderr).toContain('there is no user');
});

test.skipIf(hasFork)('without the fork engine there is nobody to wait for a word', async () => {
  const { code, stderr } = await new Place().run('start', '--ready', 'fd', '--', 'sleep', '1');
  expect(code).toBe(1);
  expect(stderr).toContain("cannot be started with ready: 'fd', which needs the fork engine");
});
