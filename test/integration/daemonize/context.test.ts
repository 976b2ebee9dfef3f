// C5-C9: what a daemon has taken over from whoever started it, and what not.

import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import {
  closeSync,
  constants,
  openSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, onTestFinished, test } from 'vitest';
import { LOCK_EX, tryFlock } from '../../../src/posix/lock.js';
import { testContinuing } from '../../support/engine.js';
import { temporaryFolder } from '../../support/folder.js';
import { node, root } from '../../support/node.js';
import { descriptors, status, until } from '../../support/processes.js';
import { inline, launch, type RunOptions, run, start } from '../../support/program.js';
import { Terminal } from '../../support/pty.js';
import type { Running } from '../../support/running.js';

const STAY = 'report(process.pid); setInterval(() => {}, 1e6);';

/** Waits for a program's daemon, has a look at it when the launcher has gone, and ends it. */
async function inspect<E>(program: Running<E>, look: (pid: number) => void): Promise<E> {
  const pid: number = await program.report();
  expect(await program.exited).toEqual({ code: 0, signal: null });
  try {
    look(pid);
  } finally {
    process.kill(pid);
  }
  return program.ended;
}

/** A program started by a shell with more descriptors than a test can pass on. */
function fromShell(redirections: string, source: string): Running<unknown> {
  return launch('bash', ['-c', `exec "$@" ${redirections}`, 'bash', node, ...inline(source)]);
}

/** `JSON.stringify` for a program's source. */
const literal = (value: unknown) => JSON.stringify(value);

