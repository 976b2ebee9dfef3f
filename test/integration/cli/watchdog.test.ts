// A program that the command supervises says how it fares: sd_notify(3), or a newline on descriptor 3.

import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { AF_UNIX, bind, close, MSG_DONTWAIT, recvmsg, SOCK_DGRAM, socket } from 'doublefork/posix';
import { describe, expect, test } from 'vitest';
import { testFork } from '../../support/engine.js';
import { node, root } from '../../support/node.js';
import { stat, until } from '../../support/processes.js';
import { Place } from './command.js';

/** A program for Node that can `tell` its supervisor something. */
function program(place: Place, body: string): string[] {
  const file = join(place.folder, 'program.mjs');
  const posix = JSON.stringify(join(root, 'dist/posix/index.js'));
  writeFileSync(
    file,
    `import fs from 'node:fs';
    import { AF_UNIX, SOCK_DGRAM, sendmsg, socket } from ${posix};
    const fd = socket(AF_UNIX, SOCK_DGRAM);
    const tell = (text) =>
      sendmsg(fd, { data: Buffer.from(text), to: { path: process.env.NOTIFY_SOCKET } });
    ${body}`,
  );
  return ['--', node, file];
}

/** It goes on once a file `go` is there. */
const ONCE_TOLD = `await new Promise((done) => {
  const look = setInterval(() => fs.existsSync('go') && (clearInterval(look), done()), 20);
});`;

const workersOf = async (place: Place) => (await place.status('it'))?.supervisor?.workers ?? [];
const left = (place: Place) =>
  readdirSync(join(place.state, 'it.d')).filter((name) => name.includes('notify'));

describe('the start waits until each of them has said that it is ready', () => {
  test('--ready notify: READY=1, and STATUS= is shown', async () => {
    const place = new Place();
    const body = `${ONCE_TOLD} tell('STATUS=serves 7\\nREADY=1'); setInterval(() => {}, 1000);`;
    const starting = place.launch([
      ...['start', '--name', 'it', '--workers', '2', '--ready', 'notify'],
      ...program(place, body),
    ]);
    const isUp = async () => (await workersOf(place)).length === 2;
    await until(isUp, 'the supervisor');
    expect(await workersOf(place)).toMatchObject([{ state: 'starting' }, { state: 'starting' }]);
    writeFileSync(join(place.folder, 'go'), '');
    const { code, stdout } = await starting.ended;
    const { pid, supervisor } = await place.status('it');
    expect({ code, stdout }).toEqual({ code: 0, stdout: `it runs with pid ${pid}\n` });
    const ready = { state: 'ready', status: 'serves 7', lastExit: null };
    expect(supervisor.workers).toMatchObject([ready, ready]);
    expect(left(place)).toHaveLength(1);
    expect((await place.run('stop', 'it')).code).toBe(0);
    expect(left(place)).toEqual([]);
  });

  testFork('--ready fd: a newline on descriptor 3', async () => {
    const place = new Place();
    const shell = 'while [ ! -e go ]; do sleep 0.02; done; echo >&3; exec sleep 100';
    const words = ['start', '--name', 'it', '--restart', 'always', '--ready', 'fd'];
    const starting = place.launch([...words, '--', 'sh', '-c', shell]);
    await until(async () => (await workersOf(place)).length === 1, 'the supervisor');
    expect(await workersOf(place)).toMatchObject([{ state: 'starting' }]);
    writeFileSync(join(place.folder, 'go'), '');
    expect((await starting.ended).code).toBe(0);
    expect(await workersOf(place)).toMatchObject([{ state: 'ready' }]);
    expect((await place.run('stop', 'it')).code).toBe(0);
  });

  testFork('one that ends before is a failed start, and is not tried again', async () => {
    const place = new Place();
    const shell = 'echo once >> tries; echo no database; exit 3';
    const words = ['start', '--name', 'it', '--restart', 'always', '--ready', 'fd'];
    const { code, stdout, stderr } = await place.run(...words, '--', 'sh', '-c', shell);
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toContain(
      'doublefork: it was not started: the program exited with code 3 before it was ready; see doublefork logs it\n' +
        `It wrote to ${join(place.logs, 'it.log')}:\nno database\n`,
    );
    expect((await place.status('it')).status).toBe('stopped');
    expect((await place.run('list')).stdout).toContain('exited with code 3 before it was ready');
  });

  test('one that is not ready in time is ended', async () => {
    const place = new Place();
    const words = ['start', '--name', 'it', '--restart', 'always', '--ready', 'notify'];
    const started = await place.run(...words, '--timeout', '0.3', '--', 'sleep', '100');
    expect(started).toMatchObject({ code: 1, stdout: '' });
    expect(started.stderr).toContain(
      'it was not started: the program was killed by SIGTERM (not ready) before it was ready',
    );
    expect((await place.status('it')).status).toBe('stopped');
  });

  testFork(
    '--foreground passes it on to the service manager, and the program has none',
    async () => {
      const place = new Place();
      const path = join(place.folder, 'manager');
      const manager = socket(AF_UNIX, SOCK_DGRAM);
      bind(manager, { path });
      const heard = () => {
        try {
          const word = recvmsg(manager, { flags: MSG_DONTWAIT }).data.toString();
          // How long the start may take is no word on how it went.
          return word.startsWith('EXTEND_TIMEOUT_USEC=') ? undefined : word;
        } catch {
          return undefined;
        }
      };
      const shell =
        'echo "[$NOTIFY_SOCKET]" > env; while [ ! -e go ]; do sleep 0.02; done; echo >&3; exec sleep 100';
      const running = place.launch(
        ['start', '--foreground', '--ready', 'fd', '--', 'sh', '-c', shell],
        { env: { NOTIFY_SOCKET: path } },
      );
      await until(() => existsSync(join(place.folder, 'env')), 'the program');
      expect(heard()).toBeUndefined();
      writeFileSync(join(place.folder, 'go'), '');
      const words: (string | undefined)[] = [];
      await until(() => words.push(heard()) > 0 && words.at(-1) !== undefined, 'word');
      expect(words.at(-1)).toContain('READY=1');
      expect(readFileSync(join(place.folder, 'env'), 'utf8')).toBe('[]\n');
      process.kill(running.pid);
      await running.ended;
      close(manager);
    },
  );
});

