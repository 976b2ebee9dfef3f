// The Workers of worker_threads that were there before a fork.

import { describe, expect, test } from 'vitest';
import { run } from '../../support/program.js';

/** A Worker with another one inside; each answers with what it takes for its process. */
const ASK = `
const { Worker } = await import('node:worker_threads');
const { once } = await import('node:events');
const answer = "const { readlinkSync } = process.getBuiltinModule('fs');"
  + "const { parentPort, Worker } = process.getBuiltinModule('worker_threads');"
  + "const facts = () => [process.pid, Number(readlinkSync('/proc/self')), process.ppid, process.title];";
const inner = answer + "parentPort.on('message', () => parentPort.postMessage(facts()));";
const outer = answer + "const inner = new Worker("
  + JSON.stringify(inner) + ", { eval: true });"
  + "inner.on('online', () => parentPort.postMessage('online'));"
  + "inner.on('message', (theirs) => parentPort.postMessage([facts(), theirs]));"
  + "parentPort.on('message', () => inner.postMessage(0));";
const worker = new Worker(outer, { eval: true });
await once(worker, 'message');
worker.unref();
const ask = async () => {
  worker.postMessage(0);
  const [answers] = await once(worker, 'message');
  return answers;
};
const mine = () => [process.pid, process.pid, process.ppid, process.title];
await ask();
`;

describe('process.pid, ppid and title in Workers are those of the process they are in', () => {
  test('after daemonize()', async () => {
    const { code, reports, stderr } = await run(`
      ${ASK}
      const daemon = daemonize({ engine: 'fork', detach: 'always', keepFds: [3], title: 'renamed', ready: 'manual' });
      // As long as the launcher waits nothing changes who the parent is.
      report({ main: mine(), workers: await ask() });
      daemon.ready();
      process.exit(0);
    `);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    const [{ main, workers }] = reports;
    expect(main[3]).toBe('renamed');
    expect(workers).toEqual([main, main]);
  });

  test('in both processes after fork()', async () => {
    const { reports, pid } = await run(`
      ${ASK}
      const child = fork();
      report({ main: mine(), workers: await ask() });
      if (child > 0) posix.waitpid(child);
      process.exit(0);
    `);
    expect(reports).toHaveLength(2);
    expect(reports.filter(({ main }) => main[0] === pid)).toHaveLength(1);
    for (const { main, workers } of reports) expect(workers).toEqual([main, main]);
  });

  test('in a worker of supervise() and its restart', async () => {
    const { reports } = await run(`
      ${ASK}
      const own = doublefork.supervise({ engine: 'fork', restart: 'on-failure', minUptime: 0, log: 'none' });
      report({ main: mine(), workers: await ask() });
      process.exit(own.restarts === 0 ? 1 : 0);
    `);
    expect(reports).toHaveLength(2);
    for (const { main, workers } of reports) expect(workers).toEqual([main, main]);
  });
});