describe('C5', () => {
  testContinuing('C5 inherited descriptors are closed, low and high ones', async () => {
    const planted = [4, 5, 42, 900];
    const program = fromShell(
      planted.map((fd) => `${fd}</etc/passwd`).join(' '),
      `
        const open = [...${literal(planted)}].map((fd) => fs.readlinkSync('/proc/self/fd/' + fd));
        daemonize({ keepFds: [3] });
        report(open);
        ${STAY}
      `,
    );
    expect(await program.report()).toEqual(planted.map(() => '/etc/passwd'));
    await inspect(program, (pid) => {
      const targets = [...descriptors(pid).values()].map(({ target }) => target);
      expect(targets).not.toContain('/etc/passwd');
    });
  });

  test('C5 keepFds stay open', async () => {
    const program = fromShell(
      '5</etc/passwd 900</etc/group',
      `daemonize({ keepFds: [3, 900] }); ${STAY}`,
    );
    await inspect(program, (pid) => {
      const open = descriptors(pid);
      expect(open.get(900)?.target).toBe('/etc/group');
      expect([...open.values()].map(({ target }) => target)).not.toContain('/etc/passwd');
    });
  });

  test('C5 the sockets of a service manager stay open', async () => {
    const program = launch('bash', [
      '-c',
      'exec 4</etc/passwd 5</etc/group; LISTEN_PID=$$ LISTEN_FDS=2 exec "$@"',
      'bash',
      node,
      ...inline(`daemonize(); ${STAY}`),
    ]);
    await inspect(program, (pid) => {
      expect(descriptors(pid).has(3)).toBe(true);
      expect(descriptors(pid).get(4)?.target).toBe('/etc/passwd');
      expect(descriptors(pid).get(5)?.target).not.toBe('/etc/group');
    });
  });

  testContinuing("C5 the program's own descriptors stay open, and only they", async () => {
    const program = fromShell(
      '9</etc/group',
      `
        import { createServer } from 'node:net';
        import { once } from 'node:events';
        const server = createServer().listen(0, '127.0.0.1');
        await once(server, 'listening');
        const own = fs.openSync('/etc/passwd');
        const list = () =>
          fs.readdirSync('/proc/self/fd').filter((fd) => fs.existsSync('/proc/self/fdinfo/' + fd));
        const before = list();
        daemonize({ keepFds: [3] });
        const after = list();
        report({
          closed: before.filter((fd) => !after.includes(fd)),
          opened: after.filter((fd) => !before.includes(fd)),
          own: fs.readlinkSync('/proc/self/fd/' + own),
          port: server.address().port,
        });
        ${STAY}
      `,
    );
    const { closed, opened, own, port } = await program.report();
    // Whoever runs the tests may have planted more.
    expect(closed).toContain('9');
    expect(opened).toEqual([]);
    expect(own).toBe('/etc/passwd');
    const client = connect(port, '127.0.0.1');
    await once(client, 'connect');
    client.destroy();
    await inspect(program, (pid) => {
      for (const [fd, { flags }] of descriptors(pid)) {
        if (fd > 3) expect(flags & 0o2000000).not.toBe(0);
      }
    });
  });

  testContinuing(
    'C5 so does what an addon has opened, which may not be close-on-exec',
    async () => {
      const program = fromShell(
        '9</etc/group',
        `
        const own = posix.open('/etc/passwd', posix.O_RDONLY);
        daemonize({ keepFds: [3] });
        report({ own: fs.readlinkSync('/proc/self/fd/' + own), nine: fs.existsSync('/proc/self/fd/9') });
        ${STAY}
      `,
      );
      expect(await program.report()).toEqual({ own: '/etc/passwd', nine: false });
      await inspect(program, () => {});
    },
  );

  testContinuing(
    "C5 an inherited number that the program has used again is the program's",
    async () => {
      const program = fromShell(
        '5</etc/passwd 6</etc/passwd',
        `
        fs.closeSync(5);
        const own = fs.openSync('/etc/group');
        daemonize({ keepFds: [3] });
        report(own);
        ${STAY}
      `,
      );
      expect(await program.report()).toBe(5);
      await inspect(program, (pid) => {
        expect(descriptors(pid).get(5)?.target).toBe('/etc/group');
        expect(descriptors(pid).has(6)).toBe(false);
      });
    },
  );

  testContinuing('C5 no descriptor refers to a terminal', async () => {
    const terminal = Terminal.start(
      `
        console.log('out');
        console.error('error');
        process.stdin.resume();
        fs.openSync('/dev/tty', 'r+');
        await new Promise((resolve) => setImmediate(resolve));
        const isTerminal = (fd) => /^.dev.(pts|tty)/.test(fs.readlinkSync('/proc/self/fd/' + fd));
        const before = fs.readdirSync('/proc/self/fd').filter((fd) => {
          try { return isTerminal(fd); } catch { return false; }
        });
        daemonize({ keepFds: [3, 7] });
        report(before.length);
        ${STAY}
      `,
      { shell: '"$@" 3>"$0" 6<>/dev/tty 7>&1; echo "[exit $?]"; read -r answer' },
    );
    expect(await terminal.report()).toBeGreaterThan(7);
    await inspect(terminal, (pid) => {
      for (const { target } of descriptors(pid).values()) {
        expect(target).not.toMatch(/^\/dev\/(pts|tty)/);
      }
    });
  });

  const NR_OPEN = '/proc/sys/fs/nr_open';
  const LIMIT = 2 ** 30;
  // Root may be without it, in a container for one.
  const CAP_SYS_RESOURCE = 24n;
  const mayRaise = ((BigInt(`0x${status(process.pid, 'CapEff')}`) >> CAP_SYS_RESOURCE) & 1n) === 1n;

  /** The limit is the machine's, and this file runs for both engines at a time. */
  async function takeTurns(): Promise<void> {
    const file = openSync(fileURLToPath(import.meta.url), 'r');
    onTestFinished(() => closeSync(file));
    await until(() => tryFlock(file, LOCK_EX), 'the other engine has had its turn', 60_000);
  }

  test.skipIf(!mayRaise)('C5 inherited descriptors are closed at a limit of 2^30', async () => {
    await takeTurns();
    const before = readFileSync(NR_OPEN, 'utf8');
    const source = `
      const limit = /open files +(\\d+)/.exec(fs.readFileSync('/proc/self/limits', 'utf8'))[1];
      daemonize({ keepFds: [3] });
      report(Number(limit));
      ${STAY}
    `;
    const raise = `ulimit -n ${LIMIT} && exec 900</etc/passwd && exec "$@"`;
    let program: Running<unknown>;
    try {
      if (Number(before) < LIMIT) writeFileSync(NR_OPEN, String(LIMIT));
      // A close(2) for each number would take more than a minute.
      program = launch('bash', ['-c', raise, 'bash', node, ...inline(source)], {
        deadline: 20_000,
      });
      expect(await program.report()).toBe(LIMIT);
    } finally {
      writeFileSync(NR_OPEN, before);
    }
    await inspect(program, (pid) => expect(descriptors(pid).has(900)).toBe(false));
  });
});

