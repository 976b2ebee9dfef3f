// start-stop-daemon(8) and monit(1) read our pidfiles, and signal our daemons, as they do others'.

import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Pidfile } from 'doublefork';
import { expect, test } from 'vitest';
import { temporaryFolder } from '../../support/folder.js';
import { until } from '../../support/processes.js';
import { launch, start } from '../../support/program.js';

const has = (command: string) => spawnSync('sh', ['-c', `command -v ${command}`]).status === 0;

/** A daemon that goes on TERM, or does not. */
async function daemon(pidfile: string, stubborn = false) {
  const program = start(
    `const daemon = daemonize({ pidfile: ${JSON.stringify(pidfile)}, keepFds: [3] });
     ${stubborn ? "process.on('SIGTERM', () => {});" : "daemon.on('stop', () => process.exit());"}
     report(process.pid);
     setInterval(() => {}, 1e6);`,
  );
  const pid: number = await program.report();
  await program.exited;
  return { pid, program };
}

/** Its exit code. */
const startStopDaemon = (...args: string[]) =>
  spawnSync('start-stop-daemon', args, { stdio: ['ignore', 'ignore', 'inherit'] }).status;

const withStartStopDaemon = test.skipIf(!has('start-stop-daemon'));
withStartStopDaemon('start-stop-daemon --status and --stop --retry agree', async () => {
  const pidfile = join(temporaryFolder(), 'pid');
  expect(startStopDaemon('--status', '--pidfile', pidfile)).toBe(3);
  const obedient = await daemon(pidfile);
  expect(startStopDaemon('--status', '--pidfile', pidfile)).toBe(0);
  expect(startStopDaemon('--stop', '--retry', 'TERM/5/KILL/2', '--pidfile', pidfile)).toBe(0);
  await obedient.program.ended;
  expect(existsSync(pidfile)).toBe(false);

  const stubborn = await daemon(pidfile, true);
  expect(startStopDaemon('--stop', '--retry', 'TERM/1/KILL/5', '--pidfile', pidfile)).toBe(0);
  await stubborn.program.ended;
  expect(startStopDaemon('--status', '--pidfile', pidfile)).toBe(1);
  expect(Pidfile.inspect(pidfile)).toMatchObject({ state: 'stale', pid: stubborn.pid });
});

test.skipIf(!has('monit'))('monit finds the daemon by its pidfile, and finds it gone', async () => {
  const dir = temporaryFolder();
  const pidfile = join(dir, 'pid');
  const { pid, program } = await daemon(pidfile);
  writeFileSync(
    join(dir, 'monitrc'),
    `set daemon 1
     set log ${dir}/log
     set pidfile ${dir}/monit.pid
     set statefile ${dir}/state
     set idfile ${dir}/id
     set httpd unixsocket ${dir}/socket allow admin:monit
     check process app with pidfile ${pidfile}\n`,
    { mode: 0o600 },
  );
  const monit = launch('monit', ['-I', '-c', join(dir, 'monitrc')]);
  // Empty while it cannot be asked: its socket is there before it listens.
  const summary = () =>
    spawnSync('monit', ['-c', join(dir, 'monitrc'), '-B', 'status', 'app'], {
      encoding: 'utf8',
    }).stdout;
  try {
    await until(() => /status +OK/.test(summary()), 'monit: OK');
    expect(summary()).toMatch(new RegExp(`^ *pid +${pid}$`, 'm'));
    process.kill(pid);
    await program.ended;
    await until(
      () => readFileSync(join(dir, 'log'), 'utf8').includes("'app' process is not running"),
      'monit: not running',
    );
  } finally {
    process.kill(monit.pid);
  }
  await monit.ended;
});
