// C24 and C33 stop: when it says stopped nothing of the family runs or listens.

import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { stopDaemon } from 'doublefork';
import { describe, expect, test } from 'vitest';
import { ownGroup } from '../../support/cgroup.js';
import { temporaryFolder } from '../../support/folder.js';
import { node } from '../../support/node.js';
import { killQuietly, stat, until } from '../../support/processes.js';
import { start } from '../../support/program.js';
import { COMMAND, Place } from '../cli/command.js';

const has = (command: string) => spawnSync('sh', ['-c', `command -v ${command}`]).status === 0;
const isGone = (pid: number) => (stat(pid)?.state ?? 'Z') === 'Z';

/** A server that says where it listens, and how it was told to end. */
const SERVER = `
const { appendFileSync, writeFileSync } = require('node:fs');
const server = require('node:http').createServer().listen(0, '127.0.0.1', () =>
  writeFileSync('listening', server.address().port + ' ' + process.pid));
process.on('SIGTERM', () => { appendFileSync('told', 'TERM'); if (!process.env.DEAF) process.exit(); });
`;

/** Starts it in some way, and waits until it listens. */
async function serve(program: readonly string[], options = '') {
  const place = new Place();
  writeFileSync(join(place.folder, 'server.js'), SERVER);
  const started = await place.startIt(options, program);
  expect(started).toMatchObject({ code: 0 });
  const file = join(place.folder, 'listening');
  await until(() => existsSync(file) && readFileSync(file, 'utf8').includes(' '), 'it listens');
  const [port, pid] = readFileSync(file, 'utf8').split(' ').map(Number) as [number, number];
  const told = () => readFileSync(join(place.folder, 'told'), 'utf8');
  return { place, port, server: pid, told, pid: (await place.status('it')).pid as number };
}

async function refuses(port: number): Promise<void> {
  const socket = connect(port, '127.0.0.1');
  const [error] = await once(socket, 'error');
  expect(error.code).toBe('ECONNREFUSED');
}

const shell = (script: string) => ['sh', '-c', `${script}; true`];
const run = `"${node}" server.js`;

describe('stop ends what the daemon has started', () => {
  test('behind a shell, which tells nobody', async () => {
    const { place, port, server, pid, told } = await serve(shell(run));
    const { code, stdout } = await place.run('stop', 'it');
    expect({ code, stdout }).toEqual({
      code: 0,
      stdout: `it has stopped (pid ${pid}, SIGTERM); ended what it had left: ${node} server.js (pid ${server}, SIGTERM)\n`,
    });
    expect(isGone(server)).toBe(true);
    expect(told()).toBe('TERM');
    await refuses(port);
  });

  test.skipIf(!has('npm'))('npm start', async () => {
    const place = new Place();
    writeFileSync(join(place.folder, 'server.js'), SERVER);
    writeFileSync(join(place.folder, 'package.json'), '{"scripts":{"start":"node server.js"}}');
    await place.startIt('', ['npm', 'start']);
    const file = join(place.folder, 'listening');
    await until(() => existsSync(file) && readFileSync(file, 'utf8').includes(' '), 'it listens');
    expect((await place.run('stop', 'it')).code).toBe(0);
    await refuses(Number(readFileSync(file, 'utf8').split(' ')[0]));
  });

  test('one that does not listen to TERM is killed, and that is said', async () => {
    const { place, port, server } = await serve(shell(run), '--env DEAF=1');
    const { code, stdout, stderr } = await place.run(
      'stop',
      'it',
      '--schedule',
      'TERM/0.2/KILL/10',
    );
    expect(code).toBe(0);
    expect(stdout).toContain(`server.js (pid ${server}, SIGKILL)\n`);
    expect(stderr).toBe(
      `stopping it: sent SIGTERM to process ${server}\nstopping it: sent SIGKILL to process ${server}\n`,
    );
    await refuses(port);
  });

  test('in a session of its own', async () => {
    const { place, port } = await serve(shell(`setsid -w ${run}`));
    expect((await place.run('stop', 'it')).code).toBe(0);
    await refuses(port);
  });

  test('and has left to init before', async () => {
    const { place, port, server, pid } = await serve(
      shell(`(${run} &) ; while [ ! -e listening ]; do sleep 0.02; done; exec sleep 100`),
    );
    expect(stat(server)?.ppid).not.toBe(pid);
    expect((await place.run('stop', 'it')).code).toBe(0);
    await refuses(port);
  });

  test('also after it has died itself', async () => {
    const { place, port, server, pid } = await serve(shell(run));
    process.kill(pid, 'SIGKILL');
    await until(() => isGone(pid), 'killed');
    const { code, stdout } = await place.run('stop', 'it');
    expect({ code, stdout }).toEqual({
      code: 0,
      stdout: `it was not running; ended what it had left: ${node} server.js (pid ${server}, SIGTERM)\n`,
    });
    await refuses(port);
  });

  test('but not the command that it has started to stop it', async () => {
    const place = new Place();
    const stop = `"${node}" "${COMMAND}" stop it > said`;
    await place.startIt('', shell(`sleep 100 & while [ ! -e go ]; do sleep 0.02; done; ${stop}`));
    const { pid } = await place.status('it');
    writeFileSync(join(place.folder, 'go'), '');
    const said = () => readFileSync(join(place.folder, 'said'), 'utf8');
    await until(() => isGone(pid) && said().endsWith('\n'), 'it has said so');
    expect(said()).toMatch(
      /^it has stopped \(pid \d+, SIGTERM\); ended what it had left: sleep 100 \(pid \d+, SIGTERM\)\n$/,
    );
  });

  test('of one that is known by its pidfile as well', async () => {
    const pidfile = join(temporaryFolder(), 'pid');
    const program = start(
      `const { spawn } = await import('node:child_process');
       const daemon = daemonize({ pidfile: ${JSON.stringify(pidfile)}, keepFds: [3], ready: 'manual' });
       const child = spawn('sleep', ['100'], { detached: true });
       report([process.pid, child.pid]);
       daemon.ready();`,
    );
    const [pid, child] = await program.report();
    await program.exited;
    expect(await stopDaemon({ pidfile })).toEqual({
      pid,
      signals: ['SIGTERM'],
      left: [{ pid: child, command: 'sleep 100', signals: ['SIGTERM'] }],
    });
    expect(isGone(child)).toBe(true);
    await program.ended;
  });
});