describe('C6', () => {
  const O_ACCMODE = 3;
  const of = (pid: number) => [0, 1, 2].map((fd) => descriptors(pid).get(fd)!.target);

  test('C6 fd 0-2 are /dev/null', async () => {
    await inspect(start(`daemonize({ keepFds: [3] }); ${STAY}`), (pid) => {
      expect(of(pid)).toEqual(['/dev/null', '/dev/null', '/dev/null']);
    });
  });

  test('C6 fd 0-2 are what was asked for, each separately', async () => {
    const folder = temporaryFolder();
    const [input, output, error] = ['in', 'out', 'error'].map((name) => join(folder, name));
    writeFileSync(input!, 'words');
    const source = `
      daemonize({ keepFds: [3], ...${literal({ stdin: input, stdout: output, stderr: error })} });
      console.error('to stderr');
      process.stdin.setEncoding('utf8').on('data', (text) => {
        console.log('read', text);
        ${STAY}
      });
    `;
    await inspect(start(source), (pid) => {
      expect(of(pid)).toEqual([input, output, error]);
      const flags = [0, 1, 2].map((fd) => descriptors(pid).get(fd)!.flags);
      expect(flags.map((value) => value & O_ACCMODE)).toEqual([
        constants.O_RDONLY,
        constants.O_WRONLY,
        constants.O_WRONLY,
      ]);
      for (const value of flags.slice(1)) {
        expect(value & constants.O_APPEND).toBe(constants.O_APPEND);
      }
    });
    expect(readFileSync(output!, 'utf8')).toBe('read words\n');
    expect(readFileSync(error!, 'utf8')).toBe('to stderr\n');
  });

  test.each(['stdin', 'stdout', 'stderr'])('C6 only %s is kept', async (name) => {
    const source = `daemonize({ keepFds: [3], ${name}: 'keep' }); ${STAY}`;
    await inspect(start(source, { stdio: ['pipe', 'pipe', 'pipe'] }), (pid) => {
      const kept = ['stdin', 'stdout', 'stderr'].indexOf(name);
      for (const [fd, target] of of(pid).entries()) {
        expect(target).toMatch(fd === kept ? /^(pipe|socket):/ : /^\/dev\/null$/);
      }
    });
  });

  test('C6 a stream can lead to a descriptor, one of fd 0-2 too', async () => {
    const file = join(temporaryFolder(), 'file');
    const source = `
      const fd = fs.openSync(${literal(file)}, 'w');
      daemonize({ keepFds: [3], stdin: fd, stdout: 2, stderr: fd });
      console.log('to the old stderr');
      console.error('to the file');
      report(process.pid);
    `;
    const { stdout, stderr, code } = await run(source);
    expect({ stdout, stderr, code }).toEqual({
      stdout: '',
      stderr: 'to the old stderr\n',
      code: 0,
    });
    expect(readFileSync(file, 'utf8')).toBe('to the file\n');
  });

  test('C6 log takes stdout and stderr, behind what is there', async () => {
    const log = join(temporaryFolder(), 'log');
    writeFileSync(log, 'before\n', { mode: 0o604 });
    const source = `
      daemonize({ keepFds: [3], log: ${literal(log)} });
      console.log('out');
      console.error('error');
      ${STAY}
    `;
    await inspect(start(source), (pid) => {
      expect(of(pid)).toEqual(['/dev/null', log, log]);
      expect(descriptors(pid).get(1)!.flags & constants.O_APPEND).toBe(constants.O_APPEND);
    });
    expect(readFileSync(log, 'utf8')).toBe('before\nout\nerror\n');
    expect(statSync(log).mode & 0o7777).toBe(0o604);
  });

  test('C6 append: false empties the log once', async () => {
    const log = join(temporaryFolder(), 'log');
    writeFileSync(log, 'before\n');
    const { code } = await run(`
      daemonize({ keepFds: [3], log: { file: ${literal(log)}, append: false } });
      console.log('out');
      console.error('error');
    `);
    expect(code).toBe(0);
    expect(readFileSync(log, 'utf8')).toBe('out\nerror\n');
  });

  test.each([
    ['0o640 whatever the umask', { mode: 0o640 }, 0o777, 0o640],
    ['0o666 whatever the umask', { mode: 0o666 }, 0o077, 0o666],
    ['0 for nobody', { mode: 0 }, 0, 0],
    ["what the daemon's umask leaves", {}, 0o077, 0o600],
    ['0o666 with a umask of 0', {}, 0, 0o666],
    ['0o640 with the default umask', {}, undefined, 0o640],
  ])('C6 the mode of a new log is %s', async (_what, options, umask, mode) => {
    const file = join(temporaryFolder(), 'log');
    const given = { umask, log: { file, ...options } };
    const { code } = await run(`daemonize({ keepFds: [3], ...${literal(given)} });`);
    expect(code).toBe(0);
    expect(statSync(file).mode & 0o7777).toBe(mode);
  });

  test('C6 a log that is a terminal does not become the controlling one', async () => {
    const source = `
      import pty from 'node-pty';
      const { ptsName } = pty.open({});
      const launcher = process.pid;
      const daemon = daemonize({ keepFds: [3], stdin: ptsName, log: ptsName, ready: 'manual' });
      const terminal = (pid) => fs.readFileSync('/proc/' + pid + '/stat', 'utf8').split(') ')[1].split(' ')[4];
      report([terminal(launcher), terminal(process.pid)]);
      daemon.ready();
      process.exit();
    `;
    const { reports } = await launch('setsid', ['-w', node, ...inline(source)]).ended;
    expect(reports).toEqual([['0', '0']]);
  });

  test('C6 relative paths are those of the launcher', async () => {
    const folder = temporaryFolder();
    const { code, stderr } = await run(
      `
        process.chdir(${literal(folder)});
        daemonize({ log: 'log', keepFds: [3] });
        console.log(process.cwd());
      `,
    );
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(readFileSync(join(folder, 'log'), 'utf8')).toBe('/\n');
  });
});

