// onFork(): what a program has done in each process that comes of it.

import { expect, test } from 'vitest';
import { run } from '../../support/program.js';

const NOTED = `
const { onFork, supervise } = doublefork;
const calls = [];
const note = (name) => (what) => calls.push([name, what]);
`;

test('hooks run in the order in which they were registered, in child and parent', async () => {
  const { code, reports } = await run(`
    ${NOTED}
    onFork({ child: note('child 1'), parent: note('parent 1') });
    onFork({ parent: note('parent 2') });
    onFork({ child: note('child 3') });
    const pid = fork();
    if (pid === 0) report({ child: calls });
    else report({ exit: posix.waitpid(pid).exitCode, parent: calls, pid });
  `);
  expect(code).toBe(0);
  const { parent, pid } = reports.find((value) => 'parent' in value);
  expect(reports).toContainEqual({
    child: [
      ['child 1', { moved: false }],
      ['child 3', { moved: false }],
    ],
  });
  expect(parent).toEqual([
    ['parent 1', { pid }],
    ['parent 2', { pid }],
  ]);
});

test('a registration that was disposed of runs no more, and another of the same functions does', async () => {
  const { reports } = await run(`
    ${NOTED}
    const hooks = { parent: note('again') };
    const first = onFork(hooks);
    onFork(hooks);
    first[Symbol.dispose]();
    const pid = fork();
    if (pid === 0) posix._exit(0);
    posix.waitpid(pid);
    report(calls.length);
  `);
  expect(reports).toEqual([1]);
});

test('a child whose hook throws does not go on: its caller would take that for a refusal', async () => {
  const { code, reports, stderr } = await run(`
    ${NOTED}
    onFork({ child: () => { throw new Error('no entropy'); } });
    onFork({ child: () => report('the hook after it') });
    let pid;
    try { pid = fork(); } catch (error) { report({ caught: error.message }); }
    if (pid === 0) report('went on');
    else report({ exit: posix.waitpid(pid).exitCode });
  `);
  expect({ code, reports }).toEqual({ code: 0, reports: [{ exit: 1 }] });
  expect(stderr).toContain('Error: no entropy');
});

test('a hook that returns a promise is one that throws', async () => {
  const { reports, stderr } = await run(`
    ${NOTED}
    onFork({ child: async () => {} });
    const pid = fork();
    if (pid === 0) report('went on');
    else report({ exit: posix.waitpid(pid).exitCode });
  `);
  expect(reports).toEqual([{ exit: 1 }]);
  expect(stderr).toContain('hooks must be synchronous');
});

test('what a parent hook throws is an uncaught exception; the child is not lost', async () => {
  const { reports } = await run(`
    ${NOTED}
    onFork({ parent: () => { throw new Error('bad hook'); } });
    onFork({ parent: note('the next') });
    process.on('uncaughtException', ({ message }) => report({ uncaught: message, calls: calls.length }));
    const pid = fork();
    if (pid === 0) posix._exit(7);
    report({ exit: posix.waitpid(pid).exitCode });
  `);
  expect(reports).toEqual([{ exit: 7 }, { uncaught: 'bad hook', calls: 1 }]);
});

test('the parent hooks of one that gives way do not run', async () => {
  const { reports } = await run(`
    ${NOTED}
    onFork({ parent: () => report('parent'), child: () => report('child') });
    if (fork({ parent: 'frozen' }) > 0) posix._exit(0);
  `);
  expect(reports).toEqual(['child']);
});

test('in a daemon they hear that the process was moved, and see it as it will be', async () => {
  const { code, reports } = await run(`
    ${NOTED}
    onFork({
      child: (how) => calls.push({ ...how, cwd: process.cwd(), pid: process.pid }),
      parent: () => report('parent'),
    });
    daemonize({ engine: 'fork', detach: 'always', keepFds: [3] });
    report({ calls, pid: process.pid });
  `);
  expect(code).toBe(0);
  expect(reports).toHaveLength(1);
  const { calls, pid } = reports[0];
  expect(calls).toEqual([{ moved: true, cwd: '/', pid }]);
});

test('a daemon whose hook throws has not started', async () => {
  const { code, reports, stderr } = await run(`
    ${NOTED}
    onFork({ child: () => { throw new Error('no entropy'); } });
    daemonize({ engine: 'fork', detach: 'always', keepFds: [3] });
    report('went on');
  `);
  expect({ code, reports }).toEqual({ code: 1, reports: [] });
  expect(stderr).toContain('Error: no entropy');
});

test('they run in every worker and every restart of one, and not in the supervisor', async () => {
  const { code, reports } = await run(`
    ${NOTED}
    onFork({ child: note('child'), parent: () => report('parent') });
    const worker = supervise({ engine: 'fork', workers: 2, minUptime: 0, restart: 'on-failure', log: 'none' });
    report({ id: worker.id, restarts: worker.restarts, calls });
    process.exitCode = worker.restarts === 0 ? 1 : 0;
  `);
  expect(code).toBe(0);
  const calls = [['child', { moved: false }]];
  expect(reports).toHaveLength(4);
  for (const id of [1, 2]) {
    for (const restarts of [0, 1]) expect(reports).toContainEqual({ id, restarts, calls });
  }
});

test('a worker whose hook throws has failed, and the supervisor says why', async () => {
  const { code, reports, stderr } = await run(`
    ${NOTED}
    onFork({ child: () => { throw new Error('no entropy'); } });
    supervise({ engine: 'fork', maxFailures: 1, backoff: { initial: 0 } });
    report('went on');
  `);
  expect({ code, reports }).toEqual({ code: 1, reports: [] });
  expect(stderr).toMatch(/"event":"exit".*Error: no entropy/);
});

test('with the exec engine nothing is copied, and none runs', async () => {
  const { reports } = await run(`
    ${NOTED}
    onFork({ child: note('child'), parent: note('parent') });
    daemonize({ engine: 'exec', detach: 'always', keepFds: [3] });
    report(calls);
  `);
  expect(reports).toEqual([[]]);
});

test('a hook of one copy of the package runs in a fork of another', async () => {
  const { reports } = await run(`
    // By another name it is loaded a second time.
    const { onFork } = await import('./dist/index.js?another');
    onFork({ child: () => report('child') });
    const pid = fork();
    if (pid === 0) posix._exit(0);
    posix.waitpid(pid);
  `);
  expect(reports).toEqual(['child']);
});

test.each([
  [undefined, 'ERR_INVALID_ARG_TYPE'],
  [null, 'ERR_INVALID_ARG_TYPE'],
  [{ child: 1 }, 'ERR_INVALID_ARG_TYPE'],
  [{ prepare: () => {} }, 'ERR_INVALID_ARG_VALUE'],
])('onFork(%o) is refused with %s', async (hooks, code) => {
  const { onFork } = await import('doublefork');
  expect(() => onFork(hooks as never)).toThrow(expect.objectContaining({ code }));
});
