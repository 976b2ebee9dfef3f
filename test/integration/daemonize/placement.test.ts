// Where in a program, and under what, daemonize() is called.

import { fork } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { pathToFileURL } from 'node:url';
import { describe, expect, test } from 'vitest';
import { testContinuing } from '../../support/engine.js';
import { temporaryFolder } from '../../support/folder.js';
import { node, root } from '../../support/node.js';
import { descriptors, until } from '../../support/processes.js';
import { execute, inline, launch, run, start } from '../../support/program.js';
import { Reports } from '../../support/reports.js';

const fixture = (name: string) => join(root, 'test/fixtures/daemonize', name);

/** `JSON.stringify` for a program's source. */
const literal = (value: unknown) => JSON.stringify(value);

/** After it the program is a daemon in which everything works that the event loop drives. */
const DAEMON = `
  daemonize({ keepFds: [3] });
  await fs.promises.readFile('/proc/self/stat');
  await new Promise((resolve) => setTimeout(resolve, 1));
  report(posix.getsid() !== process.pid);
`;

describe('called', () => {
  test('as the first line of main', async () => {
    const { code, reports } = await run(
      `daemonize({ keepFds: [3] }); ${DAEMON.split('\n').slice(2).join('\n')}`,
    );
    expect({ code, reports }).toEqual({ code: 0, reports: [true] });
  });

  test.each([
    ['a timer', `setTimeout(async () => { ${DAEMON} });`],
    ['an immediate', `setImmediate(async () => { ${DAEMON} });`],
    ['a tick', `process.nextTick(async () => { ${DAEMON} });`],
    ['a promise job', `Promise.resolve().then(async () => { ${DAEMON} });`],
    ['an fs callback', `fs.readFile('/proc/self/stat', async () => { ${DAEMON} });`],
    [
      'an event of a stream',
      `fs.createReadStream('/etc/passwd').once('data', async () => { ${DAEMON} });`,
    ],
    [
      'a signal handler',
      `process.on('SIGUSR2', async () => { ${DAEMON} process.exit(); });
       process.kill(process.pid, 'SIGUSR2'); setTimeout(() => {}, 1e6);`,
    ],
    [
      'a crypto job',
      `(await import('node:crypto')).pbkdf2('a', 'b', 1, 8, 'sha1', async () => { ${DAEMON} });`,
    ],
    [
      'a vm script',
      `(await import('node:vm')).runInThisContext('(f) => f()')(async () => { ${DAEMON} });`,
    ],
  ])('inside %s', async (_where, source) => {
    const { code, reports } = await run(source);
    expect({ code, reports }).toEqual({ code: 0, reports: [true] });
  });

  testContinuing('inside an http handler: the daemon answers the request', async () => {
    const program = start(`
      import { createServer } from 'node:http';
      const launcher = process.pid;
      const server = createServer((request, response) => {
        if (request.url === '/daemonize') daemonize({ keepFds: [3] });
        response.end(String(process.pid !== launcher));
        if (request.url === '/end') server.close();
      });
      server.listen(0, '127.0.0.1', () => report(server.address().port));
    `);
    const address = `http://127.0.0.1:${await program.report()}`;
    const get = async (path: string) =>
      (await fetch(address + path, { headers: { connection: 'close' } })).text();
    expect(await get('/before')).toBe('false');
    expect(await get('/daemonize')).toBe('true');
    expect(await get('/after')).toBe('true');
    expect(await program.exited).toEqual({ code: 0, signal: null });
    expect(await get('/end')).toBe('true');
    await program.ended;
  });

  testContinuing(
    'with open servers, connections and timers: all go on, in the daemon only',
    async () => {
      const path = join(temporaryFolder(), 'socket');
      const program = start(`
      import { createServer } from 'node:net';
      let ticks = 0;
      const timer = setInterval(() => ticks++, 1);
      const server = createServer((socket) => {
        socket.write('hello\\n');
        socket.on('data', (data) => {
          socket.end(String(data));
          server.close();
          clearInterval(timer);
          report(ticks > 0);
        });
      });
      server.listen(${literal(path)}, () => report('listening'));
      await new Promise((resolve) => server.once('connection', (socket) => setImmediate(resolve)));
      ticks = 0;
      daemonize({ keepFds: [3] });
      report('daemon');
    `);
      expect(await program.report()).toBe('listening');
      const client = connect(path);
      client.setEncoding('utf8');
      await once(client, 'data');
      expect(await program.report()).toBe('daemon');
      expect(await program.exited).toEqual({ code: 0, signal: null });
      client.write('still there');
      expect(await text(client)).toBe('still there');
      expect(await program.report()).toBe(true);
      await program.ended;
    },
  );
});

