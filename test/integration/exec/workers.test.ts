// Workers of supervise() that are fresh images: the program runs from its start, past the calls that
// have been made, to the one that made it.

import { execFileSync } from 'node:child_process';
import { copyFileSync, existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { hasFork, testFork } from '../../support/engine.js';
import { temporaryFolder } from '../../support/folder.js';
import { node } from '../../support/node.js';
import { stat, until } from '../../support/processes.js';
import { execute, inline, launch, run, start } from '../../support/program.js';
import { decisions, get } from '../supervise/tools.js';

const env = { DOUBLEFORK_ENGINE: 'exec' };
const SUPERVISE = 'const { supervise, listen } = doublefork;';
const STAY = 'setInterval(() => {}, 1e6);';

describe('image', () => {
  test('what is printed before the call is printed once; stdout and stdin are the supervisor’s after it', async () => {
    const { code, stdout, reports } = await run(
      `${SUPERVISE}
      console.log('before');
      supervise({ workers: 2, restart: 'never' });
      console.log('after');
      report(fs.readlinkSync('/proc/self/fd/0'));
    `,
      { env },
    );
    expect(code).toBe(0);
    expect(stdout.split('\n').sort()).toEqual(['', 'after', 'after', 'before']);
    expect(reports).toEqual(['/dev/null', '/dev/null']);
  });

  test('nothing of the handoff is left, nor in what is started before the call', async () => {
    const { reports } = await run(
      `
      import { execFileSync } from 'node:child_process';
      ${SUPERVISE}
      listen('unused', { port: 0 });
      const look = () => [process.env.DOUBLEFORK_HANDOFF ?? ''].concat(
        execFileSync('/bin/sh', ['-c', 'echo $DOUBLEFORK_HANDOFF; ls /proc/self/fd'], {
          encoding: 'utf8',
        }).split('\\n').slice(0, -1));
      const before = look();
      supervise({ restart: 'never' });
      report([before, look()]);
    `,
      { env },
    );
    // 0-2, the folder that is being listed, and what this process was started with.
    const usual = execFileSync('/bin/ls', ['/proc/self/fd'], { encoding: 'utf8' });
    const nothing = ['', '', ...usual.split('\n').slice(0, -1)];
    expect(reports).toEqual([[nothing, nothing]]);
  });

  test('a worker leads a group of its own, and gets its arguments and folder as the program did', async () => {
    const { reports, pid } = await run(
      `${SUPERVISE}
      const [first] = process.argv.splice(1, 1);
      process.chdir('/proc');
      supervise({ restart: 'never' });
      report({ first, ppid: process.ppid, group: posix.getpgid() === process.pid });
    `,
      { env, args: ['serve'] },
    );
    expect(reports).toEqual([{ first: 'serve', ppid: pid, group: true }]);
  });

  test('inherited descriptors are passed on, those of the supervisor’s event loop are let go of', async () => {
    const port = 20_000 + (process.pid % 10_000);
    const { reports } = await launch(
      'bash',
      [
        '-c',
        'exec "$@" 7</etc/passwd',
        'bash',
        node,
        ...inline(`${SUPERVISE}
          const { createServer } = await import('node:net');
          const server = createServer().listen(${port}, '127.0.0.1');
          await new Promise((resolve) => server.on('listening', resolve));
          supervise({ restart: 'never' });
          report([server.address().port, fs.readlinkSync('/proc/self/fd/7')]);
          server.close();
        `),
      ],
      { env },
    ).ended;
    expect(reports).toEqual([[port, '/etc/passwd']]);
  });

  test('a program that cannot be run again says so; nothing has changed', async () => {
    const source = `
      import { supervise } from 'doublefork';
      try { supervise({ engine: 'exec' }); } catch (error) { console.log(error.message); }
    `;
    const file = join(temporaryFolder(), 'app.mjs');
    writeFileSync(file, source);
    const { stdout } = await launch('bash', ['-c', '"$0" --input-type=module - <"$1"', node, file])
      .ended;
    expect(stdout).toMatch(/^the exec engine cannot run this program again: its text/);
  });

  test('a binary that is gone is a failure of the worker, and told', async () => {
    const binary = join(temporaryFolder(), 'node');
    copyFileSync(node, binary);
    const ended = await execute(
      binary,
      inline(`${SUPERVISE}
        fs.unlinkSync(process.execPath);
        supervise({ maxFailures: 1, backoff: { initial: 1 } });
      `),
      { env },
    );
    expect(ended.code).toBe(1);
    const [exit] = decisions(ended, 'exit');
    expect(exit).toMatchObject({
      exitCode: 127,
      error: `cannot run ${binary}: there is no such file, or the interpreter in its first line is missing`,
    });
  });

  test('an image that takes another way is a failure that says so', async () => {
    const ended = await run(
      `${SUPERVISE}
      if (process.env.SECOND) daemonize();
      process.env.SECOND = 'yes';
      supervise({ restart: 'never' });
    `,
      { env },
    );
    expect(ended.code).toBe(1);
    expect(ended.stderr).toMatch('daemonize() cannot go on: supervise() comes first');
  });

  test.skipIf(hasFork)('engine: fork is refused where it is not supported', async () => {
    const { reports } = await run(`
      try { exported.supervise({ engine: 'fork' }); } catch (error) { report(error.code); }
    `);
    expect(reports).toEqual(['ENOTSUP']);
  });
});

describe('on its way', () => {
  /** A program that does not get to the call before the file is there. */
  const waiting = (then: string, options = '') => {
    const gate = join(temporaryFolder(), 'gate');
    const program = start(
      `${SUPERVISE}
      if (process.env.SECOND) {
        report(process.pid);
        while (!fs.existsSync('${gate}')) posix.poll([], 5);
      }
      process.env.SECOND = 'yes';
      process.on('SIGUSR2', (name) => { report(name); process.exit(0); });
      supervise({ restart: 'never' ${options} });
      ${then}
    `,
      { env },
    );
    return { program, open: () => writeFileSync(gate, '') };
  };

  test('it is ready when it arrives, and no sooner', async () => {
    const log = join(temporaryFolder(), 'log');
    const { program, open } = waiting('process.exit();', `, log: '${log}'`);
    await program.report();
    const told = () =>
      decisions({ stderr: readFileSync(log, 'utf8') }).map(({ event }) => event as string);
    // The supervisor tells of the start while the image runs.
    await until(() => told().length > 0, 'the start is told');
    expect(told()).toEqual(['start']);
    open();
    await program.ended;
    expect(told()).toEqual(['start', 'ready', 'serving', 'exit', 'done', 'stopped']);
  });

  test('one that does not arrive in time has failed', async () => {
    const { program } = waiting('', ', readyTimeout: 300');
    const ended = await program.ended;
    expect(decisions(ended, 'end')).toMatchObject([{ cause: 'not ready' }]);
    expect(decisions(ended, 'ready')).toEqual([]);
  });

  test('the program’s own signals wait until its handlers are there', async () => {
    const { program, open } = waiting(STAY);
    const pid = await program.report();
    process.kill(program.pid, 'SIGUSR2');
    // Taken out of the inbox.
    await until(() => stat(program.pid)?.state === 'S', 'asleep');
    open();
    expect(await program.report()).toBe('SIGUSR2');
    expect(decisions(await program.ended, 'exit')).toMatchObject([{ workerPid: pid, exitCode: 0 }]);
  });

  test('a supervisor that is killed takes it along', async () => {
    const { program } = waiting('');
    const pid = await program.report();
    process.kill(program.pid, 'SIGKILL');
    await until(() => stat(pid) === undefined, 'gone');
    await program.ended;
  });
});

describe('with daemonize()', () => {
  const source = (engine: string) => `${SUPERVISE}
    console.log('once');
    const daemon = daemonize({
      engine: '${engine}', ready: 'manual', keepFds: [3], log: process.argv[1] + '/log',
      pidfile: process.argv[1] + '/pid', umask: 0o26, env: { COLOUR: 'blue' }, title: 'blue',
      limits: { nofile: { soft: 100 } },
    });
    const worker = supervise({ workers: 2, minUptime: 0 });
    console.log('working');
    const { detached, pidfile } = daemon;
    report({
      pid: process.pid, ppid: process.ppid, id: worker.id, detached, session: posix.getsid(),
      cwd: process.cwd(), umask: process.umask(), colour: process.env.COLOUR, title: process.title,
      limit: posix.getrlimit('nofile').soft, stdout: fs.readlinkSync('/proc/self/fd/1'),
    });
    try { daemonize(); } catch (error) { if (error.code !== 'ERR_ALREADY_DAEMON') throw error; }
    daemon.ready();
    ${STAY}
  `;

  test.each([['exec'], ...(hasFork ? [['fork']] : [])])(
    'after an engine: %s, an image comes by it and is a worker of the daemon',
    async (engine) => {
      const folder = temporaryFolder();
      const program = start(source(engine), { env, args: [folder] });
      const [first, second] = [await program.report(), await program.report()];
      expect(await program.exited).toMatchObject({ code: 0 });
      const daemon = Number(readFileSync(join(folder, 'pid'), 'utf8'));
      const { session } = stat(daemon)!;
      expect(stat(daemon)!.ppid).not.toBe(program.pid);
      const expected = {
        ppid: daemon,
        detached: true,
        session,
        cwd: '/',
        umask: 0o26,
        colour: 'blue',
        title: 'blue',
        limit: 100,
        stdout: join(folder, 'log'),
      };
      expect([first, second]).toEqual([
        expect.objectContaining(expected),
        expect.objectContaining(expected),
      ]);
      expect([first.id, second.id].sort()).toEqual([1, 2]);
      process.kill(first.pid, 'SIGKILL');
      const third = await program.report();
      expect(third).toMatchObject({ ...expected, id: first.id });
      // By its daemon.ready().
      const log = () => readFileSync(join(folder, 'log'), 'utf8');
      await until(() => decisions({ stderr: log() }, 'ready').length === 3, 'ready');
      process.kill(daemon, 'SIGTERM');
      const { stdout } = await program.ended;
      expect(stdout).toBe('once\n');
      expect(log().match(/^(once|working)$/gm)).toEqual(['working', 'working', 'working']);
      expect(existsSync(join(folder, 'pid'))).toBe(false);
    },
  );

  test('in the foreground before it: the image does not take the pidfile, nor detach', async () => {
    const pidfile = join(temporaryFolder(), 'pid');
    const { code, reports, pid } = await run(
      `${SUPERVISE}
      const daemon = daemonize({ detach: 'never', pidfile: '${pidfile}' });
      supervise({ restart: 'never' });
      report([daemon.detached, process.cwd(), process.ppid, fs.readFileSync('${pidfile}', 'utf8')]);
    `,
      { env },
    );
    expect(code).toBe(0);
    expect(reports).toEqual([[false, '/', pid, `${pid}\n`]]);
    expect(existsSync(pidfile)).toBe(false);
  });

  test('after it the worker stays in the foreground, and a second supervise() finds all of it done', async () => {
    const pidfile = join(temporaryFolder(), 'pid');
    const { code, reports } = await run(
      `${SUPERVISE}
      const first = supervise({ restart: 'never', log: 'none' });
      const daemon = daemonize({ pidfile: '${pidfile}', keepFds: [3] });
      const second = supervise({ restart: 'never', log: 'none', workers: 2 });
      report([daemon.detached, first.id, Number(fs.readFileSync('${pidfile}')) === process.ppid]);
    `,
      { env },
    );
    expect(code).toBe(0);
    expect(reports).toEqual([
      [false, 1, true],
      [false, 1, true],
    ]);
  });

  test('a worker that detaches after all is no second supervisor', async () => {
    const { code, reports } = await run(
      `${SUPERVISE}
      supervise({ restart: 'never', log: 'none' });
      const daemon = daemonize({ detach: 'always', ready: 'manual', keepFds: [3] });
      report(daemon.detached);
      daemon.ready();
    `,
      { env },
    );
    expect(code).toBe(0);
    expect(reports).toEqual([true]);
  });
});

describe('several calls', () => {
  test('each image comes by those before; the last one does the work', async () => {
    const { code, reports } = await run(
      `${SUPERVISE}
      const outer = supervise({ workers: 2, restart: 'never', log: 'none' });
      const middle = supervise({ restart: 'never', log: 'none' });
      const inner = supervise({ workers: 2, restart: 'never', log: 'none' });
      report([outer.id, middle.id, inner.id, process.ppid]);
      process.exit(7);
    `,
      { env },
    );
    expect(code).toBe(7);
    const ids = reports.map(([outer, middle, inner]) => `${outer}${middle}${inner}`);
    expect(ids.sort()).toEqual(['111', '112', '211', '212']);
    expect(new Set(reports.map(([, , , ppid]) => ppid)).size).toBe(2);
  });

  test('a worker of a worker is restarted with what it was', async () => {
    const program = start(
      `${SUPERVISE}
      const outer = supervise({ minUptime: 0, log: 'none' });
      const inner = supervise({ minUptime: 0, log: 'none' });
      const { generation, restarts } = inner;
      report({ pid: process.pid, ppid: process.ppid, outer: outer.generation, generation, restarts });
      ${STAY}
    `,
      { env },
    );
    const first = await program.report();
    process.kill(first.pid, 'SIGKILL');
    const second = await program.report();
    expect(second).toMatchObject({ outer: 1, generation: 2, restarts: 1, ppid: first.ppid });
    process.kill(second.ppid, 'SIGKILL');
    expect(await program.report()).toMatchObject({ outer: 2, generation: 1, restarts: 0 });
    process.kill(program.pid);
    expect((await program.ended).code).toBe(0);
  });

  testFork('the engines can be mixed, in any order', async () => {
    const { code, reports } = await run(`${SUPERVISE}
      const a = supervise({ engine: 'exec', restart: 'never', log: 'none' });
      const b = supervise({ engine: 'fork', restart: 'never', log: 'none' });
      const c = supervise({ engine: 'exec', restart: 'never', log: 'none', workers: 2 });
      report([a.id, b.id, c.id]);
    `);
    expect(code).toBe(0);
    expect(reports.sort()).toEqual([
      [1, 1, 1],
      [1, 1, 2],
    ]);
  });
});

describe('listen()', () => {
  test('all images have the one socket, and the supervisor keeps it', async () => {
    const program = start(
      `${SUPERVISE}
      const { address, fd } = listen('http', { port: 0, host: '127.0.0.1' });
      supervise({ workers: 2, minUptime: 0 });
      report({ pid: process.pid, port: address.port, socket: fs.readlinkSync('/proc/self/fd/' + fd) });
      ${STAY}
    `,
      { env },
    );
    const [first, second] = [await program.report(), await program.report()];
    expect(second).toEqual({ ...first, pid: second.pid });
    process.kill(first.pid, 'SIGKILL');
    const third = await program.report();
    expect(third).toEqual({ ...first, pid: third.pid });
    process.kill(program.pid);
    await program.ended;
  });

  test('its path goes with the supervisor, not with a worker', async () => {
    const path = join(temporaryFolder(), 'http');
    const program = start(
      `${SUPERVISE}
      const http = await import('node:http');
      const { fd } = listen('http', { path: '${path}' });
      const worker = supervise({ ready: 'manual', minUptime: 0, restart: 'always' });
      http.createServer((request, response) => response.end(String(process.pid)))
        .listen({ fd }, () => { worker.ready(); report(process.pid); });
    `,
      { env },
    );
    const first = await program.report();
    expect(await get(path)).toBe(String(first));
    process.kill(first, 'SIGKILL');
    // It waits in the socket while there is no worker.
    expect(await get(path)).toBe(String(await program.report()));
    process.kill(program.pid);
    expect((await program.ended).code).toBe(0);
    expect(existsSync(path)).toBe(false);
  });

  test('made before daemonize() it is the daemon’s', async () => {
    const path = join(temporaryFolder(), 'http');
    const { code, reports } = await run(
      `${SUPERVISE}
      const tcp = listen('tcp', { port: 0 });
      const unix = listen('unix', { path: '${path}' });
      daemonize({ keepFds: [3] });
      const { connect, createServer } = await import('node:net');
      createServer((socket) => socket.end()).listen({ fd: tcp.fd });
      await new Promise((resolve) => connect(tcp.address.port).on('close', resolve).resume());
      await new Promise((resolve) => connect('${path}', resolve));
      unix.close();
      report(fs.existsSync('${path}'));
      process.exit();
    `,
      { env },
    );
    expect(code).toBe(0);
    expect(reports).toEqual([false]);
  });
});