describe('C7', () => {
  /** What Node itself ignores, when nobody else does. */
  const ignored = execFileSync(
    node,
    ['-p', 'fs.readFileSync("/proc/self/status", "utf8").match(/SigIgn:\\s*(\\w+)/)[1]'],
    { encoding: 'utf8' },
  ).trim();
  const DAEMON = `daemonize({ keepFds: [3] }); ${STAY}`;

  function expectDefaults(pid: number): void {
    expect(status(pid, 'SigIgn')).toBe(ignored);
    expect(status(pid, 'SigBlk')).toBe('0000000000000000');
    expect(status(pid, 'SigPnd')).toBe('0000000000000000');
    expect(status(pid, 'ShdPnd')).toBe('0000000000000000');
  }

  const signals = 'HUP INT QUIT TERM USR1 USR2 CHLD ALRM TSTP TTIN TTOU';

  test.each([
    ['plainly', ['env']],
    ['by nohup', ['nohup']],
    ['with signals ignored', ['sh', '-c', `trap '' ${signals}; exec "$@"`, 'sh']],
    ['with signals blocked', ['env', '--block-signal']],
    ['with some signals blocked', ['env', '--block-signal=TERM,HUP,USR1,CHLD']],
    ['with signals ignored and blocked', ['env', '--ignore-signal=INT,HUP', '--block-signal=INT']],
  ])('C7 no signal is ignored or blocked when started %s', async (_how, [command, ...args]) => {
    const program = launch(command!, [...args, node, ...inline(DAEMON)]);
    await inspect(program, expectDefaults);
  });

  test('C7 no signal is blocked that the program itself had blocked', async () => {
    // Node unblocks all when it starts: what was blocked before says nothing about daemonize().
    const source = `posix.sigprocmask(posix.SIG_BLOCK, ['SIGURG', 'SIGTERM']); ${DAEMON}`;
    await inspect(launch(node, inline(source)), expectDefaults);
  });

  test('C7 a daemon started by nohup on a terminal ends by SIGHUP', async () => {
    const terminal = Terminal.start(DAEMON, {
      shell: 'nohup "$@" 3>"$0" >"$0.out"; echo "[exit $?]"; read -r answer',
    });
    const pid: number = await terminal.report();
    await terminal.exited;
    expectDefaults(pid);
    process.kill(pid, 'SIGHUP');
    await terminal.ended;
  });

  test("C7 the program's signal handlers stay", async () => {
    const program = launch('nohup', [
      node,
      ...inline(`
        process.on('SIGHUP', () => { report('hung up'); process.exit(); });
        ${DAEMON}
      `),
    ]);
    const pid: number = await program.report();
    await program.exited;
    process.kill(pid, 'SIGHUP');
    expect(await program.report()).toBe('hung up');
    await program.ended;
  });
});

