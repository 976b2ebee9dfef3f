// Starts a program, any program, as a daemon under a name.

import { statSync } from 'node:fs';
import { constants as os } from 'node:os';
import { dirname, join } from 'node:path';
import { daemonize } from '../detach/daemonize.js';
import { posixError } from '../posix/errors.js';
import type { App } from './app.js';
import { logFolder, makeFolder, stateFolder } from './folders.js';
import { findProgram } from './program.js';
import { readRecord, writeRecord } from './record.js';

/** The pidfile of an app. */
export function pidfileFor({ name, pidfile }: Pick<App, 'name' | 'pidfile'>): string {
  return pidfile ?? join(stateFolder(), `${name}.pid`);
}

/** The log of an app. */
export function logFor({ name, log }: Pick<App, 'name' | 'log'>): string {
  return log ?? join(logFolder(), `${name}.log`);
}

/**
 * Starts a program as a daemon. This process becomes the launcher: it waits, and exits with 0 once
 * the program runs, else with the code of the program, or 127 if there is none and 126 if it cannot
 * be run; it has said why.
 * @param say what to print when the program runs
 * @throws with nothing started: EEXIST, with its `pid`, if it is running already; ENOENT and EACCES
 * for the program; as daemonize() does
 */
export function startApp(app: App, say: (pid: number) => string): never {
  const pidfile = pidfileFor(app);
  const log = logFor(app);
  if (!statSync(app.cwd).isDirectory()) throw posixError(-os.errno.ENOTDIR, 'chdir', app.cwd);
  const env = { ...process.env, ...app.env };
  const { path, argv } = findProgram(app.program, app.args, app.cwd, env.PATH);
  // The record is there even if the pidfile is elsewhere.
  makeFolder(stateFolder());
  if (app.log === undefined) makeFolder(dirname(log));
  refuseSecond(app.name);
  const daemon = daemonize({
    detach: 'always',
    ready: 'manual',
    readyTimeout: app.timeout,
    pidfile,
    log,
    cwd: app.cwd,
    ...(app.umask === undefined ? {} : { umask: app.umask }),
    // A service manager's, not the program's.
    env: { ...app.env, NOTIFY_SOCKET: undefined },
  });
  try {
    // Once more, with the lock: another start may have been faster.
    refuseSecond(app.name);
    writeRecord({ name: app.name, startedAt: Date.now(), pidfile, log, app });
  } catch (error) {
    daemon.fail(`doublefork: ${(error as Error).message}`);
  }
  return daemon.exec(path, argv, { settle: app.settle, say: say(process.pid) });
}

/** A program that closes what it inherits has let go of its pidfile; its record still tells. */
function refuseSecond(name: string): void {
  const record = readRecord(name);
  if (record?.isRunning !== true) return;
  const { pid, pidfile } = record;
  const error = posixError(-os.errno.EEXIST, 'start', pidfile, `already running with pid ${pid}`);
  throw Object.assign(error, { pid });
}
