// What supervisors are asked over the control socket, and what they do by themselves while workers
// serve: recycle, scale, watchdog, memory, lifetime.

import { chmodSync, statSync } from 'node:fs';
import { connect } from 'node:net';
import { dirname, join } from 'node:path';
import { ControlClient } from 'doublefork/control';
import { describe, expect, onTestFinished, test } from 'vitest';
import { testFork } from '../../support/engine.js';
import { temporaryFolder } from '../../support/folder.js';
import { node } from '../../support/node.js';
import { stat, until } from '../../support/processes.js';
import { execute, start } from '../../support/program.js';
import { testAsRoot } from '../../support/root.js';
import { decisions, get } from './tools.js';

const STAY = 'setInterval(() => {}, 1e6);';

/** Starts a program whose supervise() has these options and a control socket. */
function supervised(
  options: string,
  worker: string,
  before = '',
  control = join(temporaryFolder(), 'control'),
) {
  const program = start(`
    const { supervise, listen } = doublefork;
    ${before}
    const worker = supervise({ control: '${control}', ${options} });
    ${worker}
  `);
  const ask = async () => {
    const client = await ControlClient.connect(control);
    onTestFinished(() => client.close());
    return client;
  };
  return { program, control, ask };
}

const report = 'report(process.pid);';

