// C17-C20: the launcher tells how the start went; and what the daemon object offers.

import { existsSync, readFileSync, renameSync, statSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { describe, expect, test } from 'vitest';
import { temporaryFolder } from '../../support/folder.js';
import { node } from '../../support/node.js';
import { killQuietly, MARK, marked, stat, until } from '../../support/processes.js';
import { inline, launch, run, start } from '../../support/program.js';
import { Terminal } from '../../support/pty.js';

const MANUAL = `const daemon = daemonize({ keepFds: [3], ready: 'manual' });`;

/** `JSON.stringify` for a program's source. */
const literal = (value: unknown) => JSON.stringify(value);

const left = () => marked(process.env[MARK]!).filter((pid) => pid !== process.pid);

describe('C17', () => {
  test.each([1, 7, 127, 255])('C17 the launcher exits with the code %i of fail()', async (code) => {
    const ended = await run(`${MANUAL} daemon.fail('no reason', ${code});`);
    expect(ended).toMatchObject({ code, stdout: '', stderr: 'no reason\n' });
  });

  test('C17 message and stack reach the terminal, and nothing after the exit', async () => {
    const terminal = Terminal.start(`
      ${MANUAL}
      function openPort() { return new TypeError('port 80 is taken'); }
      daemon.fail(openPort(), 3);
    `);
    const { code, output } = await terminal.ended;
    expect(code).toBe(3);
    expect(output).toMatch(/^TypeError: port 80 is taken\r\n {4}at openPort .*\[exit 3\]\s*$/s);
  });

  test.each([
    ['an object', `{ port: 80 }`, '{ port: 80 }\n'],
    ['undefined', `undefined`, 'undefined\n'],
    [
      'an error without a stack',
      `Object.assign(new Error('bare'), { stack: undefined })`,
      '[Error: bare]\n',
    ],
  ])('C17 %s is a reason too', async (_what, reason, stderr) => {
    expect(await run(`${MANUAL} daemon.fail(${reason});`)).toMatchObject({ code: 1, stderr });
  });

  test('C17 code and cause of an error reach the launcher too', async () => {
    const { stderr } = await run(`
      ${MANUAL}
      daemon.fail(new Error('outer', { cause: Object.assign(new Error('inner'), { code: 'EINNER' }) }));
    `);
    expect(stderr).toMatch(/^Error: outer\n {4}at .*cause\]: Error: inner\n.*code: 'EINNER'/s);
  });

  test('C17 a reason longer than the pipe arrives whole', async () => {
    const { code, stderr } = await run(`${MANUAL} daemon.fail('x'.repeat(1 << 20) + 'end', 2);`);
    expect({ code, length: stderr.length }).toEqual({ code: 2, length: (1 << 20) + 4 });
    expect(stderr.endsWith('xend\n')).toBe(true);
  });

  test.each([0, 256, -1, 1.5])('C17 a code of %d cannot pass for success', async (code) => {
    const ended = await run(`
      ${MANUAL}
      try { daemon.fail('no reason', ${code}); } catch (error) { report(error.code); }
      process.exit(9);
    `);
    expect(ended).toMatchObject({ code: 9, reports: ['ERR_OUT_OF_RANGE'] });
  });

  test('C17 fail() after ready() writes to the log and ends the daemon with the code', async () => {
    const log = join(temporaryFolder(), 'log');
    // A subreaper learns the daemon's own code.
    const number = process.arch === 'arm64' ? 167 : 157;
    const subreaper = `$^F = 3; syscall(${number}, 36, 1, 0, 0, 0) == 0 or die;
      my $launcher = system(@ARGV) >> 8; wait; print $launcher, ' ', $? >> 8`;
    const source = `
      const daemon = daemonize({ keepFds: [3], log: ${literal(log)}, ready: 'manual' });
      daemon.ready();
      daemon.ready();
      daemon.fail(new Error('too late'), 5);
    `;
    const { stdout, stderr } = await launch('perl', ['-e', subreaper, node, ...inline(source)])
      .ended;
    expect({ stdout, stderr }).toEqual({ stdout: '0 5', stderr: '' });
    expect(readFileSync(log, 'utf8')).toMatch(/^Error: too late\n {4}at /);
  });

  test('C17 fail() in the foreground does the same', async () => {
    const ended = await run(`
      const daemon = daemonize({ detach: 'never', ready: 'manual', cwd: 'keep' });
      daemon.fail('no reason', 6);
    `);
    expect(ended).toMatchObject({ code: 6, stderr: 'no reason\n' });
  });
});

