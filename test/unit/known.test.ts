// Unknown names in options, wherever there are options, and the name that was meant.

import { createServer } from 'node:net';
import {
  daemonize,
  drain,
  findDaemon,
  fork,
  listen,
  onFork,
  Pidfile,
  signalDaemon,
  stopDaemon,
  supervise,
} from 'doublefork';
import { kill } from 'doublefork/posix';
import { expect, test, vi } from 'vitest';

/** Before a wrong name is refused nothing may happen: these would do it here. */
const calls: [string, () => unknown, string][] = [
  ['daemonize()', () => daemonize({ pidFile: '/x' } as never), 'mean "pidfile"'],
  [
    'log',
    () => daemonize({ log: { file: 'x', appendd: true } as never }),
    'log\\. Did you mean "append"',
  ],
  [
    'stdout',
    () => daemonize({ stdout: { file: 'x', maxsize: 1 } as never }),
    'Known are: file, mode',
  ],
  ['pidfile', () => daemonize({ pidfile: { file: 'x', mod: 1 } as never }), 'mean "mode"'],
  ['limits', () => daemonize({ limits: { nofile: { sfot: 1 } as never } }), 'mean "soft"'],
  ['supervise()', () => supervise({ worker: 2 } as never), 'mean "workers"'],
  ['backoff', () => supervise({ backoff: { inital: 1 } as never }), 'mean "initial"'],
  ['watchdog', () => supervise({ watchdog: { timeOut: 1 } as never }), 'mean "timeout"'],
  ['listen(), a port', () => listen('a', { prot: 1 } as never), 'mean "port"'],
  ['listen(), a path', () => listen('a', { path: 'x', port: 1 } as never), 'Known are: path, mode'],
  ['drain()', () => drain(createServer(), { time: 1 } as never), 'Known are|mean'],
  ['fork()', () => fork({ timeout: 1 } as never), 'mean "timeoutMs"'],
  ['onFork()', () => onFork({ prepare() {} } as never), 'Known are: child, parent'],
  ['Pidfile.acquire()', () => Pidfile.acquire('x', { modes: 1 } as never), 'mean "mode"'],
  [
    'stopDaemon()',
    () => stopDaemon({ name: 'x' }, { shedule: 'TERM' } as never),
    'mean "schedule"',
  ],
  [
    'signalDaemon()',
    () => signalDaemon({ name: 'x' }, 1, { command: {} } as never),
    'mean "commands"',
  ],
  ['a target', () => findDaemon({ pidfle: 'x' } as never), 'mean "pidfile"'],
  ['kill()', () => kill(process.pid, 0, { dangrous: true } as never), 'mean "dangerous"'],
];

// This is a test runner, and the options are looked at all the same.
vi.stubEnv('DOUBLEFORK_FOREGROUND', '0');

test.each(calls)('%s', async (_, call, sentence) => {
  const error = await Promise.resolve()
    .then(call)
    .catch((error: unknown) => error);
  expect(error).toMatchObject({ code: 'ERR_INVALID_ARG_VALUE' });
  expect((error as Error).message).toMatch(new RegExp(`^Unknown option ".*" in .*${sentence}`));
});
