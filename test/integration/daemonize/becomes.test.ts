// daemon.exec(): a daemon that becomes another program.

import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { daemonStatus, stopDaemon } from 'doublefork';
import { expect, test } from 'vitest';
import { temporaryFolder } from '../../support/folder.js';
import { descriptors, stat, status, until } from '../../support/processes.js';
import { type Ended, start } from '../../support/program.js';
import type { Running } from '../../support/running.js';

/** Starts a program with a log and a pidfile in a folder. */
function starting(dir: string, argv: readonly string[], options = ''): Running<Ended> {
  return start(
    `const [, dir, path, ...args] = process.argv;
     daemonize({ ready: 'manual', pidfile: dir + '/pid', log: dir + '/log' })
       .exec(path, [path, ...args], { ${options} });`,
    { args: [dir, ...argv] },
  );
}

const become: (...args: Parameters<typeof starting>) => Promise<Ended> = (...args) =>
  starting(...args).ended;

/** What a process has open. */
const files = (pid: number): string[] =>
  [...descriptors(pid).values()].map(({ target }) => target).sort();

test('the program has the pid, the log and the lock of the daemon, and no descriptor but the lock', async () => {
  const dir = temporaryFolder();
  const pidfile = join(dir, 'pid');
  const { code, stderr } = await become(dir, ['/bin/sleep', '100']);
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  const { status: found, pid } = daemonStatus({ pidfile });
  expect(found).toBe('running');
  expect(readFileSync(`/proc/${pid}/comm`, 'utf8')).toBe('sleep\n');
  expect(stat(pid!)).toMatchObject({ ttyNr: 0 });
  expect(files(pid!)).toEqual(['/dev/null', join(dir, 'log'), join(dir, 'log'), pidfile]);
  expect(status(pid!, 'SigIgn')).toMatch(/^0+$/);
  expect(status(pid!, 'SigBlk')).toMatch(/^0+$/);
  expect(await stopDaemon({ pidfile })).toEqual({ pid, signals: ['SIGTERM'], left: [] });
  expect(existsSync(pidfile)).toBe(false);
});

test('C16 children of the program do not hold the lock', async () => {
  const dir = temporaryFolder();
  const pidfile = join(dir, 'pid');
  await become(dir, ['/bin/sh', '-c', 'sleep 100 & echo $!; wait']);
  const { pid } = daemonStatus({ pidfile });
  const child = Number(readFileSync(join(dir, 'log'), 'utf8'));
  expect(files(child)).toContain(pidfile);
  process.kill(pid!, 'SIGKILL');
  await until(() => daemonStatus({ pidfile }).status === 'dead', 'killed');
  expect(stat(child)?.state).toBe('S');
  expect((await become(dir, ['/bin/sleep', '100'])).code).toBe(0);
  process.kill(child, 'SIGKILL');
  await stopDaemon({ pidfile });
});

test.each([
  ['/nowhere', 127, 'cannot run /nowhere: there is no such'],
  ['/etc/passwd', 126, 'cannot run /etc/passwd: permission denied'],
])('%s cannot be run: exit code %i, and no pidfile stays', async (path, expected, error) => {
  const dir = temporaryFolder();
  const { code, stderr } = await become(dir, [path]);
  expect(code).toBe(expected);
  expect(stderr).toContain(error);
  expect(existsSync(join(dir, 'pid'))).toBe(false);
});

test.each([
  ['exit 3', 3, 'exited with code 3 at once'],
  ['kill -9 $$', 137, 'was killed by SIGKILL at once'],
  ['exit 0', 1, 'exited with code 0 at once; if it goes to the background by itself'],
])('a program that dies at once (%s): how, and what it wrote', async (how, expected, said) => {
  const dir = temporaryFolder();
  writeFileSync(join(dir, 'log'), 'of a start before\n');
  const { code, stderr } = await become(dir, ['/bin/sh', '-c', `echo one; echo two >&2; ${how}`]);
  expect(code).toBe(expected);
  expect(stderr).toContain(said);
  expect(stderr).toContain(`It wrote to ${join(dir, 'log')}:\none\ntwo\n`);
  expect(stderr).not.toContain('before');
});

test('a program that has no turn for a while, as on a busy machine, and then dies, has died at once', async () => {
  const dir = temporaryFolder();
  const pidfile = join(dir, 'pid');
  const program = starting(dir, ['/bin/sh', '-c', 'kill -STOP $$; exit 5']);
  const pid = () => daemonStatus({ pidfile }).pid ?? -1;
  await until(() => stat(pid())?.state === 'T', 'stopped');
  // Four times as long as it may be busy.
  await new Promise((resolve) => setTimeout(resolve, 200));
  process.kill(pid(), 'SIGCONT');
  const { code, stderr } = await program.ended;
  expect(code).toBe(5);
  expect(stderr).toContain('exited with code 5 at once');
});

test('settle: a program that dies later, but within that, has died at once too', async () => {
  const dir = temporaryFolder();
  const dies = ['/bin/sh', '-c', 'sleep 0.3; exit 4'];
  const { code, stderr } = await become(dir, dies, 'settle: 60_000');
  expect(code).toBe(4);
  expect(stderr).toContain('exited with code 4 at once');
});

test('settle: Ctrl-C meanwhile ends the program and what it has started', async () => {
  const dir = temporaryFolder();
  const script = `sleep 100 & echo $! > ${dir}/child; wait`;
  const program = starting(dir, ['/bin/sh', '-c', script], 'settle: 60_000');
  const child = () => readFileSync(join(dir, 'child'), 'utf8').trim();
  await until(() => existsSync(join(dir, 'child')) && child() !== '', 'the child has started');
  const daemon = daemonStatus({ pidfile: join(dir, 'pid') }).pid!;
  process.kill(program.pid, 'SIGINT');
  expect(await program.ended).toMatchObject({ signal: 'SIGINT', stderr: '' });
  for (const pid of [daemon, Number(child())]) {
    await until(() => ['Z', 'X', undefined].includes(stat(pid)?.state), 'ended');
  }
});