describe('C18', () => {
  test.each([
    ['an exception', `throw new RangeError('thrown');`, 1, /RangeError: thrown\n {4}at /],
    [
      'an exception in a timer',
      `setTimeout(() => { throw new RangeError('thrown'); });`,
      1,
      /RangeError: thrown\n {4}at /,
    ],
    [
      'a rejection',
      `Promise.reject(new RangeError('rejected'));`,
      1,
      /RangeError: rejected\n {4}at /,
    ],
    ['something thrown that is no error', `setTimeout(() => { throw 'words'; });`, 1, /words/],
    ['exit(5)', `process.exit(5);`, 5, /\(pid \d+\) exited with code 5 before it was ready/],
    ['exit(0)', `process.exit(0);`, 1, /\(pid \d+\) exited with code 0 before it was ready/],
    ['exit(256)', `process.exit(256);`, 1, /\(pid \d+\) exited with code 0 before it was ready/],
    ['_exit(4)', `posix._exit(4);`, 4, /\(pid \d+\) exited with code 4 before it was ready/],
    ['_exit(0)', `posix._exit(0);`, 1, /\(pid \d+\) exited with code 0 before it was ready/],
    ['nothing left to do', ``, 1, /\(pid \d+\) exited with code 0 before it was ready/],
    [
      'nothing left to do and an exit code',
      `process.exitCode = 3;`,
      3,
      /\(pid \d+\) exited with code 3 before it was ready/,
    ],
    [
      'an await that never ends',
      `await new Promise(() => {});`,
      13,
      /\(pid \d+\) exited with code 13 before it was ready/,
    ],
    ['SIGKILL', `process.kill(process.pid, 'SIGKILL');`, 137, /\(pid \d+\) was killed by SIGKILL/],
    ['SIGTERM', `process.kill(process.pid, 'SIGTERM');`, 143, /\(pid \d+\) was killed by SIGTERM/],
    ['SIGSEGV', `process.kill(process.pid, 'SIGSEGV');`, 139, /\(pid \d+\) was killed by SIGSEGV/],
    ['abort()', `process.abort();`, 134, /\(pid \d+\) was killed by SIGABRT/],
    [
      'a real-time signal',
      `process.kill(process.pid, 40);`,
      168,
      /\(pid \d+\) was killed by signal 40/,
    ],
  ])('C18 %s before ready', async (_what, death, code, said) => {
    const ended = await launch('prlimit', ['--core=0', node, ...inline(`${MANUAL} ${death}`)])
      .ended;
    expect(ended.stderr).toMatch(said);
    expect(ended).toMatchObject({ code, signal: null, stdout: '' });
  });

  test('C18 silence before ready', async () => {
    const ended = await run(`
      daemonize({ keepFds: [3], ready: 'manual', readyTimeout: 300 });
      setInterval(() => {}, 1e6);
    `);
    expect(ended.stderr).toMatch(/\(pid \d+\) was not ready within 300 ms and was killed/);
    expect(ended.code).toBe(1);
  });

  test('C18 an exception that the program handles is none', async () => {
    const { code, stderr } = await run(`
      ${MANUAL}
      process.on('uncaughtException', () => daemon.ready());
      setTimeout(() => { throw new Error('handled'); });
    `);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  });

  test('C18 what the exit handlers say after ready is not said to the launcher', async () => {
    const { code, stderr } = await run(`${MANUAL} daemon.ready(); throw new Error('later');`);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  });
});

