// C23, C24: how supervisors and workers are told to end, and that nothing of them stays.

import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Pidfile } from 'doublefork';
import { describe, expect, test } from 'vitest';
import { engine, testContinuing, testFork } from '../../support/engine.js';
import { temporaryFolder } from '../../support/folder.js';
import { node } from '../../support/node.js';
import {
  isSpareOrHolder,
  killQuietly,
  MARK,
  marked,
  type Stat,
  stat,
  until,
} from '../../support/processes.js';
import { inline, launch, run, start } from '../../support/program.js';
import { testAsRoot } from '../../support/root.js';
import { decisions } from './tools.js';

const SUPERVISE = 'const { supervise } = doublefork;';
const STAY = 'setInterval(() => {}, 1e6);';

/** A folder of the test's own, under the name FAMILY; with a file in it that is no program. */
function folder(broken?: string): { env: { FAMILY: string } } {
  const path = temporaryFolder();
  if (broken !== undefined) writeFileSync(join(path, broken), 'no program', { mode: 0o755 });
  return { env: { FAMILY: path } };
}

/** All processes of this test. */
const left = () =>
  marked(process.env[MARK]!).filter((pid) => pid !== process.pid && !isSpareOrHolder(pid));

const children = (pid: number): Stat[] =>
  readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => stat(Number(name)) ?? [])
    .filter((it) => it.ppid === pid && !isSpareOrHolder(it.pid));

