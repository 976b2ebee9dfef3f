// The guardian of zh-five/xdaemon, on supervise(): examples/guardian.

import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { testContinuing, testFork } from '../../support/engine.js';
import { temporaryFolder } from '../../support/folder.js';
import { stat, until } from '../../support/processes.js';
import { run } from '../../support/program.js';
import { decisions } from './tools.js';

/** Runs a program under the guardian, to its end if it has one. @returns what it has logged */
async function guarded(options: string, worker: string, end: RegExp): Promise<string> {
  const log = join(temporaryFolder(), 'app.log');
  const { code } = await run(`
    const { guard } = await import('./examples/guardian/guardian.mjs');
    const worker = guard({ logFile: '${log}', ${options} });
    ${worker}
  `);
  expect(code).toBe(0);
  await until(() => existsSync(log) && end.test(readFileSync(log, 'utf8')), `${end} in the log`);
  return readFileSync(log, 'utf8');
}

describe('guardian', () => {
  test('MaxError: gives up with code 1 after more short lives in a row, whatever the exit code', async () => {
    const log = await guarded('maxError: 2', 'process.exit(0);', /"event":"stopped"/);
    expect(decisions({ stderr: log }, 'exit')).toHaveLength(3);
    expect(decisions({ stderr: log }, 'give-up')).toMatchObject([{ failures: 3, code: 1 }]);
    expect(decisions({ stderr: log }, 'stopped')).toMatchObject([{ code: 1 }]);
  });

  test('MinExitTime: a longer life resets the count', async () => {
    const log = await guarded(
      'maxError: 1, minExitTime: 0.3',
      'setTimeout(() => process.exit(1), worker.generation === 2 ? 1000 : 0);',
      /"event":"stopped"/,
    );
    // A failure, a longer life, and two failures again; on a slow machine more than the second is long.
    const lives = decisions({ stderr: log }, 'exit').map(({ uptime }) =>
      uptime >= 300 ? 'long' : 'short',
    );
    expect(lives.join(' ')).toMatch(/^((short )?long )+short short$/);
  });

  test.each([1, 3])('MaxCount: no more than %d starts', async (count) => {
    const log = await guarded(
      `maxCount: ${count}, minExitTime: 0`,
      'process.exit(0);',
      /"event":"stopped"/,
    );
    expect(decisions({ stderr: log }, 'start')).toHaveLength(count);
  });

  test('every exit is told with pid, lifetime and reason; the worker alone runs on', async () => {
    const log = await guarded(
      'maxCount: 2, minExitTime: 0',
      `console.log('working in ' + process.cwd());
       if (worker.restarts === 0) process.kill(process.pid, 'SIGKILL');`,
      /"event":"stopped"/,
    );
    const [first, second] = decisions({ stderr: log }, 'exit');
    expect(first).toMatchObject({ worker: 1, signal: 'SIGKILL', uptime: expect.any(Number) });
    expect(second).toMatchObject({ worker: 1, exitCode: 0, workerPid: expect.any(Number) });
    expect(log.match(/^working in /gm)).toHaveLength(2);
    await until(() => stat(first.pid) === undefined, 'the end of the guardian');
  });

  testFork(
    'a second child of one parent is as good as the first: none skips its own call',
    async () => {
      const { code, reports } = await run(`
      const { supervise } = doublefork;
      const children = [1, 2].map((n) => {
        const pid = fork();
        if (pid > 0) return pid;
        const worker = supervise({ restart: 'never', log: 'none' });
        report({ n, id: worker.id, ppid: process.ppid });
        process.exit(0);
      });
      report(children);
      for (const pid of children) posix.waitpid(pid);
    `);
      expect(code).toBe(0);
      const [first, second] = reports.find((value) => Array.isArray(value))!;
      expect(reports).toContainEqual({ n: 1, id: 1, ppid: first });
      expect(reports).toContainEqual({ n: 2, id: 1, ppid: second });
    },
  );

  test('supervise() before daemonize(): the worker stays where its supervisor sees it', async () => {
    const { code, reports, pid } = await run(`
      const { supervise } = doublefork;
      supervise({ restart: 'never', log: 'none' });
      const daemon = daemonize({ keepFds: [3] });
      report({ detached: daemon.detached, ppid: process.ppid, cwd: process.cwd() });
      process.exit(3);
    `);
    expect(code).toBe(3);
    expect(reports).toEqual([{ detached: false, ppid: pid, cwd: '/' }]);
  });

  testContinuing(
    'three calls in a row make three generations, and the last one does the work',
    async () => {
      const { code, reports, pid } = await run(`
      const { supervise } = doublefork;
      const chain = [process.pid];
      for (let i = 0; i < 3; i++) {
        supervise({ restart: 'never', log: 'none' });
        chain.push(process.pid);
      }
      report(chain);
      process.exit(7);
    `);
      expect(code).toBe(7);
      expect(reports).toHaveLength(1);
      expect(reports[0][0]).toBe(pid);
      expect(new Set(reports[0]).size).toBe(4);
    },
  );
});