describe('C19', () => {
  /** Waits for ever, with a child of its own. */
  const WAITS = `
    import { spawn } from 'node:child_process';
    daemonize({ keepFds: [3], ready: 'manual', readyTimeout: 0 });
    process.on('SIGTERM', () => {}).on('SIGHUP', () => {}).on('SIGINT', () => {});
    spawn('sleep', ['1000'], { stdio: 'ignore' }).on('spawn', () => report(process.pid));
  `;

  test('C19 after a timeout no orphan is left, and no child of it', async () => {
    const { code, reports } = await run(WAITS.replace('readyTimeout: 0', 'readyTimeout: 1000'));
    expect(code).toBe(1);
    expect(stat(reports[0])).toBeUndefined();
    await until(() => left().length === 0, 'the child is killed too');
  });

  test('C19 after a timeout no orphan is left of a daemon in a loop', async () => {
    const { code, stderr } = await run(`
      daemonize({ keepFds: [3], ready: 'manual', readyTimeout: 300 });
      for (;;);
    `);
    expect(stderr).toMatch(/not ready within 300 ms/);
    expect(code).toBe(1);
    expect(left()).toEqual([]);
  });

  test.each([
    ['Ctrl-C', '\x03', 'SIGINT'],
    ['Ctrl-\\', '\x1c', 'SIGQUIT'],
  ])('C19 after %s in the launcher no orphan is left', async (_keys, keys, signal) => {
    const terminal = Terminal.start(WAITS, {
      shell: 'ulimit -c 0; trap : INT QUIT; "$@" 3>"$0"; echo "[exit $?]"; read -r answer',
    });
    const daemon: number = await terminal.report();
    terminal.type(keys);
    expect(await terminal.exited).toEqual({ code: null, signal });
    expect(stat(daemon)).toBeUndefined();
    await terminal.ended;
    await until(() => left().length === 0, 'the child is killed too');
  });

  test.each(['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT'] as const)(
    'C19 after %s to the launcher no orphan is left',
    async (signal) => {
      const program = launch('prlimit', ['--core=0', node, ...inline(WAITS)]);
      const daemon: number = await program.report();
      process.kill(program.pid, signal);
      expect(await program.exited).toEqual({ code: null, signal });
      expect(stat(daemon)).toBeUndefined();
      await program.ended;
    },
  );

  test('C19 a hang-up while the launcher waits leaves no orphan', async () => {
    const terminal = Terminal.start(WAITS);
    const daemon: number = await terminal.report();
    terminal.hangUp();
    await terminal.ended;
    await until(() => stat(daemon) === undefined, 'the daemon is killed');
  });

  test('C19 a daemon outlives a launcher that was killed while it waited', async () => {
    const program = start(`
      ${MANUAL}
      process.on('SIGUSR2', () => { daemon.ready(); report('alive'); process.exit(); });
      report(process.pid);
      setInterval(() => {}, 1e6);
    `);
    const daemon: number = await program.report();
    process.kill(program.pid, 'SIGKILL');
    await program.exited;
    process.kill(daemon, 'SIGUSR2');
    expect(await program.report()).toBe('alive');
    await program.ended;
  });

  test('C19 a launcher that was stopped goes on', async () => {
    const program = start(`
      ${MANUAL}
      process.on('SIGUSR2', () => { daemon.ready(); process.exit(); });
      report(process.pid);
      setInterval(() => {}, 1e6);
    `);
    const daemon: number = await program.report();
    process.kill(program.pid, 'SIGSTOP');
    await until(() => stat(program.pid)?.state === 'T', 'stopped');
    process.kill(daemon, 'SIGUSR2');
    process.kill(program.pid, 'SIGCONT');
    expect((await program.ended).code).toBe(0);
  });
});

describe('C20', () => {
  const ROUNDS = 200;
  const AT_ONCE = 4;

  test('C20 200 connections, each made as soon as the launcher has returned', async () => {
    const folder = temporaryFolder();
    const visit = async (round: number) => {
      const path = join(folder, String(round));
      // Late on purpose: a launcher that does not wait is back long before.
      const program = start(`
        import { createServer } from 'node:net';
        ${MANUAL}
        const server = createServer((socket) => { socket.end('${round}'); server.close(); });
        setTimeout(() => server.listen(${literal(path)}, () => daemon.ready()), 10);
      `);
      expect(await program.exited).toEqual({ code: 0, signal: null });
      expect(await text(connect(path))).toBe(String(round));
      await program.ended;
    };
    let next = 0;
    const visitor = async () => {
      while (next < ROUNDS) await visit(next++);
    };
    await Promise.all(Array.from({ length: AT_ONCE }, visitor));
  });

  test('C20 the launcher of a start without readiness returns once the daemon is detached', async () => {
    const log = join(temporaryFolder(), 'log');
    const program = start(`
      const daemon = daemonize({ keepFds: [3], log: ${literal(log)} });
      daemon.ready();
      report(daemon.detached);
    `);
    expect(await program.exited).toEqual({ code: 0, signal: null });
    expect(existsSync(log)).toBe(true);
    expect((await program.ended).reports).toEqual([true]);
  });
});