describe('stop', () => {
  test.each(['SIGTERM', 'SIGINT'] as const)(
    '%s ends the workers, then the supervisor',
    async (signal) => {
      const program = start(`${SUPERVISE}
      const worker = supervise({ workers: 3 });
      worker.signal.addEventListener('abort', () => { report(worker.signal.reason); process.exit(0); });
      report('up');
      ${STAY}
    `);
      for (let i = 0; i < 3; i++) expect(await program.report()).toBe('up');
      process.kill(program.pid, signal);
      const ended = await program.ended;
      expect(ended).toMatchObject({ code: 0, signal: null });
      expect(ended.reports.slice(3)).toEqual(['SIGTERM', 'SIGTERM', 'SIGTERM']);
      expect(decisions(ended, 'stop')[0].by).toBe(`${signal} from pid ${process.pid}`);
      expect(left()).toEqual([]);
    },
  );

  test('C23 during the backoff it is immediate, and nothing is started after it', async () => {
    const program = start(`${SUPERVISE}
      supervise({ minUptime: 1e9, backoff: { initial: 1e6 } });
      report(process.pid);
      process.exit(1);
    `);
    const pid = await program.report();
    await until(() => stat(pid) === undefined, 'reaped');
    process.kill(program.pid);
    const ended = await program.ended;
    expect(ended.code).toBe(0);
    expect(decisions(ended, 'start')).toHaveLength(1);
  });

  test('C23 a worker that dies while it is told to end is not started again', async () => {
    const program = start(`${SUPERVISE}
      const worker = supervise();
      process.on('SIGTERM', () => process.kill(process.pid, 'SIGKILL'));
      report('up');
      ${STAY}
    `);
    await program.report();
    process.kill(program.pid);
    expect((await program.ended).reports).toEqual(['up']);
  });

  test.each([
    ['a worker that does not end in time is killed', 300, '', { signal: 'SIGKILL' }],
    ['one that is stopped is let go on', 0, 'process.exit(0)', { exitCode: 0 }],
  ])('%s', async (_name, stopTimeout, onStop, exit) => {
    const program = start(`${SUPERVISE}
      supervise({ stopTimeout: ${stopTimeout} });
      process.on('SIGTERM', () => { ${onStop} });
      report(process.pid);
      ${STAY}
    `);
    process.kill(await program.report(), 'SIGSTOP');
    process.kill(program.pid);
    expect(decisions(await program.ended, 'exit')).toMatchObject([exit]);
  });

  test('a worker that is told again by its service manager finishes what it has begun', async () => {
    const program = start(`${SUPERVISE}
      const worker = supervise();
      worker.signal.addEventListener('abort', () => report('told'));
      // Delivered after SIGTERM, if both are waiting: the lower number comes first.
      process.on('SIGWINCH', () => { report('finished'); process.exit(0); });
      report(process.pid);
      ${STAY}
    `);
    const worker = await program.report();
    process.kill(program.pid);
    expect(await program.report()).toBe('told');
    for (const signal of ['SIGTERM', 'SIGINT', 'SIGWINCH'] as const) process.kill(worker, signal);
    const ended = await program.ended;
    expect(ended.reports.slice(2)).toEqual(['finished']);
    expect(decisions(ended, 'exit')).toMatchObject([{ exitCode: 0, cause: 'stop' }]);
  });

  testFork(
    'the pidfile is free once its supervisor was killed, whatever its workers have left',
    async () => {
      const pidfile = join(temporaryFolder(), 'pid');
      const program = start(`${SUPERVISE}
      daemonize({ detach: 'never', pidfile: '${pidfile}' });
      supervise({ log: 'none' });
      // A copy of the worker, which nothing ends with it.
      if (fork() === 0) report(process.pid);
      ${STAY}
    `);
      const copy: number = await program.report();
      expect(Pidfile.inspect(pidfile)).toMatchObject({ state: 'held', pid: program.pid });
      process.kill(program.pid, 'SIGKILL');
      await program.exited;
      expect(stat(copy)).toBeDefined();
      // A spare that was just being forked has the lock until it sees that its parent is gone.
      await until(() => Pidfile.inspect(pidfile).state === 'stale', 'free');
      killQuietly(copy);
      await program.ended;
    },
  );

  test('SIGQUIT does not wait', async () => {
    const program = start(`${SUPERVISE}
      const worker = supervise({ stopTimeout: 0 });
      process.on('SIGTERM', () => report('asked'));
      report('up');
      ${STAY}
    `);
    await program.report();
    process.kill(program.pid);
    expect(await program.report()).toBe('asked');
    process.kill(program.pid, 'SIGQUIT');
    expect((await program.ended).code).toBe(0);
  });

  testContinuing(
    'a signal that comes for a worker as it is born reaches the handlers that the program has',
    async () => {
      const program = start(`${SUPERVISE}
      process.on('SIGTERM', () => process.exit(9));
      supervise({ restart: 'never', log: 'none' });
      ${STAY}
    `);
      // As early as can be: the supervisor may not have seen its own fork return.
      await until(() => children(program.pid).length === 1, 'forked');
      process.kill(children(program.pid)[0]!.pid, 'SIGTERM');
      expect((await program.ended).code).toBe(9);
    },
  );

  test('workers that are stopped as they are born do not stop the supervisor', async () => {
    const program = start(`${SUPERVISE} supervise({ workers: 8, stopTimeout: 500 }); ${STAY}`);
    const stopped = new Set<number>();
    await until(() => {
      for (const { pid } of children(program.pid)) {
        if (stopped.has(pid)) continue;
        stopped.add(pid);
        process.kill(pid, 'SIGSTOP');
      }
      return stopped.size === 8;
    }, 'eight workers');
    process.kill(program.pid);
    expect((await program.ended).code).toBe(0);
  });

  test('onExit: clean-ups run before the end, the last one first', async () => {
    const program = start(`${SUPERVISE}
      const worker = supervise();
      worker.onExit(async () => { await null; report('first'); });
      worker.onExit(async () => { await new Promise((r) => setTimeout(r, 50)); report('second'); });
      report('up');
      ${STAY}
    `);
    await program.report();
    process.kill(program.pid);
    const ended = await program.ended;
    expect(ended.reports).toEqual(['up', 'second', 'first']);
    expect(decisions(ended, 'exit')).toMatchObject([{ exitCode: 0 }]);
  });

  test('a storm of signals: none is lost, nothing hangs', async () => {
    const program = start(`${SUPERVISE}
      const worker = supervise({ workers: 2, stopSignal: 'SIGUSR2', stopTimeout: 0 });
      process.on('SIGUSR1', () => {});
      process.on('SIGUSR2', () => process.exit(0));
      report('up');
      ${STAY}
    `);
    for (const _ of [1, 2]) await program.report();
    for (let i = 0; i < 2000; i++) {
      process.kill(program.pid, (['SIGUSR1', 'SIGCHLD', 'SIGHUP'] as const)[i % 3]);
    }
    process.kill(program.pid, 'SIGTERM');
    expect((await program.ended).code).toBe(0);
  });
});

