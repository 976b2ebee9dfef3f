// What is known about daemons: the same in every session, true after a reboot, and one command at a time.

import { spawn, spawnSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { ProcessHandle } from '../../../src/control/handle.js';
import { temporaryFolder } from '../../support/folder.js';
import { node } from '../../support/node.js';
import { stat, until } from '../../support/processes.js';
import { execute } from '../../support/program.js';
import { unprivileged } from '../../support/root.js';
import { COMMAND, Place } from './command.js';

const QUICK = ['--settle', '0'];

/** Someone else, whom nobody may signal. */
function bystander() {
  const child = spawn('sleep', ['100'], { stdio: 'ignore' });
  const lives = () => /[SRD]/.test(stat(child.pid!)?.state ?? 'Z');
  const { startTime } = stat(child.pid!)!;
  return { pid: child.pid!, startTime, lives, [Symbol.dispose]: () => child.kill('SIGKILL') };
}

describe('a number that was given to another process since is not taken for the daemon', () => {
  /** A daemon that has ended, with other facts in its record. */
  async function recorded(facts: (fields: { startTime: number; boot: string }) => object) {
    const place = new Place();
    await place.startIt('--settle 0', ['sleep', '100']);
    await place.run('stop', 'it');
    const file = join(place.state, 'it.json');
    const fields = JSON.parse(readFileSync(file, 'utf8'));
    writeFileSync(file, JSON.stringify({ ...fields, ...facts(fields) }));
    return place;
  }

  /** Nobody is found, signalled, or in the way. */
  async function isNobody(place: Place): Promise<void> {
    expect(await place.status('it')).toMatchObject({ status: 'stopped', pid: null });
    for (const command of ['stop', 'reload']) await place.run(command, 'it');
    expect(await place.startIt('--settle 0', ['sleep', '100'])).toMatchObject({ code: 0 });
    await place.run('stop', 'it');
  }

  test('by its start time', async () => {
    using other = bystander();
    const { pid, startTime } = other;
    await isNobody(await recorded(() => ({ pid, startTime: startTime - 1 })));
    expect(other.lives()).toBe(true);
  });

  test('by the boot, of which there was another one since', async () => {
    using other = bystander();
    const { pid, startTime } = other;
    const boot = '00000000-0000-0000-0000-000000000000';
    await isNobody(await recorded(() => ({ pid, startTime, boot })));
    expect(other.lives()).toBe(true);
  });

  test('which is what the tests above change: with the right ones it is the daemon', async () => {
    using other = bystander();
    const { pid, startTime } = other;
    const place = await recorded(() => ({ pid, startTime }));
    expect(await place.status('it')).toMatchObject({ status: 'running', pid });
  });

  test('between the look and the hold', () => {
    using other = bystander();
    const { pid, startTime } = other;
    expect(ProcessHandle.open({ pid, startTime: startTime - 1 })).toBeUndefined();
    using handle = ProcessHandle.open({ pid, startTime });
    expect(handle?.ended).toBe(false);
  });
});

describe('a user without rights', () => {
  /** The command in a session of its own, with the variables that it has there. */
  function session(home: string, words: readonly string[], env: Record<string, string> = {}) {
    const [command, ...before] = unprivileged;
    const variables = Object.entries({ HOME: home, NO_COLOR: '1', ...env }).map((pair) =>
      pair.join('='),
    );
    // Not this process's own.
    const without = [
      'env',
      '-u',
      'RUNTIME_DIRECTORY',
      '-u',
      'LOGS_DIRECTORY',
      '-u',
      'XDG_RUNTIME_DIR',
      '-u',
      'XDG_STATE_HOME',
    ];
    const self = [...without, ...variables, node, COMMAND, ...words];
    return execute(command!, [...before, ...self], { cwd: home });
  }

  // The tests' own user may have a home, which is not theirs to write to.
  const test_ = test.skipIf(unprivileged[0] === 'env');

  function home(): string {
    const folder = temporaryFolder();
    chmodSync(folder, 0o777);
    return folder;
  }

  test_('sees the same daemons from every session', async () => {
    const folder = home();
    const runtime = join(folder, 'runtime');
    mkdirSync(runtime);
    chmodSync(runtime, 0o777);
    const login = { XDG_RUNTIME_DIR: runtime, XDG_STATE_HOME: join(folder, 'state') };
    const start = ['start', ...QUICK, '--name', 'it', '--', 'sleep', '100'];
    expect(await session(folder, start, login)).toMatchObject({ code: 0 });
    // As cron has it, and as it is after the logout.
    expect(await session(folder, ['status', 'it'])).toMatchObject({ code: 0 });
    expect(await session(folder, start)).toMatchObject({ code: 1 });
    expect(await session(folder, ['stop', 'it'])).toMatchObject({ code: 0 });
    expect(await session(folder, ['status', 'it'], login)).toMatchObject({ code: 3 });
  });

  test_('finds those that were started when their state was in another place', async () => {
    const folder = home();
    const runtime = join(folder, 'runtime');
    mkdirSync(runtime);
    chmodSync(runtime, 0o777);
    const start = ['start', ...QUICK, '--name', 'it', '--', 'sleep', '100'];
    const former = { XDG_RUNTIME_DIR: runtime };
    await session(folder, start, { RUNTIME_DIRECTORY: join(runtime, 'doublefork') });
    expect((await session(folder, ['list', '-q'], former)).stdout).toBe('it\n');
    expect(await session(folder, start, former)).toMatchObject({ code: 1 });
    expect(await session(folder, ['restart', 'it'], former)).toMatchObject({ code: 0 });
    expect(await session(folder, ['stop', 'it'])).toMatchObject({ code: 0 });
    // Nobody else's: what it says would be started.
    renameSync(join(runtime, 'doublefork'), join(runtime, 'away'));
    const planted = join(runtime, 'doublefork');
    mkdirSync(planted);
    writeFileSync(join(planted, 'evil.json'), '{}', { mode: 0o644 });
    expect((await session(folder, ['list', '-q'], former)).stdout).toBe('it\n');
  });
});

describe('two commands at once', () => {
  test('a restart waits for the one before, and says so', async () => {
    const place = new Place();
    // It ends when it is let.
    const script =
      'trap "while [ ! -e go ]; do sleep 0.02; done; exit" TERM; touch there; while :; do sleep 0.02; done';
    const there = join(place.folder, 'there');
    await place.startIt('', ['sh', '-c', script]);
    const { pid } = await place.status('it');
    await until(() => existsSync(there), 'it listens');
    const first = place.launch(['restart', 'it']);
    await until(
      () => existsSync(join(place.state, '.it.lock')) && lockedBy(place) === first.pid,
      'begun',
    );
    let said = '';
    const second = spawn(node, [COMMAND, 'restart', 'it'], {
      cwd: place.folder,
      env: { ...process.env, ...place.env },
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    second.stderr.setEncoding('utf8').on('data', (text: string) => {
      said += text;
    });
    const ended = new Promise<number | null>((resolve) => second.on('close', resolve));
    await until(() => said !== '', 'it waits');
    expect(said).toBe(`waiting for another command (pid ${first.pid}) that is about it\n`);
    writeFileSync(join(place.folder, 'go'), '');
    // The second stops what the first has started, maybe before that has counted as started.
    expect((await first.ended).stdout).toContain(`it has stopped (pid ${pid}, SIGTERM)`);
    expect(await ended).toBe(0);
    const now = await place.status('it');
    expect(now.status).toBe('running');
    expect(now.pid).not.toBe(pid);
    expect((await place.run('stop', 'it')).code).toBe(0);
  });

  test('a program that is waited for can be stopped meanwhile', async () => {
    const place = new Place();
    const words = ['start', '--name', 'it', '--settle', '60', '--', 'sleep', '100'];
    const starting = place.launch(words);
    await until(() => existsSync(join(place.state, 'it.json')), 'it runs');
    expect((await place.run('stop', 'it')).code).toBe(0);
    expect((await starting.ended).code).not.toBe(0);
  });
});

function lockedBy(place: Place): number {
  const locked =
    spawnSync('flock', ['--nonblock', join(place.state, '.it.lock'), 'true']).status !== 0;
  return locked ? Number(readFileSync(join(place.state, '.it.lock'), 'utf8').split('\n')[0]) : 0;
}
