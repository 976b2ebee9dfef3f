// All that there is to decide and to look at before a program is started: before a running one is
// stopped for that, too.

import { accessSync, constants, existsSync, readFileSync, statSync } from '../builtin/fs.js';
import { constants as os } from '../builtin/os.js';
import { dirname } from '../builtin/path.js';
import type { Executable } from '../detach/exec-into.js';
import type { Credentials } from '../detach/identity.js';
import { checkLimits, isAbove, type LimitSetting } from '../detach/limits.js';
import { isMessageLog } from '../logs/options.js';
import { posixError, whileTrying } from '../posix/errors.js';
import { forkSupport } from '../posix/fork.js';
import { getrlimit } from '../posix/limits.js';
import { type App, isSupervised } from './app.js';
import {
  CONTROL_VARIABLE,
  controlFor,
  FAMILY_VARIABLE,
  logFor,
  makeFolder,
  pidfileFor,
  stateFolder,
} from './folders.js';
import { findIdentity, loginEnvironment } from './identity.js';
import { findProgram } from './program.js';

/** Where a start comes from; noted, so that the next one comes from there as well. */
export interface Origin {
  /** The config file that has the app, as the user came to it. */
  config?: string;
  /** To which the app adds its own. Default: that of this process. */
  environment?: Readonly<Record<string, string | undefined>>;
}

/** Everything that the daemon needs to become the program. */
export interface Start {
  app: App;
  origin: Origin;
  pidfile: string;
  log: string;
  identity: Credentials;
  executable: Executable;
  env: Record<string, string | undefined>;
}

/** Variables of a service manager that mean the process which it has started, and no other. */
const FOR_ONE_PROCESS = ['NOTIFY_SOCKET', 'WATCHDOG_USEC', 'WATCHDOG_PID'];

/**
 * Decides how an app is started. What is needed for that is there, or can be made.
 * @throws ENOTSUP if it is to say that it is ready, and this system has no fork engine; ENOENT and
 * EACCES for the program, the working directory, the log and the pidfile; ENOENT for the user and the
 * group, EPERM if only root could change to them, or to the limits
 */
export function prepare(app: App, origin: Origin): Start {
  refuseWithoutFork(app);
  const base = { ...(origin.environment ?? process.env) };
  // A service manager's, not the program's.
  for (const name of FOR_ONE_PROCESS) delete base[name];
  const start: Start = {
    app,
    origin: { ...origin, environment: base },
    pidfile: pidfileFor(app),
    log: logFor(app),
    ...programOf(app, base),
  };
  // The record is there even if the pidfile is elsewhere.
  makeFolder(stateFolder());
  if (app.log === undefined) makeFolder(dirname(start.log));
  if (!isMessageLog(start.log)) checkWritable(start.log);
  checkWritable(start.pidfile);
  for (const limit of checkLimits({ limits: app.limits }).limits) checkLimit(limit);
  return start;
}

/**
 * What a program is run with, wherever it runs.
 * @param base the environment to which the app adds its own
 * @throws as {@link prepare} does for the program, the working directory, user and group; ENOENT and
 * EACCES for the file of the environment
 */
export function programOf(
  app: App,
  base: Start['env'],
): Pick<Start, 'identity' | 'executable' | 'env'> {
  checkDirectory(app.cwd);
  // A service manager's, not the program's.
  const own = { ...base };
  for (const name of FOR_ONE_PROCESS) delete own[name];
  const env: Start['env'] = {
    ...own,
    PWD: app.cwd,
    ...loginEnvironment(app.user),
    [CONTROL_VARIABLE]: controlFor(app.name),
    [FAMILY_VARIABLE]: controlFor(app.name),
    ...(app.envFile === undefined ? {} : readEnvironment(app.envFile)),
    ...app.env,
  };
  return {
    identity: findIdentity(app.user, app.group),
    executable: findProgram(app.program, app.args, app.cwd, env.PATH),
    env,
  };
}

function readEnvironment(file: string): Record<string, string | undefined> {
  try {
    return process.getBuiltinModule('node:util').parseEnv(readFileSync(file, 'utf8'));
  } catch (error) {
    throw whileTrying(`cannot read the file of the environment ${file}`, error);
  }
}

/** Who waits for a word needs a process of its own, beside the program, as a supervisor is. */
function refuseWithoutFork(app: App): void {
  const { name, ready } = app;
  const support = forkSupport();
  if (ready === 'none' || support.supported || (ready === 'notify' && isSupervised(app))) return;
  const why = `${name} cannot be started with ready: '${ready}', which needs the fork engine: ${support.reason}`;
  throw posixError(-os.errno.ENOTSUP, 'fork', undefined, why);
}

function checkDirectory(path: string): void {
  const refuse = (errno: number, why: string) =>
    posixError(-errno, 'chdir', path, `${path}, where it is to run, ${why}`);
  const directory = statSync(path, { throwIfNoEntry: false });
  if (directory === undefined) throw refuse(os.errno.ENOENT, 'does not exist');
  if (!directory.isDirectory()) throw refuse(os.errno.ENOTDIR, 'is no directory');
  accessSync(path, constants.X_OK);
}

/** A file that is there, or that can be made. */
function checkWritable(path: string): void {
  if (statSync(path, { throwIfNoEntry: false }) !== undefined) {
    accessSync(path, constants.W_OK);
    return;
  }
  const directory = dirname(path);
  if (!existsSync(directory)) throw posixError(-os.errno.ENOENT, 'open', path);
  accessSync(directory, constants.W_OK | constants.X_OK);
}

/** As setrlimit(2) would. */
function checkLimit({ name, soft, hard }: LimitSetting): void {
  const present = getrlimit(name).hard;
  const number = present === 'infinity' ? -1 : present;
  if (hard !== undefined && isAbove(hard, number) && process.geteuid!() !== 0) {
    const why = `the limit ${name} cannot be set to ${hard}: the hard limit here is ${present}, and only root may raise it`;
    throw posixError(-os.errno.EPERM, 'setrlimit', undefined, why);
  }
  if (soft !== undefined && isAbove(soft, hard ?? number)) {
    const why = `the soft limit ${name} cannot be set to ${soft}: the hard limit is ${present}`;
    throw posixError(-os.errno.EINVAL, 'setrlimit', undefined, why);
  }
}