describe('daemon.signal', () => {
  const STOPPABLE = `
    ${MANUAL}
    const timer = setInterval(() => {}, 1e6);
    daemon.signal.addEventListener('abort', () => report(daemon.signal.reason));
    daemon.ready();
    report(daemon.pid);
  `;

  test.each(['SIGTERM', 'SIGINT'] as const)('is aborted by %s, with its name', async (signal) => {
    const program = start(STOPPABLE);
    const pid: number = await program.report();
    process.kill(pid, signal);
    expect(await program.report()).toBe(signal);
    // A second one ends what did not end by itself; but see the next test.
    await until(() => {
      killQuietly(pid, signal);
      return stat(pid) === undefined;
    }, 'the end after a second signal');
    await program.ended;
  });

  test('a second one that comes with the first is the same request', async () => {
    const program = start(`
      ${STOPPABLE}
      process.on('SIGWINCH', () => { report('finished'); process.exit(0); });
    `);
    const pid: number = await program.report();
    process.kill(pid, 'SIGTERM');
    expect(await program.report()).toBe('SIGTERM');
    // Delivered in this order, the lower number first.
    for (const signal of ['SIGTERM', 'SIGWINCH'] as const) process.kill(pid, signal);
    expect(await program.report()).toBe('finished');
    await program.ended;
  });

  test('stops a program that passes it on', async () => {
    const program = start(`
      import { setTimeout } from 'node:timers/promises';
      ${MANUAL}
      const { signal } = daemon;
      daemon.ready();
      report(process.pid);
      await setTimeout(1e6, undefined, { signal }).catch((error) => report(error.name));
    `);
    const pid: number = await program.report();
    process.kill(pid, 'SIGTERM');
    expect(await program.report()).toBe('AbortError');
    await program.ended;
  });

  test('changes nothing until it is read', async () => {
    const program = start(`
      daemonize({ keepFds: [3] });
      report(process.pid);
      setInterval(() => {}, 1e6);
    `);
    const pid: number = await program.report();
    process.kill(pid, 'SIGTERM');
    await program.ended;
  });
});

describe('daemon.reopenLogs()', () => {
  test('leaves the old files and writes to new ones', async () => {
    const folder = temporaryFolder();
    const out = join(folder, 'out');
    const error = join(folder, 'error');
    const program = start(`
      import { execFileSync } from 'node:child_process';
      const daemon = daemonize({
        keepFds: [3],
        stdout: { file: ${literal(out)}, mode: 0o600, append: false },
        stderr: ${literal(error)},
      });
      process.on('SIGHUP', () => {
        daemon.reopenLogs();
        console.log('new');
        console.error('new error');
        execFileSync('echo', ['child'], { stdio: 'inherit' });
        report('reopened');
        process.exit();
      });
      console.log('old');
      console.error('old error');
      report(process.pid);
      setInterval(() => {}, 1e6);
    `);
    const pid: number = await program.report();
    renameSync(out, `${out}.1`);
    renameSync(error, `${error}.1`);
    process.kill(pid, 'SIGHUP');
    expect(await program.report()).toBe('reopened');
    await program.ended;
    const read = (path: string) => readFileSync(path, 'utf8');
    expect([`${out}.1`, out, `${error}.1`, error].map(read)).toEqual([
      'old\n',
      'new\nchild\n',
      'old error\n',
      'new error\n',
    ]);
    expect(statSync(out).mode & 0o777).toBe(0o600);
    expect(statSync(error).mode & 0o777).toBe(0o640);
  });

  test('opens a log for both streams again, and does not empty what is there', async () => {
    const log = join(temporaryFolder(), 'log');
    const { code } = await run(`
      const daemon = daemonize({ keepFds: [3], log: { file: ${literal(log)}, append: false } });
      console.log('old');
      fs.renameSync(${literal(log)}, ${literal(`${log}.1`)});
      fs.writeFileSync(${literal(log)}, 'by logrotate\\n');
      daemon.reopenLogs();
      console.log('out');
      console.error('error');
    `);
    expect(code).toBe(0);
    expect(readFileSync(`${log}.1`, 'utf8')).toBe('old\n');
    expect(readFileSync(log, 'utf8')).toBe('by logrotate\nout\nerror\n');
  });

  test('keeps the old files, both, if one cannot be opened', async () => {
    const folder = temporaryFolder();
    const out = join(folder, 'out');
    const error = join(folder, 'gone', 'error');
    const { reports } = await run(`
      fs.mkdirSync(${literal(join(folder, 'gone'))}, { recursive: true });
      const daemon = daemonize({ keepFds: [3], stdout: ${literal(out)}, stderr: ${literal(error)} });
      fs.renameSync(${literal(out)}, ${literal(`${out}.1`)});
      fs.rmSync(${literal(join(folder, 'gone'))}, { recursive: true });
      try {
        daemon.reopenLogs();
      } catch (error) {
        report([error.code, error.path]);
      }
      console.log('still here');
    `);
    expect(reports).toEqual([['ENOENT', error]]);
    expect(readFileSync(`${out}.1`, 'utf8')).toBe('still here\n');
    expect(existsSync(out)).toBe(false);
  });
});
