// daemon.exec(): a daemon that becomes another program.

import { existsSync, readdirSync, readFileSync, readlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { daemonStatus, stopDaemon } from 'doublefork';
import { expect, test } from 'vitest';
import { temporaryFolder } from '../../support/folder.js';
import { stat, status } from '../../support/processes.js';
import { type Ended, run } from '../../support/program.js';

/** Starts a program with a log and a pidfile in a folder. */
function become(dir: string, argv: readonly string[], options = ''): Promise<Ended> {
  return run(
    `const [, dir, path, ...args] = process.argv;
     daemonize({ ready: 'manual', pidfile: dir + '/pid', log: dir + '/log' })
       .exec(path, [path, ...args], { ${options} });`,
    { args: [dir, ...argv] },
  );
}

/** What a process has open. */
function files(pid: number): string[] {
  return readdirSync(`/proc/${pid}/fd`)
    .map((fd) => readlinkSync(`/proc/${pid}/fd/${fd}`))
    .sort();
}

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
  expect(await stopDaemon({ pidfile })).toEqual({ pid, signals: ['SIGTERM'] });
  expect(existsSync(pidfile)).toBe(false);
});

test('C16 children of the program do not hold the lock', async () => {
  const dir = temporaryFolder();
  const pidfile = join(dir, 'pid');
  await become(dir, ['/bin/sh', '-c', 'sleep 100 & echo $!; wait']);
  const { pid } = daemonStatus({ pidfile });
  const child = Number(readFileSync(join(dir, 'log'), 'utf8'));
  expect(files(child)).toContain(pidfile);
  await stopDaemon({ pidfile }, { schedule: 'KILL/10' });
  expect(stat(pid!)?.state ?? 'Z').toBe('Z');
  expect(daemonStatus({ pidfile }).status).toBe('stopped');
  expect((await become(dir, ['/bin/sleep', '100'])).code).toBe(0);
  process.kill(child, 'SIGKILL');
  await stopDaemon({ pidfile });
});

test.each([
  ['/nowhere', 127, 'ENOENT'],
  ['/etc/passwd', 126, 'EACCES'],
])('%s cannot be run: exit code %i, and no pidfile stays', async (path, expected, error) => {
  const dir = temporaryFolder();
  const { code, stderr } = await become(dir, [path]);
  expect(code).toBe(expected);
  expect(stderr).toContain(`${error}: `);
  expect(stderr).toContain(`execve '${path}'`);
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

test('settle: a program that dies later, but within that, has died at once too', async () => {
  const dir = temporaryFolder();
  const dies = ['/bin/sh', '-c', 'sleep 0.3; exit 4'];
  const { code, stderr } = await become(dir, dies, 'settle: 60_000');
  expect(code).toBe(4);
  expect(stderr).toContain('exited with code 4 at once');
});