describe('under', () => {
  test('tsx, by --import', async () => {
    const { code, stderr, reports } = await execute(node, [
      ...['--import', 'tsx', fixture('typescript.ts')],
    ]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(reports).toEqual([['daemon', 42]]);
  });

  test("tsx's command, which has a channel to the program on fd 3", async () => {
    const file = join(temporaryFolder(), 'report');
    const tsx = join(root, 'node_modules/tsx/dist/cli.mjs');
    const { code, stderr } = await execute(node, [tsx, fixture('typescript.ts'), file]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    await until(() => existsSync(file), 'the daemon reports');
    expect(JSON.parse(readFileSync(file, 'utf8'))).toEqual(['daemon', 42]);
  });

  test('module hooks in a thread of their own', async () => {
    const register = `import { register } from 'node:module'; register(${literal(pathToFileURL(fixture('hooks.mjs')))});`;
    const { code, stderr, reports } = await run(
      `
        const { default: before } = await import('virtual:before');
        daemonize({ keepFds: [3] });
        const { default: after } = await import('virtual:after');
        report([before, after]);
      `,
      {
        flags: [
          '--import',
          `data:text/javascript,${encodeURIComponent(register)}`,
          '--no-warnings',
        ],
      },
    );
    expect({ code, stderr, reports }).toEqual({
      code: 0,
      stderr: '',
      reports: [['before', 'after']],
    });
  });

  test('--require', async () => {
    const { code, reports } = await run(
      `
        daemonize({ keepFds: [3] });
        const before = ticks;
        await new Promise((resolve) => setTimeout(resolve, 20));
        report(ticks > before);
      `,
      { flags: ['--require', fixture('required.cjs')] },
    );
    expect({ code, reports }).toEqual({ code: 0, reports: [true] });
  });

  test('child_process.fork: the channel to the parent is closed', async () => {
    const child = fork(fixture('channel.mjs'), [], {
      execPath: node,
      execArgv: [],
      cwd: root,
      stdio: ['ignore', 'pipe', 'pipe', 'pipe', 'ipc'],
    });
    const reports = new Reports(child.stdio[3] as NodeJS.ReadableStream);
    const said = once(child, 'message');
    const exited = once(child, 'exit');
    const disconnected = once(child, 'disconnect');
    expect((await said)[0]).toBe('before');
    const pid = (await reports.next()) as number;
    expect(await exited).toEqual([0, null]);
    await disconnected;
    // fd 3 is one as well.
    const sockets = [...descriptors(pid)].filter(([, { target }]) => target.startsWith('socket:'));
    expect(sockets.map(([fd]) => fd)).toEqual([3]);
    process.kill(pid);
    await reports.closed;
    expect(reports.all).toEqual([pid, { connected: false }]);
  });
});

describe('in the foreground', () => {
  const REPORT = `
    console.log('to the terminal');
    report([process.ppid, daemon.detached, process.cwd(), process.umask()]);
  `;

  test("it stays with detach: 'never'", async () => {
    const { code, stdout, reports } = await run(`
      const daemon = daemonize({ cwd: '/tmp', umask: 0o077, detach: 'never' });
      ${REPORT}
    `);
    expect({ code, stdout }).toEqual({ code: 0, stdout: 'to the terminal\n' });
    expect(reports).toEqual([[process.pid, false, '/tmp', 0o077]]);
  });

  test('it stays where a service manager listens', async () => {
    const socket = join(temporaryFolder(), 'notify');
    const manager = `use Socket; $^F = 3; $ENV{NOTIFY_SOCKET} = shift;
      socket(S, AF_UNIX, SOCK_DGRAM, 0) and bind(S, sockaddr_un($ENV{NOTIFY_SOCKET})) or die;
      exit(system(@ARGV) >> 8)`;
    const source = `const daemon = daemonize({ cwd: '/tmp' }); ${REPORT}`;
    const program = launch('perl', ['-e', manager, socket, node, ...inline(source)]);
    const { code, stdout, reports } = await program.ended;
    expect({ code, stdout }).toEqual({ code: 0, stdout: 'to the terminal\n' });
    expect(reports).toEqual([[program.pid, false, '/tmp', 0o027]]);
  });

  test.skipIf(process.getuid?.() !== 0)('it stays as process 1', async () => {
    const source = `const daemon = daemonize(); report([process.pid, daemon.detached]);`;
    const program = launch('unshare', [
      '--pid',
      '--fork',
      '--mount-proc',
      '--kill-child=SIGKILL',
      node,
      ...inline(source),
    ]);
    expect((await program.ended).reports).toEqual([[1, false]]);
  });

  test("detach: 'always' leaves although a service manager is there", async () => {
    const program = start(
      `report(daemonize({ keepFds: [3], detach: 'always' }).detached); report(process.pid);`,
      { env: { NOTIFY_SOCKET: '/nonexistent' } },
    );
    const { reports } = await program.ended;
    expect(reports[0]).toBe(true);
    expect(reports[1]).not.toBe(program.pid);
  });
});