describe('--watchdog', () => {
  const PINGS = `
    fs.writeFileSync('usec', process.env.WATCHDOG_USEC);
    const pinging = setInterval(() => tell('WATCHDOG=1'), 50);
    process.on('SIGUSR2', () => clearInterval(pinging));
    setInterval(() => {}, 1000);`;
  const start = (place: Place, body: string) =>
    place.run(
      ...['start', '--name', 'it', '--watchdog', '2', '--stop-timeout', '0.3', '--limit', 'core=0'],
      ...program(place, body),
    );

  test('one that falls silent is ended by SIGABRT and started again, and status says why', async () => {
    const place = new Place();
    expect((await start(place, PINGS)).code).toBe(0);
    expect(readFileSync(join(place.folder, 'usec'), 'utf8')).toBe('2000000');
    const [{ pid }] = await workersOf(place);
    process.kill(pid, 'SIGUSR2');
    await until(async () => (await workersOf(place))[0].restarts === 1, 'the restart');
    expect(stat(pid)?.state ?? 'Z').toBe('Z');
    const { stdout } = await place.run('status', 'it');
    expect(stdout).toContain('killed by SIGABRT (watchdog)');
    expect((await place.run('stop', 'it')).code).toBe(0);
  });

  test('then by SIGKILL', async () => {
    const place = new Place();
    expect((await start(place, `${PINGS} process.on('SIGABRT', () => {});`)).code).toBe(0);
    const [{ pid }] = await workersOf(place);
    process.kill(pid, 'SIGUSR2');
    await until(async () => (await workersOf(place))[0].restarts === 1, 'the restart');
    expect((await workersOf(place))[0].lastExit).toBe('killed by SIGKILL (watchdog)');
    expect((await place.run('stop', 'it')).code).toBe(0);
  });
});

test('a supervised program that calls daemonize() itself stays where its supervisor sees it', async () => {
  const place = new Place();
  const index = JSON.stringify(join(root, 'dist/index.js'));
  const body = `const { daemonize } = await import(${index});
    daemonize(); setInterval(() => {}, 1000);`;
  const started = await place.run(
    'start',
    '--name',
    'it',
    '--workers',
    '1',
    ...program(place, body),
  );
  expect(started.code).toBe(0);
  const [{ pid, restarts, state }] = await workersOf(place);
  expect({ restarts, state }).toEqual({ restarts: 0, state: 'ready' });
  expect(stat(pid)?.ppid).toBe((await place.status('it')).pid);
  expect((await place.run('stop', 'it')).code).toBe(0);
});
