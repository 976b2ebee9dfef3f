// C21 and C14: stop and status, and whom they leave alone.

import { spawn } from 'node:child_process';
import { chmodSync, existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { daemonStatus, findDaemon, restartDaemon, signalDaemon, stopDaemon } from 'doublefork';
import { describe, expect, test } from 'vitest';
import { hasFork } from '../../support/engine.js';
import { temporaryFolder } from '../../support/folder.js';
import { node } from '../../support/node.js';
import { stat, until } from '../../support/processes.js';
import { execute, inline, start } from '../../support/program.js';
import type { Running } from '../../support/running.js';

const isRoot = process.getuid?.() === 0;

/** A daemon with a pidfile that stays until it is told to go. */
async function daemon(setup = '', pidfile = join(temporaryFolder(), 'pid')) {
  const program = start(
    `const daemon = daemonize({ pidfile: ${JSON.stringify(pidfile)}, keepFds: [3], ready: 'manual' });
     ${setup};
     daemon.ready();
     report(process.pid);
     setInterval(() => {}, 1e6);`,
  );
  const pid: number = await program.report();
  expect(await program.exited).toEqual({ code: 0, signal: null });
  return { pid, pidfile, program };
}

/** Gone; its file too, unless it was killed. */
async function gone(program: Running<unknown>, pidfile: string): Promise<void> {
  await program.ended;
  expect(existsSync(pidfile)).toBe(false);
}

describe('C21 stop', () => {
  test('sends TERM, waits for the exit, and that is enough for a daemon that listens', async () => {
    const { pid, pidfile, program } = await daemon(
      `daemon.signal.addEventListener('abort', () => { report(daemon.signal.reason); process.exit(); })`,
    );
    expect(findDaemon({ pidfile })).toEqual({ pid, pidfile, startTime: stat(pid)?.startTime });
    const told: unknown[] = [];
    const stopped = await stopDaemon(
      { pidfile },
      { onSignal: (signal, to) => told.push([signal, to]) },
    );
    expect(stopped).toEqual({ pid, signals: ['SIGTERM'], left: [] });
    expect(told).toEqual([['SIGTERM', pid]]);
    expect(stat(pid)?.state ?? 'Z').toBe('Z');
    expect(await program.report()).toBe('SIGTERM');
    await gone(program, pidfile);
  });

  test('kills one that ignores TERM, after the deadline, and removes its pidfile', async () => {
    const { pid, pidfile, program } = await daemon(`process.on('SIGTERM', () => report('no'))`);
    const stopped = await stopDaemon({ pidfile }, { schedule: 'TERM/0.2/KILL/10' });
    expect(stopped).toEqual({ pid, signals: ['SIGTERM', 'SIGKILL'], left: [] });
    await gone(program, pidfile);
  });

  test('says so if it runs on after all of the schedule', async () => {
    const { pid, pidfile, program } = await daemon(`process.on('SIGTERM', () => {})`);
    await expect(stopDaemon({ pidfile }, { schedule: 'TERM/0.05/TERM/0.05' })).rejects.toThrow(
      `process ${pid} still runs after SIGTERM, SIGTERM`,
    );
    expect(daemonStatus({ pidfile })).toMatchObject({ status: 'running', code: 0, pid });
    await stopDaemon({ pidfile }, { schedule: 'KILL/10' });
    await gone(program, pidfile);
  });

  test('ends one that was stopped by SIGSTOP', async () => {
    const { pid, pidfile, program } = await daemon();
    process.kill(pid, 'SIGSTOP');
    // A thread that has not stopped yet would let TERM end them all.
    const tasks = () => readdirSync(`/proc/${pid}/task`).map((tid) => stat(Number(tid))?.state);
    await until(() => tasks().every((state) => state === 'T'), 'it has stopped');
    const stopped = await stopDaemon({ pidfile }, { schedule: 'TERM/0.05/CONT/10' });
    expect(stopped.signals).toEqual(['SIGTERM', 'SIGCONT']);
    await gone(program, pidfile);
  });

  test('can be given up', async () => {
    const { pidfile, program } = await daemon(`process.on('SIGTERM', () => report('heard'))`);
    const abort = new AbortController();
    const stopping = stopDaemon({ pidfile }, { schedule: 'TERM/60', signal: abort.signal });
    expect(await program.report()).toBe('heard');
    abort.abort(new Error('enough'));
    await expect(stopping).rejects.toThrow('enough');
    await stopDaemon({ pidfile }, { schedule: 'KILL/10' });
    await gone(program, pidfile);
  });

  test('of what does not run does nothing', async () => {
    const pidfile = join(temporaryFolder(), 'pid');
    expect(await stopDaemon({ pidfile })).toEqual({ pid: undefined, signals: [], left: [] });
  });

  test('refuses a schedule that cannot be, before it does anything', async () => {
    const { pidfile, program } = await daemon();
    await expect(stopDaemon({ pidfile }, { schedule: 'TERM/x' })).rejects.toThrow('cannot be read');
    expect(findDaemon({ pidfile })).toBeDefined();
    await stopDaemon({ pidfile });
    await program.ended;
  });
});

describe('C14 stop and status leave alone', () => {
  /** A process that a pidfile names and that is nobody's daemon. */
  function bystander() {
    const child = spawn('/bin/sleep', ['100'], { stdio: 'ignore' });
    return { pid: child.pid!, [Symbol.dispose]: () => child.kill('SIGKILL') };
  }

  test('a live process that a stale pidfile names', async () => {
    using other = bystander();
    const pidfile = join(temporaryFolder(), 'pid');
    writeFileSync(pidfile, `${other.pid}\n`);
    expect(daemonStatus({ pidfile })).toMatchObject({
      status: 'dead',
      code: 1,
      pid: other.pid,
      reason: `the pidfile is left over: process ${other.pid} is another program's`,
    });
    expect(await stopDaemon({ pidfile })).toEqual({ pid: undefined, signals: [], left: [] });
    expect(() => signalDaemon({ pidfile }, 'KILL')).toThrow(
      /^the daemon of .* is not running: the pidfile is left over/,
    );
    expect(stat(other.pid)?.state).toMatch(/[RSD]/);
    expect(readFileSync(pidfile, 'utf8')).toBe(`${other.pid}\n`);
  });

  test.each(['', 'garbage\n', '0\n', '-1\n', '1\n', `${process.pid}\n`])(
    'everybody, when the pidfile holds %j',
    async (content) => {
      const pidfile = join(temporaryFolder(), 'pid');
      writeFileSync(pidfile, content);
      expect(daemonStatus({ pidfile })).toMatchObject({ status: 'dead', code: 1 });
      expect(await stopDaemon({ pidfile }, { schedule: 'KILL/1' })).toMatchObject({ signals: [] });
      expect(() => signalDaemon({ pidfile }, 9)).toThrow(/^the daemon of .* is not running: /);
    },
  );

  test('everybody, when a pidfile was rewritten while its daemon runs', async () => {
    using other = bystander();
    const { pid, pidfile, program } = await daemon();
    writeFileSync(pidfile, `${other.pid}\n`);
    expect(daemonStatus({ pidfile })).toMatchObject({ status: 'unknown', code: 4 });
    await expect(stopDaemon({ pidfile })).rejects.toThrow(
      `${pidfile}: process ${pid} has locked the pidfile, which names ${other.pid} instead`,
    );
    expect(stat(other.pid)?.state).toMatch(/[RSD]/);
    process.kill(pid);
    await program.ended;
  });

  test.skipIf(!isRoot || !hasFork)(
    'a process that was given the pid of a daemon that was killed',
    async () => {
      // A pid namespace of its own has a counter of its own, which root may set.
      const dir = temporaryFolder();
      const { code, reports, stderr } = await execute('unshare', [
        '--pid',
        '--fork',
        '--mount-proc',
        '--kill-child=SIGKILL',
        node,
        ...inline(`
        const { spawn } = await import('node:child_process');
        const pidfile = ${JSON.stringify(join(dir, 'pid'))};
        if (fork() === 0) {
          daemonize({ pidfile });
          for (;;) posix.poll([], 60_000);
        }
        posix.waitpid(-1);
        const { pid } = doublefork.findDaemon({ pidfile });
        process.kill(pid, 'SIGKILL');
        while (fs.existsSync('/proc/' + pid)) {
          // Process 1 is this one: it reaps.
          try { posix.waitpid(pid, posix.WNOHANG); } catch (error) { if (error.code !== 'ECHILD') throw error; }
          posix.poll([], 1);
        }
        fs.writeFileSync('/proc/sys/kernel/ns_last_pid', String(pid - 1));
        const other = spawn('/bin/sleep', ['100']);
        report(other.pid === pid);
        report(doublefork.daemonStatus({ pidfile }).code);
        report(await doublefork.stopDaemon({ pidfile }, { schedule: 'KILL/1' }));
        process.kill(other.pid, 0);
        other.kill();
      `),
      ]);
      expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
      expect(reports).toEqual([true, 1, { signals: [], left: [] }]);
    },
  );
});

test('C16 a pidfile that everybody may write to is refused for stop', async () => {
  const { pid, pidfile, program } = await daemon();
  chmodSync(pidfile, 0o646);
  await expect(stopDaemon({ pidfile })).rejects.toThrow(
    `the pidfile ${pidfile} can be written by everybody`,
  );
  expect(daemonStatus({ pidfile })).toMatchObject({ code: 4 });
  expect(stat(pid)).toBeDefined();
  chmodSync(pidfile, 0o644);
  await stopDaemon({ pidfile });
  await program.ended;
});

test.skipIf(!isRoot)('no permission to signal: EPERM, and it is known to be alive', async () => {
  const dir = temporaryFolder();
  chmodSync(dir, 0o755);
  const { pid, pidfile, program } = await daemon('', join(dir, 'pid'));
  const { reports } = await start(`
    process.setgid(65534);
    process.setuid(65534);
    const pidfile = ${JSON.stringify(pidfile)};
    report(doublefork.daemonStatus({ pidfile }).status);
    try { await doublefork.stopDaemon({ pidfile }); } catch (error) { report(error.message); }
  `).ended;
  expect(reports).toEqual([
    'running',
    `process ${pid} is running, and is another user's: this user may not signal it`,
  ]);
  await stopDaemon({ pidfile });
  await program.ended;
});

describe('commands', () => {
  test('reload, reopen and those of the program reach their functions', async () => {
    const { pidfile, program } = await daemon(
      `daemon.on('reload', () => report('reload')).on('reopen', () => report('reopen'))`,
    );
    signalDaemon({ pidfile }, 'reload');
    expect(await program.report()).toBe('reload');
    signalDaemon({ pidfile }, 'reopen');
    expect(await program.report()).toBe('reopen');
    signalDaemon({ pidfile }, 'hup');
    expect(await program.report()).toBe('reload');
    await stopDaemon({ pidfile });
    await program.ended;
  });

  test('a program maps names of its own to signals', async () => {
    const pidfile = join(temporaryFolder(), 'pid');
    const program = start(
      `const commands = { flush: 'SIGURG' };
       const daemon = daemonize({ pidfile: ${JSON.stringify(pidfile)}, keepFds: [3], commands });
       daemon.on('flush', () => report('flush'));
       try { daemon.on('nonsense', () => {}); } catch (error) { report(error.code); }
       setInterval(() => {}, 1e6);`,
    );
    expect(await program.report()).toBe('ERR_OUT_OF_RANGE');
    await program.exited;
    signalDaemon({ pidfile }, 'flush', { commands: { flush: 'SIGURG' } });
    expect(await program.report()).toBe('flush');
    expect(() => signalDaemon({ pidfile }, 'flush')).toThrow('out of range');
    await stopDaemon({ pidfile });
    await program.ended;
  });
});

test('restart starts the new one when the old one has ended', async () => {
  const first = await daemon();
  const second = await restartDaemon({ pidfile: first.pidfile }, () => {
    expect(findDaemon({ pidfile: first.pidfile })).toBeUndefined();
    return daemon('', first.pidfile);
  });
  expect(findDaemon({ pidfile: first.pidfile })?.pid).toBe(second.pid);
  await stopDaemon({ pidfile: first.pidfile });
  await first.program.ended;
  await second.program.ended;
});
