// The table of signals: what src/supervise/signals.ts says is what happens, and what docs/signals.md says.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { SIGNALS, type SignalMeaning } from '../../../src/supervise/signals.js';
import { root } from '../../support/node.js';
import { killQuietly, stat, until } from '../../support/processes.js';
import { start } from '../../support/program.js';

type Name = keyof typeof SIGNALS;
const NAMES = Object.keys(SIGNALS) as Name[];
const meaning = (name: Name): SignalMeaning => SIGNALS[name];
const COLUMNS = ['launcher', 'daemon', 'supervisor', 'keeper', 'image', 'worker'] as const;

const isGone = (pid: number) => (stat(pid)?.state ?? 'Z') === 'Z';

/** A signal that was sent has been taken, or the process has ended. */
async function isTaken(pid: number): Promise<void> {
  const pending = () => {
    const status = readFileSync(`/proc/${pid}/status`, 'utf8');
    const set = (name: string) =>
      BigInt(`0x${new RegExp(`^${name}:\t(w+)$`, 'm').exec(status)![1]}`);
    // What it blocks does nothing for as long as it does.
    return ((set('SigPnd') | set('ShdPnd')) & ~set('SigBlk')) !== 0n;
  };
  await until(() => {
    if (isGone(pid)) return true;
    try {
      return !pending();
    } catch {
      return true;
    }
  }, 'that the signal is taken');
}

test('docs/signals.md has the table', () => {
  const rows = NAMES.map(
    (name) => `| ${[name, ...COLUMNS.map((it) => meaning(name)[it])].join(' | ')} |`,
  );
  const page = readFileSync(join(root, 'docs/signals.md'), 'utf8');
  expect(page).toContain(`${rows.join('\n')}\n`);
});

/** Starts something for each signal, and tells whether it has ended by it. */
async function walk(
  column: 'launcher' | 'daemon',
  source: string,
  pidOf: (launcher: number, reported: number) => number,
) {
  for (const name of NAMES) {
    const reports: number[] = [];
    const running = start(source, { onReport: (pid) => reports.push(pid as number) });
    await until(() => reports.length > 0, 'the start');
    const pid = pidOf(running.pid, reports[0]!);
    process.kill(pid, name);
    const ends =
      meaning(name)[column].startsWith('ends') || meaning(name)[column].includes('else ends');
    if (ends) await until(() => isGone(pid), `the end by ${name}`);
    await isTaken(pid);
    expect({ column, name, ends: isGone(pid) }).toEqual({ column, name, ends });
    for (const each of [running.pid, reports[0]!]) killQuietly(each, 'SIGKILL');
    await running.ended;
  }
}

test('the launcher, while it waits', async () => {
  await walk(
    'launcher',
    `daemonize({ ready: 'manual', keepFds: [3] }); report(process.pid); setInterval(() => {}, 1000);`,
    (launcher) => launcher,
  );
}, 60_000);

test('a daemon without handlers', async () => {
  await walk(
    'daemon',
    `daemonize({ keepFds: [3] }); report(process.pid); setInterval(() => {}, 1000);`,
    (_, daemon) => daemon,
  );
}, 60_000);

test('a daemon that listens: stop, again and again, is one stop; reload, reopen', async () => {
  const reports: unknown[] = [];
  const running = start(
    `const daemon = daemonize({ keepFds: [3] });
    daemon.signal.addEventListener('abort', () => report(daemon.signal.reason));
    for (const name of ['reload', 'reopen']) daemon.on(name, () => report(name));
    report(process.pid);
    setInterval(() => {}, 1000);`,
    { onReport: (value) => reports.push(value) },
  );
  await until(() => reports.length === 1, 'the start');
  const pid = reports[0] as number;
  for (const [index, name] of (['SIGHUP', 'SIGUSR2', 'SIGTERM'] as const).entries()) {
    process.kill(pid, name);
    await until(() => reports.length === index + 2, name);
  }
  // A service manager and a supervisor may both have said it.
  process.kill(pid, 'SIGTERM');
  await isTaken(pid);
  expect(isGone(pid)).toBe(false);
  expect(reports.slice(1)).toEqual(['reload', 'reopen', 'SIGTERM']);
  process.kill(pid, 'SIGKILL');
  await running.ended;
});

const FAMILY = `
  const worker = doublefork.supervise({ workers: 1, minUptime: 0, backoff: { initial: 1, max: 1 }, maxFailures: 0, spare: 0 });
  report(process.pid);
  setInterval(() => {}, 1000);
`;

test('a worker without handlers', async () => {
  const pids: number[] = [];
  const running = start(FAMILY, { onReport: (pid) => pids.push(pid as number) });
  await until(() => pids.length > 0, 'the worker');
  for (const name of NAMES) {
    const count = pids.length;
    const pid = pids.at(-1)!;
    process.kill(pid, name);
    const ends = /^ends|else ends/.test(meaning(name).worker);
    if (ends) await until(() => pids.length > count, `another worker after ${name}`);
    await isTaken(pid);
    expect({ name, ends: isGone(pid) }).toEqual({ name, ends });
  }
  process.kill(running.pid, 'SIGTERM');
  expect((await running.ended).code).toBe(0);
}, 60_000);
