// Threads that an addon has started: they know nothing of Node, hold locks that remember their
// owner, and sleep in calls that no kernel restarts.

import { describe, expect, test } from 'vitest';
import { hasFork, testFork } from '../../support/engine.js';
import { run } from '../../support/program.js';
import { isRoot } from '../../support/root.js';
import { withThreads } from '../../support/threads.js';

/** From then on much of /proc is root's: prctl(2), PR_SET_DUMPABLE. */
const DROP = 'process.setgroups([]); process.setgid(65534); process.setuid(65534);';

describe('the list of threads', () => {
  testFork('K4 is complete, or the fork is refused: threads that each start the next', async () => {
    const { reports } = await run(
      withThreads(`
          threads.start('chain');
          const tids = () => fs.readdirSync('/proc/self/task');
          const nameOf = (tid) => {
            try { return fs.readFileSync('/proc/self/task/' + tid + '/comm', 'utf8').trim(); } catch { return ''; }
          };
          // One that ends while it is looked for has a successor.
          const isThere = () => {
            for (let i = 0; i < 200; i++) if (tids().some((tid) => nameOf(tid) === 'chain')) return true;
            return false;
          };
          const fates = { missing: 0, busy: 0, other: 0 };
          const end = performance.now() + 10_000;
          for (let i = 0; i < 200 && performance.now() < end; i++) {
            try {
              const pid = fork({ timeoutMs: 50 });
              if (pid === 0) posix._exit(isThere() ? 0 : 7);
              const { exitCode } = posix.waitpid(pid);
              if (exitCode === 7) fates.missing++;
              else if (exitCode !== 0) fates.other++;
            } catch (error) {
              if (error.code !== 'EBUSY') throw error;
              fates.busy++;
            }
          }
          report({ ...fates, busy: 0, alive: isThere() });
          process.exit(0);
        `),
    );
    expect(reports).toEqual([{ missing: 0, busy: 0, other: 0, alive: true }]);
  });
});

testFork('K13 short-lived threads are waited for as long as quiesceTimeout says', async () => {
  const { reports } = await run(
    withThreads(`
      threads.start('burst');
      await new Promise((resolve) => setTimeout(resolve, 100));
      const pid = fork({ timeoutMs: 20_000 });
      if (pid === 0) posix._exit(3);
      report(posix.waitpid(pid).exitCode);
      process.exit(0);
    `),
  );
  expect(reports).toEqual([3]);
});

describe('K7 calls that no kernel restarts after a signal', () => {
  const CALLS = `
    threads.startCalls();
    const settled = async () => {
      for (;;) {
        const outcomes = threads.outcomes();
        if (outcomes !== '...') return outcomes;
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
    };
    // All sleep by then, and one that was woken would have said so.
    const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
    await pause(200);
    // Back in their calls after a fork: a thread that finds its semaphore gone before it sleeps
    // there again is told EINVAL, not EIDRM.
    const stateOf = (tid) => {
      try { return fs.readFileSync('/proc/self/task/' + tid + '/stat', 'utf8').split(') ').pop()[0]; } catch { return ''; }
    };
    const isBack = (tid) => Number(tid) === process.pid || stateOf(tid) !== 'R';
    const allBack = async () => {
      while (!fs.readdirSync('/proc/self/task').every(isBack)) await pause(10);
    };
  `;

  testFork('come back after fork() as if nothing had been, in parent and child', async () => {
    const { reports } = await run(
      withThreads(`${CALLS}
        const pid = fork();
        await pause(3000);
        threads.release();
        report([pid === 0 ? 'child' : 'parent', await settled()]);
        process.exit(0);
      `),
    );
    // A copy has no AIO context: io_setup(2).
    const told = reports.map(([who, outcomes]) => [
      who,
      who === 'parent' ? outcomes : outcomes.replace(/^io_getevents: -1, errno 22.*\n/, ''),
    ]);
    expect(told.sort()).toEqual([
      ['child', ''],
      ['parent', ''],
    ]);
  });

  test.skipIf(!hasFork || !isRoot || process.arch !== 'x64')(
    'those of libc also where /proc does not tell how a thread sleeps',
    async () => {
      const { reports } = await run(
        withThreads(`${DROP} ${CALLS}
          const pid = fork();
          await pause(3000);
          threads.release();
          report(await settled());
          process.exit(0);
        `),
      );
      expect(reports).toHaveLength(2);
      const LIBC =
        /^(poll|epoll_wait|epoll_pwait|select|pselect|usleep|sem_timedwait|semtimedop|recv|recvmsg|send|sigtimedwait)\b.*/gm;
      for (const outcomes of reports) expect(outcomes.match(LIBC)).toBeNull();
    },
  );

  testFork('and after daemonize()', async () => {
    const { reports } = await run(
      withThreads(`${CALLS}
        daemonize({ keepFds: [3] });
        await pause(3000);
        threads.release();
        report(await settled());
        process.exit(0);
      `),
    );
    expect(reports).toEqual(['']);
  });

  testFork('end on time, however often the program forks meanwhile', async () => {
    const { reports } = await run(
      withThreads(`${CALLS}
        // Each interrupts them all; a fresh timeout each time would never pass. That of a socket
        // (SO_RCVTIMEO) is nothing to be shortened.
        // They end if the machine lets no fork come in time.
        const SOCKETS = 'recv,recvmsg,read of a socket,send,'.split(',');
        const sleep = () => !threads.pending().split(',').every((name) => SOCKETS.includes(name));
        let forks = 0;
        for (; forks < 300 && sleep(); forks++) {
          const pid = fork();
          if (pid === 0) posix._exit(0);
          posix.waitpid(pid);
          await pause(50);
        }
        report(forks);
        await allBack();
        threads.release();
        report(await settled());
        process.exit(0);
      `),
    );
    expect(reports[1]).toEqual('');
    expect(reports[0]).toBeLessThan(300);
  });

  testFork('also when the next fork() stops them on their way back into the call', async () => {
    const { reports } = await run(
      withThreads(`${CALLS}
        for (let i = 0; i < 100; i++) {
          const pids = [];
          for (let j = 0; j < 4; j++) {
            const pid = fork();
            if (pid === 0) posix._exit(0);
            pids.push(pid);
          }
          for (const pid of pids) posix.waitpid(pid);
        }
        await allBack();
        threads.release();
        report(await settled());
        process.exit(0);
      `),
    );
    // Some may sleep for longer than they asked for: docs/fork.md, Limits.
    expect(reports).toHaveLength(1);
    expect(reports[0].match(/^.*errno 4\b.*/gm)).toBeNull();
  });
});

