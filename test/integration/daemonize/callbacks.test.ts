// Methods given away as callbacks, and what frameworks call them with.

import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { testContinuing } from '../../support/engine.js';
import { temporaryFolder } from '../../support/folder.js';
import { run } from '../../support/program.js';
import { decisions } from '../supervise/tools.js';

const MANUAL = `
  const daemon = daemonize({ keepFds: [3], ready: 'manual', detach: 'always' });
  const { createServer } = process.getBuiltinModule('node:http');
`;

/** Callbacks as frameworks call them: Node's own and Express 5's without, Fastify's with two. */
test.each([
  ['server.listen(0, daemon.ready)', 'createServer().listen(0, daemon.ready).unref()'],
  ['destructured', 'const { ready } = daemon; ready()'],
  ['(error, address) of Fastify', `daemon.ready(null, 'http://localhost')`],
  ['.then(daemon.ready)', 'await Promise.resolve(createServer()).then(daemon.ready)'],
])('a daemon is ready by %s', async (_, how) => {
  const { code, stderr } = await run(`${MANUAL} ${how};`);
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
});

test.each([
  ['of Express 5', `new Error('listen EADDRINUSE')`],
  [
    'of another realm',
    `process.getBuiltinModule('node:vm').runInNewContext("new Error('listen EADDRINUSE')")`,
  ],
])('ready(error) %s is a failed start', async (_, error) => {
  const { code, stderr, reports } = await run(`
    ${MANUAL}
    daemon.ready(${error});
    report('went on');
  `);
  expect({ code, reports }).toEqual({ code: 1, reports: [] });
  expect(stderr).toContain('Error: listen EADDRINUSE');
});

describe('every method works when it is taken off its object', () => {
  test('of a daemon', async () => {
    const { code, reports, stderr } = await run(`
      ${MANUAL}
      const { on, off, reopenLogs, ready, fail, exec, [Symbol.dispose]: dispose } = daemon;
      const reload = () => { report('reload'); ready(); fail('enough', 3); };
      on('reload', reload); off('reload', reload); on('reload', reload);
      reopenLogs(); dispose();
      process.kill(process.pid, 'SIGHUP');
      setTimeout(() => {}, 1e6);
    `);
    expect({ code, reports, stderr }).toEqual({ code: 0, reports: ['reload'], stderr: '' });
  });

  test('of a daemon: exec', async () => {
    const { code, stderr } = await run(`${MANUAL} const { exec } = daemon; exec('/nowhere', []);`);
    expect(code).toBe(127);
    expect(stderr).toContain('/nowhere');
  });

  testContinuing('of a worker, a listener and a pidfile', async () => {
    const folder = temporaryFolder();
    const { code, reports, stderr } = await run(`
      const { supervise, listen, Pidfile } = doublefork;
      const { acquire, inspect } = Pidfile;
      const { write, remove, path } = acquire('${join(folder, 'pid')}');
      write(); report(inspect(path).state); remove(); report(inspect(path).state);
      const { close } = listen('http', { port: 0 });
      close();
      const worker = supervise({ ready: 'manual', restart: 'never', log: 'none' });
      const { ready, ping, status, explain, onExit } = worker;
      onExit(() => report('cleaned up'));
      ping(); status('text'); explain('reason'); ready();
    `);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(reports).toEqual(['held', 'free', 'cleaned up']);
  });
});

test('worker.ready(error) is a worker that has failed, and says why', async () => {
  const { code, stderr, reports } = await run(`
    const worker = doublefork.supervise({ ready: 'manual', restart: 'never' });
    worker.ready(new Error('listen EADDRINUSE'));
    report('went on');
  `);
  expect({ code, reports }).toEqual({ code: 1, reports: [] });
  expect(decisions({ stderr }, 'exit')[0].error).toContain('Error: listen EADDRINUSE');
  expect(decisions({ stderr }, 'ready')).toEqual([]);
});