testFork('a signal that comes while supervise() fails is the program’s', async () => {
  const program = start(`${SUPERVISE}
    process.on('SIGUSR2', () => report('heard'));
    let error;
    process.on('SIGTERM', () => { report(error.code); process.exit(); });
    // Then the pipe by which libuv locks its signals is not found, and nothing can be forked.
    for (const name of fs.readdirSync('/proc/self/fd')) {
      if (fs.existsSync('/dev/fd/' + name) && fs.fstatSync(+name).isFIFO()) posix.setCloseOnExec(+name, false);
    }
    report('up');
    for (;;) {
      try { supervise({ engine: 'fork' }); } catch (thrown) { error = thrown; }
      await new Promise(setImmediate);
    }
  `);
  expect(await program.report()).toBe('up');
  for (let i = 0; i < 50; i++) {
    // At any moment of the next turns.
    await new Promise((resolve) => setTimeout(resolve, i % 8));
    process.kill(program.pid, 'SIGUSR2');
    expect(await program.report()).toBe('heard');
  }
  process.kill(program.pid);
  expect(await program.report()).toBe('ENOTSUP');
  await program.ended;
});

describe('families', () => {
  /** A worker with children: one as usual, one in a session of its own, one that detaches itself. */
  const FAMILY = `
    const { spawn } = await import('node:child_process');
    const file = process.env.FAMILY + '/' + process.pid;
    const pids = () => fs.readFileSync(file, 'utf8').trim().split('\\n').map(Number);
    const shell = 'echo $$ >>' + file + '; exec sleep 1000';
    spawn('/bin/sh', ['-c', shell]);
    spawn('setsid', ['/bin/sh', '-c', shell]);
    spawn('/bin/sh', ['-c', '(setsid /bin/sh -c "' + shell.replace('$$', '\\\\$\\\\$') + '" &) &']);
    const timer = setInterval(() => {
      if (!fs.existsSync(file) || pids().length < 3) return;
      clearInterval(timer);
      report({ worker: process.pid, family: pids() });
    }, 5);
    setInterval(() => {}, 1e6);
  `;

  test('C24 stop leaves nothing of what workers have started', async () => {
    const program = start(`${SUPERVISE} supervise({ workers: 2 }); ${FAMILY}`, folder());
    const families = [await program.report(), await program.report()].flatMap(
      ({ family }) => family,
    );
    expect(families).toHaveLength(6);
    expect(families.every((pid) => stat(pid))).toBe(true);
    process.kill(program.pid);
    expect((await program.ended).code).toBe(0);
    expect(families.filter((pid) => stat(pid))).toEqual([]);
    expect(left()).toEqual([]);
  });

  test('C24 nor does a crash, before the next one starts', async () => {
    const program = start(`${SUPERVISE} supervise({ minUptime: 0 }); ${FAMILY}`, folder());
    const first = await program.report();
    process.kill(first.worker, 'SIGKILL');
    const second = await program.report();
    expect(first.family.filter((pid: number) => stat(pid))).toEqual([]);
    process.kill(program.pid);
    await program.ended;
    expect(second.family.filter((pid: number) => stat(pid))).toEqual([]);
  });

  test('C24 nor does it matter that one is about to leave its parent when it is looked for', async () => {
    const hopping = folder();
    // Each of them starts another one and ends, over and over, as long as there is the folder.
    const program = start(
      `${SUPERVISE}
      const worker = supervise({ minUptime: 0 });
      if (worker.generation === 1) {
        const { spawn } = await import('node:child_process');
        const HOP = 'sleep 0.002; echo >"$FAMILY/hops" || exit; sh -c "$HOP" &';
        const env = { ...process.env, HOP };
        for (let i = 0; i < 8; i++) spawn('setsid', ['sh', '-c', HOP], { env, stdio: 'ignore' });
      }
      report(process.pid);
      ${STAY}
    `,
      hopping,
    );
    const first = await program.report();
    await until(() => existsSync(join(hopping.env.FAMILY, 'hops')), 'a hop');
    process.kill(first, 'SIGKILL');
    const second = await program.report();
    expect(left().sort()).toEqual([program.pid, second].sort());
    process.kill(program.pid);
    await program.ended;
  });

  testAsRoot('nobody waits for one of another user, who may not be ended', async () => {
    const program = launch('setpriv', [
      '--bounding-set=-kill',
      '--inh-caps=-kill',
      node,
      ...inline(`${SUPERVISE}
        const { generation } = supervise({ minUptime: 0, maxRestarts: 5, backoff: { initial: 1 }, cgroup: 'none' });
        if (generation === 1) {
          const { spawnSync } = await import('node:child_process');
          const shell = 'setsid sleep 1000 >/dev/null 2>&1 3>&- & echo $!';
          report(Number(spawnSync('sh', ['-c', shell], { uid: 65534 }).stdout));
        }
        // One for each time that it has waited for something.
        const status = fs.readFileSync('/proc/' + process.ppid + '/status', 'latin1');
        report(Number(/^voluntary_ctxt_switches:(.*)/m.exec(status)[1]));
        process.kill(process.pid, 'SIGKILL');
      `),
    ]);
    const orphan = await program.report();
    const waits = (await program.ended).reports.slice(1);
    expect(stat(orphan)).toBeDefined();
    killQuietly(orphan);
    expect(waits).toHaveLength(6);
    // Each crash had it look hundreds of times.
    expect(waits[5] - waits[0]).toBeLessThan(300);
  });

  test('C23 no zombies: orphans are reaped, workers and their children too', async () => {
    const program = start(`${SUPERVISE}
      const worker = supervise({ minUptime: 0 });
      const { execFileSync } = await import('node:child_process');
      execFileSync('/bin/sh', ['-c', '(sleep 0.05 &) &']);
      report(process.pid);
      ${STAY}
    `);
    for (let i = 0; i < 5; i++) process.kill(await program.report(), 'SIGKILL');
    await program.report();
    const states = () => children(program.pid).map(({ state }) => state);
    await until(() => states().length === 1 && !states().includes('Z'), 'one child, and it lives');
    process.kill(program.pid);
    await program.ended;
  });

  test('C23 a supervisor that is killed leaves no worker behind', async () => {
    const program = start(`${SUPERVISE}
      supervise({ workers: 3 });
      process.on('SIGTERM', () => {});
      report(process.pid);
      ${STAY}
    `);
    const workers = [await program.report(), await program.report(), await program.report()];
    process.kill(program.pid, 'SIGKILL');
    await program.ended;
    await until(() => workers.every((pid) => stat(pid) === undefined), 'gone');
  });

  test('a worker has none of the descriptors of its supervisor, nor of its siblings', async () => {
    const program = start(
      `${SUPERVISE}
      const before = fs.readdirSync('/proc/self/fd').length;
      const worker = supervise({ workers: 3, control: process.env.FAMILY + '/control' });
      report(fs.readdirSync('/proc/self/fd').length - before);
      ${STAY}
    `,
      folder(),
    );
    // The pipe to the supervisor. An image had it before, and two that are its fd 0 and 1 now.
    const more = engine === 'exec' ? -2 : 1;
    for (let i = 0; i < 3; i++) expect(await program.report()).toBe(more);
    process.kill(program.pid);
    await program.ended;
  });
});