describe('C8', () => {
  const PLACE = `
    const place = () => [process.cwd(), fs.readlinkSync('/proc/self/cwd'), process.umask()];
  `;
  const place = (options: object, before = '', how: RunOptions = {}) =>
    run(
      `${PLACE} ${before}; daemonize({ keepFds: [3], ...${literal(options)} }); report(place());`,
      {
        cwd: root,
        ...how,
      },
    );

  test('C8 by default cwd is / and umask 0o027', async () => {
    expect((await place({})).reports).toEqual([['/', '/', 0o027]]);
  });

  test("C8 'keep' leaves both", async () => {
    const { reports } = await place({ cwd: 'keep', umask: 'keep' }, 'process.umask(0o013)');
    expect(reports).toEqual([[root, root, 0o013]]);
  });

  test('C8 cwd as asked, a relative one from where the launcher is', async () => {
    const folder = temporaryFolder();
    symlinkSync(folder, join(folder, 'link'));
    expect((await place({ cwd: folder })).reports[0].slice(0, 2)).toEqual([folder, folder]);
    const linked = await place({ cwd: 'link' }, `process.chdir(${literal(folder)})`);
    expect(linked.reports[0].slice(0, 2)).toEqual([folder, folder]);
  });

  test.each([0, 0o022, 0o077, 0o777])('C8 umask %i as asked; file modes agree', async (umask) => {
    const folder = temporaryFolder();
    const { reports } = await run(`
      import { spawnSync } from 'node:child_process';
      process.umask(0o177);
      daemonize({ keepFds: [3], umask: ${umask}, cwd: ${literal(folder)} });
      fs.writeFileSync('file', '');
      fs.mkdirSync('folder');
      spawnSync('touch', ['child']);
      report([
        fs.readFileSync('/proc/self/status', 'utf8').match(/Umask:\\s*(\\d+)/)[1],
        ...['file', 'folder', 'child'].map((name) => fs.statSync(name).mode & 0o7777),
      ]);
    `);
    const [inKernel, ...modes] = reports[0];
    expect(Number.parseInt(inKernel, 8)).toBe(umask);
    expect(modes).toEqual([0o666 & ~umask, 0o777 & ~umask, 0o666 & ~umask]);
  });
});

describe('C9', () => {
  const CHILD = `
    import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
    const child = () => Object.fromEntries(
      execFileSync('env', ['-0'], { encoding: 'utf8' }).split('\\0').filter(Boolean)
        .map((pair) => [pair.slice(0, pair.indexOf('=')), pair.slice(pair.indexOf('=') + 1)]),
    );
  `;

  test("C9 no marker variable is in the daemon's children", async () => {
    const { reports } = await run(`
      ${CHILD}
      const before = child();
      const daemon = daemonize({ keepFds: [3], ready: 'manual' });
      const waiting = child();
      daemon.ready();
      report([before, waiting, child(), { ...process.env }]);
    `);
    const [before, ...after] = reports[0];
    expect(after).toEqual([before, before, before]);
  });

  test('C9 environment as asked', async () => {
    const { reports } = await run(
      `
        ${CHILD}
        daemonize({
          keepFds: [3],
          env: { ADDED: 'a=b', EMPTY: '', CHANGED: 'after', REMOVED: undefined, ABSENT: undefined },
        });
        for (const env of [child(), process.env]) {
          report(['ADDED', 'EMPTY', 'CHANGED', 'REMOVED', 'ABSENT', 'LEFT'].map((name) => env[name] ?? null));
        }
      `,
      { env: { CHANGED: 'before', REMOVED: 'before', LEFT: 'before' } },
    );
    const expected = ['a=b', '', 'after', null, null, 'before'];
    expect(reports).toEqual([expected, expected]);
  });

  test('C9 limits stay as they are', async () => {
    const source = `
      const limits = () => fs.readFileSync('/proc/self/limits', 'utf8');
      const before = limits();
      daemonize({ keepFds: [3] });
      report([before, limits()]);
    `;
    const limits = ['--core=0:0', '--nofile=500:700', '--fsize=1000000', '--cpu=100:200'];
    const { reports } = await launch('prlimit', [...limits, node, ...inline(source)]).ended;
    const [before, after] = reports[0];
    expect(before).toMatch(/Max core file size +0 +0/);
    expect(before).toMatch(/Max cpu time +100 +200/);
    expect(after).toBe(before);
  });

  test('C9 the title is as asked', async () => {
    const source = `daemonize({ keepFds: [3], title: 'titled' }); ${STAY}`;
    await inspect(start(source), (pid) => {
      expect(readFileSync(`/proc/${pid}/cmdline`, 'utf8').replace(/\0.*$/s, '')).toBe('titled');
    });
  });
});