describe('control socket', () => {
  test('status tells of each worker; the socket is its owner’s alone; stop ends with the connection', async () => {
    const { program, control, ask } = supervised(
      'workers: 2',
      `worker.status('counting'); ${report} ${STAY}`,
    );
    const pids = [await program.report(), await program.report()].sort();
    const client = await ask();
    expect(statSync(control).mode & 0o777).toBe(0o600);
    const status = await client.status();
    expect(status).toMatchObject({ pid: program.pid, phase: 'running', restarts: 0 });
    expect(status.workers.map(({ pid }) => pid).sort()).toEqual(pids);
    expect(status.workers[0]).toMatchObject({
      id: 1,
      state: 'ready',
      restarts: 0,
      generation: 1,
      status: 'counting',
      lastExit: null,
    });
    expect(status.workers[0]!.rss).toBeGreaterThan(1e6);
    await client.stop();
    await client.closed;
    expect((await program.ended).code).toBe(0);
    expect(() => statSync(control)).toThrow('ENOENT');
  });

  testAsRoot('another user is not answered, even if the socket lets him in', async () => {
    const { program, control } = supervised('', `${report} ${STAY}`);
    await program.report();
    // The directory and the socket are open to everybody: what is left is who asks.
    chmodSync(dirname(control), 0o755);
    chmodSync(control, 0o777);
    const client = `const socket = require('node:net').connect(${JSON.stringify(control)});
      socket.on('error', () => {}).on('close', () => console.log('closed'));
      socket.on('data', (data) => console.log('answered ' + data));
      socket.write('{"command":"status"}\\n');
      socket.on('data', () => socket.end());`;
    const answerTo = (...as: string[]) => execute('setpriv', [...as, node, '-e', client]);
    expect((await answerTo('--reuid=65534', '--clear-groups')).stdout).toBe('closed\n');
    // The client can tell the difference.
    expect((await answerTo('--reuid=0', '--clear-groups')).stdout).toMatch(/^answered \{"ok":true/);
    process.kill(program.pid);
    await program.ended;
  });

  testFork('a supervisor that does not listen holds no worker up', async () => {
    // More than fits into the pipe between them.
    const { program } = supervised(
      `restart: 'never'`,
      `process.kill(process.ppid, 'SIGSTOP');
       for (let i = 0; i < 20; i++) worker.status('x'.repeat(16_000));
       report('not held up');
       process.kill(process.ppid, 'SIGCONT');
       process.exit(0);`,
    );
    const { reports, code } = await program.ended;
    expect({ reports, code }).toEqual({ reports: ['not held up'], code: 0 });
  });

  test('scale and restart', async () => {
    const { program, ask } = supervised('', `${report} ${STAY}`);
    const first = await program.report();
    const client = await ask();
    await client.scale(3);
    await program.report();
    await program.report();
    expect((await client.status()).workers).toHaveLength(3);
    await client.scale(1);
    await client.restart();
    expect(await program.report()).not.toBe(first);
    await client.stop();
    await program.ended;
  });

  test('log gives the decisions so far, and follows', async () => {
    const { program, ask } = supervised('', `${report} ${STAY}`);
    await program.report();
    const events: string[] = [];
    const follower = await ask();
    const following = (async () => {
      for await (const line of follower.log(true)) events.push(JSON.parse(line).event);
    })();
    await (await ask()).stop();
    await following;
    await program.ended;
    expect(events).toEqual(['start', 'ready', 'serving', 'stop', 'end', 'exit', 'stopped']);
  });

  test('nonsense is refused, and harms nobody', async () => {
    const { program, control, ask } = supervised('', `${report} ${STAY}`);
    await program.report();
    for (const text of [
      '{}\n',
      'null\n',
      'x\n',
      '{"command":"scale","workers":-1}\n',
      'y'.repeat(10_000),
    ]) {
      const answer = await new Promise<string>((resolve) => {
        const socket = connect(control, () => socket.write(text));
        socket.setEncoding('utf8').on('data', (data: string) => socket.end(() => resolve(data)));
        socket.on('error', () => resolve('closed'));
        socket.on('close', () => resolve('closed'));
      });
      expect(answer).toMatch(/"ok":false|closed/);
    }
    await (await ask()).stop();
    expect((await program.ended).code).toBe(0);
  });

  test('a second supervisor does not take the socket of a live one', async () => {
    const { program, control, ask } = supervised('', `${report} ${STAY}`);
    await program.report();
    const second = start(`doublefork.supervise({ control: '${control}' });`);
    const { code, stderr } = await second.ended;
    expect(code).toBe(1);
    expect(stderr).toMatch('EADDRINUSE');
    await (await ask()).stop();
    await program.ended;
  });
});

test('a socket whose supervisor was killed is free, even if somebody has a copy of it', async () => {
  const control = join(temporaryFolder(), 'control');
  const killed = start(`
    const { spawn } = await import('node:child_process');
    const fd = posix.socket(posix.AF_UNIX, posix.SOCK_STREAM);
    posix.bind(fd, { path: '${control}' });
    posix.listen(fd);
    const copy = spawn('sleep', ['1000'], { stdio: ['ignore', 'ignore', 'ignore', fd], detached: true });
    report(copy.pid);
    process.exit();
  `);
  const copy = await killed.report();
  await killed.ended;
  const { program, ask } = supervised('', `${report} ${STAY}`, '', control);
  await program.report();
  expect(await (await ask()).status()).toMatchObject({ pid: program.pid });
  process.kill(copy);
  await (await ask()).stop();
  expect((await program.ended).code).toBe(0);
});

describe('replacement', () => {
  const SERVER = `
    const http = await import('node:http');
    const server = http.createServer((request, response) => response.end(String(process.pid)));
    server.listen({ fd: listener.fd }, () => worker.ready());
    worker.signal.addEventListener('abort', () => server.close());
  `;
  const listener = (path: string) => `const listener = listen('http', { path: '${path}' });
    report('bound');`;

  test('recycle: the old one serves until its successor is ready, and no connection is refused', async () => {
    const path = join(temporaryFolder(), 'http');
    const { program, ask } = supervised(`ready: 'manual'`, SERVER, listener(path));
    await program.report();
    const first = await get(path);
    const client = await ask();
    let recycling = true;
    const done = client.recycle().finally(() => {
      recycling = false;
    });
    while (recycling) await get(path).catch((error) => expect(error.code).not.toBe('ECONNREFUSED'));
    await done;
    // It was told to end; what it takes from the common socket until it has heard, it still answers.
    await until(() => stat(Number(first)) === undefined, 'the end of the old one');
    expect(await get(path)).not.toBe(first);
    await client.stop();
    await program.ended;
  });

  test('a successor that fails is reported with its error, and the old one goes on', async () => {
    const path = join(temporaryFolder(), 'http');
    const { program, ask } = supervised(
      `ready: 'manual'`,
      `if (worker.generation > 1) throw new Error('bad configuration'); ${SERVER}`,
      listener(path),
    );
    await program.report();
    const first = await get(path);
    const client = await ask();
    await expect(client.recycle()).rejects.toThrow('bad configuration');
    expect(await get(path)).toBe(first);
    await client.stop();
    expect((await program.ended).code).toBe(0);
  });

  test('connections wait while the only worker is killed and forked again', async () => {
    const path = join(temporaryFolder(), 'http');
    const { program, ask } = supervised('minUptime: 0', SERVER, listener(path));
    await program.report();
    for (let i = 0; i < 20; i++) {
      process.kill(Number(await get(path)), 'SIGKILL');
    }
    await get(path);
    await (await ask()).stop();
    await program.ended;
  });

  test('a worker that is too old is replaced', async () => {
    const { program, ask } = supervised('maxLifetime: 100, lifetimeJitter: 0', `${report} ${STAY}`);
    expect(await program.report()).not.toBe(await program.report());
    await (await ask()).stop();
    const told = decisions(await program.ended);
    expect(told.find(({ event }) => event === 'replace')).toMatchObject({ reason: 'lifetime' });
    expect(told.filter(({ event }) => event === 'backoff')).toEqual([]);
  });

  test('a worker that takes too much memory is replaced', async () => {
    const { program, ask } = supervised(
      'memoryLimit: 400e6',
      `${report} if (worker.generation === 1) globalThis.much = Buffer.alloc(500e6, 1); ${STAY}`,
    );
    const first = await program.report();
    expect(await program.report()).not.toBe(first);
    await (await ask()).stop();
    expect(decisions(await program.ended, 'replace')).toMatchObject([{ reason: 'memory' }]);
  });
});

describe('watchdog', () => {
  // The other one lives longer than the timeout beside it. That is long enough for a machine that is
  // late by a second.
  const TIMEOUT = 2000;
  const PAST = 1.5 * TIMEOUT;

  test.each([
    [
      'a blocked event loop is aborted, one that turns is not',
      TIMEOUT,
      'Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0)',
      '',
    ],
    [
      'with manual pings it is the worker who says',
      `{ timeout: ${TIMEOUT}, ping: 'manual' }`,
      '',
      'setInterval(() => worker.ping(), 50)',
    ],
  ])('%s', async (_name, watchdog, silent, talking) => {
    const { program } = supervised(
      `workers: 2, watchdog: ${watchdog}`,
      `if (worker.id === 2) {
        ${talking};
        setTimeout(() => report('past'), ${PAST});
      } else {
        ${report}
        if (worker.generation === 1) { ${silent} }
        else { ${talking} }
      }
      ${STAY}`,
    );
    const first = await program.report();
    const reports = [await program.report(), await program.report()];
    expect(reports).toContain('past');
    expect(reports).not.toContain(first);
    expect(stat(first)).toBeUndefined();
    process.kill(program.pid);
    const ends = decisions(await program.ended, 'end').filter(({ cause }) => cause === 'watchdog');
    expect(ends).toMatchObject([{ worker: 1, workerPid: first, signal: 'SIGABRT' }]);
  });

  test('a worker that is stopped is killed', async () => {
    const { program } = supervised('watchdog: 300, stopTimeout: 200', `${report} ${STAY}`);
    const first = await program.report();
    process.kill(first, 'SIGSTOP');
    await program.report();
    expect(stat(first)).toBeUndefined();
    process.kill(program.pid);
    await program.ended;
  });
});