test('a program that a worker runs has the streams of the supervisor', async () => {
  const { stdout, stderr } = await run(`${SUPERVISE}
    supervise({
      exec: ['/bin/sh', '-c', 'echo out; echo err >&2'], restart: 'never', minUptime: 0, log: 'none',
    });
  `);
  expect({ stdout, stderr }).toEqual({ stdout: 'out\n', stderr: 'err\n' });
});

test('workers can run another program', async () => {
  const program = start(`${SUPERVISE}
    supervise({ workers: 2, minUptime: 0, exec: ['sleep', '1000'] });
    report('never');
  `);
  await until(() => children(program.pid).length === 2, 'two workers');
  const name = (pid: number) => readFileSync(`/proc/${pid}/comm`, 'utf8').trim();
  await until(() => children(program.pid).every(({ pid }) => name(pid) === 'sleep'), 'sleep');
  const [first] = children(program.pid);
  const ignored = readFileSync(`/proc/${first!.pid}/status`, 'utf8').match(/SigIgn:\t(\w+)/)![1]!;
  expect(BigInt(`0x${ignored}`)).toBe(0n);
  process.kill(first!.pid, 'SIGKILL');
  await until(() => stat(first!.pid) === undefined && children(program.pid).length === 2, 'again');
  process.kill(program.pid);
  const ended = await program.ended;
  expect(ended).toMatchObject({ code: 0, reports: [] });
});