test('nobody of a session that was given the number of the daemon’s later is signalled', async () => {
  const place = new Place();
  await place.startIt('--settle 0', ['sleep', '100']);
  await place.run('stop', 'it');
  const other = spawn('sleep', ['100'], { detached: true, stdio: 'ignore' });
  const record = join(place.state, 'it.json');
  const fields = JSON.parse(readFileSync(record, 'utf8'));
  writeFileSync(record, JSON.stringify({ ...fields, session: stat(other.pid!)!.session }));
  expect((await place.run('stop', 'it')).stdout).toBe('it was not running\n');
  expect(isGone(other.pid!)).toBe(false);
  killQuietly(other.pid!);
});

describe('stop ends the control group as well, if the program has one of its own', () => {
  /** In a session of its own, with no parent that is known, and away before anybody has looked. */
  const away =
    'setsid sh -c "sleep 1000 & echo \\$! > away; exit"; while [ ! -s away ]; do sleep 0.02; done';
  const lost = (place: Place) => Number(readFileSync(join(place.folder, 'away'), 'utf8'));

  for (const version of [1, 2] as const) {
    test(`cgroup version ${version}`, async ({ skip }) => {
      const group = ownGroup(version);
      if (group === undefined) return skip('no such group can be made here');
      const place = new Place();
      await place.startIt('', ['sh', '-c', `echo $$ > ${group}; ${away}; exec sleep 1000`]);
      const pid = lost(place);
      // Somebody else who was put there is none of its family.
      const other = spawn('sleep', ['1000'], { stdio: 'ignore' });
      writeFileSync(group, String(other.pid));
      const { stdout } = await place.run('stop', 'it');
      expect(stdout).toContain(`; ended what it had left: sleep 1000 (pid ${pid}, SIGTERM)\n`);
      expect(isGone(pid)).toBe(true);
      expect(isGone(other.pid!)).toBe(false);
      other.kill();
      await once(other, 'exit');
    });
  }

  test('the one that it was started in is not its own', async () => {
    const place = new Place();
    await place.startIt('', ['sh', '-c', `${away}; exec sleep 1000`]);
    expect((await place.run('stop', 'it')).stdout).not.toContain('ended what it had left');
    expect(isGone(lost(place))).toBe(false);
    killQuietly(lost(place));
  });

  test('what the programs of a supervisor have left that was killed', async () => {
    const place = new Place();
    const script = 'sleep 1000 & echo $! > away; wait';
    await place.startIt('--restart always', ['sh', '-c', script]);
    const { pid } = await place.status('it');
    process.kill(pid, 'SIGKILL');
    await until(() => isGone(pid), 'killed');
    const { stdout } = await place.run('stop', 'it');
    expect(stdout).toContain('it was not running; ended what it had left: ');
    expect(stdout).toContain(`sleep 1000 (pid ${lost(place)}, SIGTERM)`);
    expect(isGone(lost(place))).toBe(true);
  });
});

describe('stop of several', () => {
  test('is of all of them at once', async () => {
    const place = new Place();
    // The first ends once the second was told to.
    const first = 'trap "while [ ! -e told ]; do sleep 0.02; done; exit" TERM';
    const second = 'trap "touch told; exit" TERM';
    for (const [name, trap] of [
      ['a', first],
      ['b', second],
    ] as const) {
      const script = `${trap}; while :; do sleep 0.02; done`;
      await place.run('start', '--name', name, '--', 'sh', '-c', script);
    }
    const { code, stdout } = await place.run('stop', '--all', '--schedule', 'TERM/30/KILL/5');
    expect(code).toBe(0);
    expect(stdout).toMatch(
      /^a has stopped \(pid \d+, SIGTERM\).*\nb has stopped \(pid \d+, SIGTERM\)/,
    );
    expect(await place.run('stop', 'a', '--all')).toMatchObject({ code: 1, stdout: '' });
  });

  test('goes on with the others where one cannot be stopped', async () => {
    const place = new Place();
    for (const name of ['a', 'b']) {
      const deaf = name === 'a' ? 'trap "" TERM;' : '';
      const script = `${deaf} touch ${name}; while :; do sleep 0.02; done`;
      await place.run('start', '--name', name, '--', 'sh', '-c', script);
    }
    const { code, stdout, stderr } = await place.run('stop', 'a', 'b', '--schedule', 'TERM/0.2');
    expect(code).toBe(1);
    expect(stderr).toMatch(/^doublefork: a: .*process \d+ still runs after SIGTERM/m);
    expect(stdout).toMatch(/^b has stopped/);
    await place.run('stop', 'a', '--schedule', 'KILL/5');
  });

  test('none', async () => {
    expect(await new Place().run('stop', '--all')).toMatchObject({
      code: 0,
      stdout: 'no daemon was started here\n',
    });
  });
});