describe('K5 locks that remember their owner', () => {
  testFork('a thread at the door of a call that it has not entered is not at rest', async () => {
    const { reports } = await run(
      withThreads(`
        threads.start('door');
        try {
          const pid = fork({ timeoutMs: 300 });
          if (pid === 0) posix._exit(0);
          posix.waitpid(pid);
          report('forked');
        } catch (error) {
          report([error.code, error.message]);
        }
        process.exit(0);
      `),
    );
    // ld.so looks for a library with its lock held: the copy of such a thread could never unlock it.
    expect(reports).toEqual([
      ['EBUSY', expect.stringMatching(/did not come to rest in a system call: thread \d+ "door"/)],
    ]);
  });

  test.skipIf(!hasFork || !isRoot)(
    'and in one that has given up privileges, which may not read all of /proc',
    async () => {
      const { reports } = await run(
        withThreads(`
        threads.start('sleeper');
        ${DROP}
        await new Promise((resolve) => setTimeout(resolve, 100));
        const pid = fork();
        report([pid === 0 ? 'child' : 'parent', threads.takeLocks()]);
        process.exit(0);
      `),
      );
      expect(reports.sort()).toEqual([
        ['child', ''],
        ['parent', ''],
      ]);
    },
  );

  testFork('are the sleeping thread’s in parent, child and daemon', async () => {
    const { reports } = await run(
      withThreads(`
        threads.start('sleeper');
        await new Promise((resolve) => setTimeout(resolve, 100));
        const pid = fork();
        if (pid === 0) {
          report(['child', threads.takeLocks()]);
          process.exit(0);
        }
        report(['parent', threads.takeLocks()]);
        const { exitCode, signal } = posix.waitpid(pid);
        report(['child’s end', exitCode ?? signal]);
        await new Promise((resolve) => setTimeout(resolve, 100));
        daemonize({ keepFds: [3] });
        report(['daemon', threads.takeLocks()]);
        process.exit(0);
      `),
    );
    expect(reports.sort()).toEqual([
      ['child', ''],
      ['child’s end', 0],
      ['daemon', ''],
      ['parent', ''],
    ]);
  });
});

/** A line of /proc/N/task/N/status of the thread with that name, and the scheduling policy. */
const LOOK = `
  const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
  const threadNamed = (name) => fs.readdirSync('/proc/self/task').find((tid) =>
    fs.readFileSync('/proc/self/task/' + tid + '/comm', 'utf8') === name + '\\n');
  const line = (name, field) => new RegExp('^' + field + ':\\\\s*(.*)$', 'm').exec(
    fs.readFileSync('/proc/self/task/' + threadNamed(name) + '/status', 'utf8'))[1];
  const policy = (name) => fs.readFileSync('/proc/self/task/' + threadNamed(name) + '/stat', 'utf8')
    .split(') ')[1].split(' ')[38];
`;