test('a program that a worker runs is not told of the service manager of its supervisor', async () => {
  const { stdout } = await run(`
    process.env.NOTIFY_SOCKET = process.env.WATCHDOG_USEC = process.env.WATCHDOG_PID = '1';
    ${SUPERVISE} supervise({
      exec: ['/bin/sh', '-c', 'echo "$NOTIFY_SOCKET.$WATCHDOG_USEC.$WATCHDOG_PID"'],
      restart: 'never', minUptime: 0, log: 'none',
    });
  `);
  expect(stdout).toBe('..\n');
});

test('a program that cannot be run gives up with the error', async () => {
  const missing = await run(`${SUPERVISE} supervise({ exec: ['/nonexistent'] });`);
  expect(missing.stderr).toMatch(/ENOENT/);
  expect(missing.code).toBe(1);
  const broken = await run(
    `${SUPERVISE} supervise({ exec: [process.env.FAMILY + '/broken'],
      maxFailures: 1, backoff: { initial: 1 } });`,
    folder('broken'),
  );
  expect(broken.code).toBe(1);
  expect(decisions(broken, 'exit')[0]).toMatchObject({ exitCode: 127 });
  expect(decisions(broken, 'exit')[0].error).toMatch(/cannot run .*broken/);
});

describe('a worker beside its supervisor', () => {
  test('does not wait for one that does not read what it is told', async () => {
    const program = start(`${SUPERVISE}
      const worker = supervise();
      process.once('SIGUSR2', () => {
        // More than the pipe between them holds.
        for (let i = 0; i < 50; i++) worker.status(String(i).padStart(10_000));
        report('goes on');
      });
      report(process.pid);
      ${STAY}
    `);
    const worker = await program.report();
    process.kill(program.pid, 'SIGSTOP');
    await until(() => stat(program.pid)?.state === 'T', 'supervisor to stop');
    process.kill(worker, 'SIGUSR2');
    expect(await program.report()).toBe('goes on');
    process.kill(program.pid, 'SIGCONT');
    process.kill(program.pid);
    await program.ended;
  });

  test('does not keep its pidfile, whose lock would outlive it', async () => {
    const { reports } = await run(
      `${SUPERVISE}
        const [pidfile] = process.argv.slice(1);
        const leadsThere = (fd) => {
          try { return fs.readlinkSync('/proc/self/fd/' + fd) === pidfile; } catch { return false; }
        };
        const hasIt = () => fs.readdirSync('/proc/self/fd').some(leadsThere);
        daemonize({ keepFds: [3], pidfile });
        report(hasIt());
        supervise({ restart: 'never', log: 'none' });
        report(hasIt());
        process.exit(0);
      `,
      { args: [join(temporaryFolder(), 'pid')] },
    );
    expect([reports[0], reports.at(-1)]).toEqual([true, false]);
  });
});
