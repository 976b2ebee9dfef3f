// DOUBLEFORK_DEBUG: what the launcher, the daemon and the supervisor do, step by step.

import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { temporaryFolder } from '../../support/folder.js';
import { run } from '../../support/program.js';

/** A line: when, which process, who in it, and what it does. */
const LINE = /^\d{4}-\d\d-\d\dT[\d:.]+Z doublefork (\d+) (\w+): (.+)$/;

function linesOf(text: string): { pid: number; who: string; what: string }[] {
  return text
    .split('\n')
    .slice(0, -1)
    .map((line) => {
      const [, pid, who, what] = LINE.exec(line) ?? [];
      if (what === undefined) throw new Error(`not a line of the trace: ${line}`);
      return { pid: Number(pid), who: who!, what };
    });
}

const PROGRAM = `
  const { listen, supervise } = doublefork;
  daemonize({ ready: 'manual', keepFds: [3], pidfile: process.argv[1] });
  listen('http', { port: 0 });
  const worker = supervise({ restart: 'never', log: 'none' });
  worker.ready();
  report(process.pid);
  process.exit(0);
`;

test('with a path it is appended there, by every process', async () => {
  const directory = temporaryFolder();
  const path = join(directory, 'trace');
  const { code, pid, reports } = await run(PROGRAM, {
    env: { DOUBLEFORK_DEBUG: path },
    args: [join(directory, 'pid')],
  });
  expect(code).toBe(0);
  const lines = linesOf(readFileSync(path, 'utf8'));
  const said = (by: number, who: string, what: RegExp) =>
    lines.some((line) => line.pid === by && line.who === who && what.test(line.what));
  expect(said(pid, 'launcher', /starts the daemon/)).toBe(true);
  const daemon = lines.find(({ who }) => who === 'supervisor')!.pid;
  expect(daemon).not.toBe(pid);
  expect(said(daemon, 'pidfile', /names this process/)).toBe(true);
  expect(said(daemon, 'listen', /"http" is fd \d+, bound/)).toBe(true);
  expect(said(daemon, 'supervisor', /"type":"exited"/)).toBe(true);
  expect(said(daemon, 'daemon', /tells the launcher: "0/)).toBe(true);
  expect(said(reports[0], 'worker', /is worker 1, generation 1/)).toBe(true);
});

test('with 1 it is on stderr', async () => {
  const { stderr, pid } = await run('daemonize();', { env: { DOUBLEFORK_DEBUG: '1' } });
  expect(linesOf(stderr)).toContainEqual(
    expect.objectContaining({ pid, who: 'daemonize', what: 'leaves the terminal' }),
  );
});

test('without it nothing is written, and an unusable path is told and does no harm', async () => {
  expect((await run('daemonize();')).stderr).toBe('');
  const path = join(temporaryFolder(), 'missing', 'trace');
  const { code, stderr } = await run('daemonize();', { env: { DOUBLEFORK_DEBUG: path } });
  expect(code).toBe(0);
  expect(stderr).toContain(`DOUBLEFORK_DEBUG is of no use any more: Error: cannot open ${path}`);
  expect(existsSync(path)).toBe(false);
});
