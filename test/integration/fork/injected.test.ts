// What the system or somebody else does in the midst of a fork: strace(1) sends a signal at a certain
// call of a certain process, or has it fail.

import { spawnSync } from 'node:child_process';
import { describe, expect, test } from 'vitest';
import { hasFork } from '../../support/engine.js';
import { node } from '../../support/node.js';
import { execute, inline } from '../../support/program.js';
import { withThreads } from '../../support/threads.js';

const isThere = spawnSync('strace', ['--version']).error === undefined;
if (!isThere)
  console.log('Not tested, for want of strace(1): signals and errors in the midst of a fork');
const testInjected = test.skipIf(!hasFork || !isThere);

/** Runs an inline program with what strace is to do at a call of it: strace(1), "Tampering". */
function runInjected(call: string, deed: string, source: string) {
  const words = ['-f', '-qq', '-o', '/dev/null', '-e', `trace=${call}`];
  return execute('strace', [...words, '-e', `inject=${call}:${deed}`, node, ...inline(source)]);
}

describe('somebody stops', () => {
  testInjected('the intermediate: it is let go on', async () => {
    const { reports, code } = await runInjected(
      'setsid',
      'signal=SIGSTOP',
      `daemonize({ keepFds: [3], engine: 'fork' }); report('a daemon');`,
    );
    expect(reports).toEqual(['a daemon']);
    expect(code).toBe(0);
  });

  testInjected('the daemon before it has come to life: it is let go on', async () => {
    // The one call that it makes then and that nobody else makes: for a thread with a policy of its own.
    const { reports, code } = await runInjected(
      'sched_setattr',
      'signal=SIGSTOP',
      withThreads(`
        threads.start('batch');
        await new Promise((resolve) => setTimeout(resolve, 100));
        daemonize({ keepFds: [3], engine: 'fork' });
        report('a daemon');
        process.exit(0);
      `),
    );
    expect(reports).toEqual(['a daemon']);
    expect(code).toBe(0);
  });

  testInjected('the child of fork() before it has come to life: it is let go on', async () => {
    const { reports, code } = await runInjected(
      'sched_setattr',
      'signal=SIGSTOP',
      withThreads(`
        threads.start('batch');
        await new Promise((resolve) => setTimeout(resolve, 100));
        const pid = fork();
        if (pid === 0) process.exit(7);
        report(posix.waitpid(pid).exitCode);
        process.exit(0);
      `),
    );
    expect(reports).toEqual([7]);
    expect(code).toBe(0);
  });
});

describe('the call by which a thread is signalled', () => {
  // As a filter for system calls (seccomp(2)) may have it.
  const FORBIDDEN = ['rt_tgsigqueueinfo', 'error=EPERM'] as const;

  testInjected('fails: a thread is not taken for one that has ended', async () => {
    const { reports } = await runInjected(
      ...FORBIDDEN,
      `
        for (const call of [() => fork(), () => exported.daemonize({ engine: 'fork', keepFds: [3] })]) {
          try {
            if (call() === 0) posix._exit(0);
            report('no refusal');
          } catch ({ code, message }) { report([code, message]); }
        }
      `,
    );
    const refusal = ['ENOTSUP', 'no signal can be queued for a thread (seccomp)'];
    expect(reports).toEqual([refusal, refusal]);
  });

  testInjected("fails: engine 'auto' starts the program again", async () => {
    const { reports, code } = await runInjected(
      ...FORBIDDEN,
      `report('a start'); exported.daemonize({ engine: 'auto', keepFds: [3] }); report('a daemon');`,
    );
    expect(reports).toEqual(['a start', 'a start', 'a daemon']);
    expect(code).toBe(0);
  });

  testInjected('finds no room: that is said', async () => {
    const { reports } = await runInjected(
      'rt_tgsigqueueinfo',
      'error=EAGAIN',
      `try { fork(); } catch ({ code, message }) { report([code, message]); }`,
    );
    expect(reports).toEqual([
      ['EAGAIN', 'no signal can be queued for a thread (RLIMIT_SIGPENDING)'],
    ]);
  });
});

test.skipIf(!isThere).each(['EINVAL', 'ENOSYS'])(
  'a supervisor does without PR_SET_CHILD_SUBREAPER where prctl(2) fails with %s',
  async (error) => {
    const { reports, code } = await runInjected(
      'prctl',
      `error=${error}`,
      `
        const worker = exported.supervise({ restart: 'never', log: 'none' });
        worker.ready();
        report('a worker');
        process.exit(0);
      `,
    );
    expect(reports).toEqual(['a worker']);
    expect(code).toBe(0);
  },
);