describe('K3 what a thread has of its own', () => {
  testFork('its processors and its scheduling policy, it has in child and daemon', async () => {
    const { reports } = await run(
      withThreads(`${LOOK}
        threads.start('pinned');
        threads.start('batch');
        await sleep(100);
        const look = () => [line('pinned', 'Cpus_allowed_list'), policy('batch')];
        const pid = fork();
        if (pid === 0) {
          await sleep(100);
          report(look());
          process.exit(0);
        }
        posix.waitpid(pid);
        daemonize({ keepFds: [3] });
        await sleep(100);
        report(look());
        process.exit(0);
      `),
    );
    expect(reports).toEqual([
      ['0', '3'],
      ['0', '3'],
    ]);
  });

  const OWN = [
    ['filtered', /seccomp filter of its own|no_new_privs of its own/],
    ['restricted', /no_new_privs of its own/],
    ...(isRoot ? [['nobody', /a user of its own/] as const] : []),
  ] as const;
  test.skipIf(!hasFork).each(OWN)('privileges, is refused with its name: %s', async (name, why) => {
    const { reports } = await run(
      withThreads(`${LOOK}
        threads.start('${name}');
        await sleep(100);
        for (const call of [() => fork(), () => exported.daemonize({ engine: 'fork', detach: 'always', keepFds: [3] })]) {
          try {
            if (call() === 0) posix._exit(0);
            report('no refusal');
          } catch (error) {
            report([error.code, error.message]);
          }
        }
        process.exit(0);
      `),
    );
    expect(reports).toEqual([
      ['ENOTSUP', expect.stringMatching(why)],
      ['ENOTSUP', expect.stringMatching(why)],
    ]);
    expect(reports[0][1]).toContain(`"${name}"`);
  });
});

testFork('K6 a thread on a stack too small for a signal frame goes on', async () => {
  const { reports, code } = await run(
    withThreads(`${LOOK}
      threads.start('tiny');
      while (threads.ticks() === '0') await sleep(5);
      const goesOn = async () => {
        const before = threads.ticks();
        for (let i = 0; i < 400; i++) {
          await sleep(5);
          if (threads.ticks() !== before) return true;
        }
        return false;
      };
      const pid = fork();
      report([pid === 0 ? 'child' : 'parent', await goesOn()]);
      process.exit(0);
    `),
  );
  expect(code).toBe(0);
  expect(reports.sort()).toEqual([
    ['child', true],
    ['parent', true],
  ]);
});

testFork('a timer of timer_create(2) is refused: no child has it', async () => {
  const { reports } = await run(
    withThreads(`
      threads.startTimer();
      for (const call of [() => fork(), () => exported.daemonize({ engine: 'fork', detach: 'always', keepFds: [3] })]) {
        try {
          if (call() === 0) posix._exit(0);
          report('no refusal');
        } catch (error) {
          report([error.code, error.message]);
        }
      }
    `),
  );
  expect(reports).toEqual([
    ['ENOTSUP', expect.stringContaining('timer_create(2)')],
    ['ENOTSUP', expect.stringContaining('timer_create(2)')],
  ]);
});

testFork('libc’s handler of signal 33 is put back, in parent, child and daemon', async () => {
  const { reports } = await run(
    withThreads(`
      const before = threads.handlerOf33();
      const pid = fork();
      if (pid === 0) {
        report(threads.handlerOf33() === before);
        process.exit(0);
      }
      posix.waitpid(pid);
      report(threads.handlerOf33() === before);
      daemonize({ keepFds: [3] });
      report(threads.handlerOf33() === before);
    `),
  );
  expect(reports).toEqual([true, true, true]);
});

describe('a parent whose threads are stopped for good', () => {
  const STOPPED = `
    import { Worker } from 'node:worker_threads';
    import { once } from 'node:events';
    const worker = new Worker('setInterval(() => {}, 1000)', { eval: true, execArgv: [] });
    await once(worker, 'online');
    const pid = fork({ parent: 'main-thread' });
    if (pid === 0) posix._exit(0);
    posix.waitpid(pid);
  `;

  test.skipIf(!hasFork || !isRoot)('can give up its user and groups', async () => {
    const { reports, code } = await run(`${STOPPED}
      process.setgroups([]);
      process.setgid(65534);
      process.setuid(65534);
      report([process.getuid(), process.getgid()]);
      // Threads that are made from now on are compared with what this one may do now.
      await fs.promises.stat('/');
      const second = fork({ parent: 'main-thread' });
      if (second === 0) posix._exit(4);
      report(posix.waitpid(second).exitCode);
      posix._exit(3);
    `);
    expect(reports).toEqual([[65534, 65534], 4]);
    expect(code).toBe(3);
  });

  testFork('ends by process.exit(), at its end, and by an exception', async () => {
    const ways = [
      'process.exit(4)',
      'process.exitCode = 4; worker.unref()',
      'throw new Error("thrown")',
    ];
    const ended = [];
    for (const way of ways) {
      ended.push(await run(`${STOPPED} process.on('exit', (code) => report(code)); ${way}`));
    }
    expect(ended.map(({ code, reports }) => [code, reports])).toEqual([
      [4, [4]],
      [4, [4]],
      [1, [1]],
    ]);
    expect(ended[2]!.stderr).toContain('thrown');
  });
});
