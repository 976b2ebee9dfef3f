// Starts a program, any program, as a daemon under a name.

import {
  closeSync,
  fstatSync,
  openSync,
  readFileSync,
  readSync,
  statSync,
  writeSync,
} from '../builtin/fs.js';
import { constants as os } from '../builtin/os.js';
import { dirname } from '../builtin/path.js';
import { START_VARIABLE } from '../detach/command.js';
import type { Daemon } from '../detach/daemon.js';
import { daemonize } from '../detach/daemonize.js';
import { type Executable, execInto } from '../detach/exec-into.js';
import type { Credentials } from '../detach/identity.js';
import type { LimitOption } from '../detach/limits.js';
import type { DaemonizeOptions } from '../detach/options.js';
import { FOREGROUND_VARIABLE } from '../detach/test-runner.js';
import { isReplaying } from '../image/replay.js';
import { Pidfile } from '../pidfile/pidfile.js';
import { parentOf } from '../pidfile/process.js';
import { posixError, sentenceOf, whileTrying } from '../posix/errors.js';
import { fork, forkSupport } from '../posix/fork.js';
import { pidfdOpen } from '../posix/pidfd.js';
import { _exit, getsid, kill, waitpid } from '../posix/process.js';
import { readProc } from '../posix/processes.js';
import { readable } from '../posix/watch.js';
import type { App } from './app.js';
import { type Channel, NewlineChannel, NotifyChannel } from './channel.js';
import {
  CONTROL_VARIABLE,
  controlFor,
  logFor,
  makeControlFolder,
  makeFolder,
  pidfileFor,
  stateFolder,
} from './folders.js';
import { assume, findIdentity, loginEnvironment } from './identity.js';
import { findProgram } from './program.js';
import { readRecord, writeRecord } from './record.js';

/** Everything that the daemon needs to become the program. */
interface Start {
  app: App;
  pidfile: string;
  log: string;
  identity: Credentials;
  executable: Executable;
  env: Record<string, string | undefined>;
  say: (pid: number) => string;
}

/** Becomes the supervisor of a program: its path, and its arguments. */
export type Supervise = (exec: readonly string[]) => never;

/** Options of {@link startApp}. */
export interface StartOptions {
  /** Who gave the command: what it may use the program may. Default: the parent. */
  starter?: number | undefined;
  /** Have the daemon be a supervisor of the program. Default: it becomes the program. */
  supervise?: Supervise | undefined;
}

function environmentOf(app: App): Start['env'] {
  const env: Start['env'] = {
    ...process.env,
    ...loginEnvironment(app.user),
    [CONTROL_VARIABLE]: controlFor(app.name),
    ...(app.envFile === undefined ? {} : readEnvironment(app.envFile)),
    ...app.env,
  };
  // A service manager's, not the program's.
  delete env.NOTIFY_SOCKET;
  return env;
}

function readEnvironment(file: string): Record<string, string | undefined> {
  try {
    return process.getBuiltinModule('node:util').parseEnv(readFileSync(file, 'utf8'));
  } catch (error) {
    throw whileTrying(`cannot read the file of the environment ${file}`, error);
  }
}

/**
 * Starts a program as a daemon. This process becomes the launcher: it waits, and exits with 0 once
 * the program runs, or is ready; else with the code of the program, or 127 if there is none and 126
 * if it cannot be run; it has said why.
 * @param say what to print when the program runs
 * @throws with nothing started: ENOTSUP if it is to say that it is ready, and this system has no
 * fork engine; EEXIST, with its `pid`, if it is running already; ENOENT and EACCES
 * for the program; as daemonize() does
 */
export async function startApp(
  app: App,
  say: (pid: number) => string,
  { starter = parentOfLauncher(), supervise }: StartOptions = {},
): Promise<never> {
  if (!statSync(app.cwd).isDirectory()) {
    throw posixError(
      -os.errno.ENOTDIR,
      'chdir',
      app.cwd,
      `${app.cwd}, where it is to run, is no directory`,
    );
  }
  refuseWithoutFork(app);
  const env = environmentOf(app);
  const start: Start = {
    app,
    pidfile: pidfileFor(app),
    log: logFor(app),
    identity: findIdentity(app.user, app.group),
    executable: findProgram(app.program, app.args, app.cwd, env.PATH),
    env,
    say,
  };
  // The record is there even if the pidfile is elsewhere.
  makeFolder(stateFolder());
  if (app.log === undefined) makeFolder(dirname(start.log));
  refuseSecond(app.name);
  // The program's, which has it from `env`, not the command's.
  delete process.env[FOREGROUND_VARIABLE];
  const daemon = detach(app.name, {
    detach: 'always',
    ready: 'manual',
    readyTimeout: app.timeout,
    pidfile: start.pidfile,
    log: start.log,
    cwd: app.cwd,
    ...(app.umask === undefined ? {} : { umask: app.umask }),
    limits: { ...usualLimits(starter), ...app.limits },
  });
  try {
    // Once more, with the lock: another start may have been faster.
    refuseSecond(app.name);
    makeControlFolder(app.name, start.identity);
    if (supervise !== undefined) return runSupervised(start, supervise);
    return app.ready === 'none' ? runInPlace(daemon, start) : await oversee(daemon, start);
  } catch (error) {
    return daemon.fail(`doublefork: ${sentenceOf(error)}`);
  }
}

/** daemonize(), which knows no names. */
function detach(name: string, options: DaemonizeOptions): Daemon {
  try {
    return daemonize(options);
  } catch (error) {
    throw byName(error, name);
  }
}

/** A program that calls daemonize() itself is told that it has been detached. */
const withPid = (env: Start['env']): Start['env'] => ({
  ...env,
  [START_VARIABLE]: String(process.pid),
});

/** The daemon stays, and has the program in its workers, which have its environment and identity. */
function runSupervised(start: Start, supervise: Supervise): never {
  note(start);
  return supervisedBy(start, supervise);
}

function supervisedBy(
  { executable, env, identity }: Pick<Start, 'executable' | 'env' | 'identity'>,
  supervise: Supervise,
): never {
  assume(identity);
  for (const name of Object.keys(process.env)) if (!(name in env)) delete process.env[name];
  Object.assign(process.env, env);
  return supervise([executable.path, ...executable.argv.slice(1)]);
}

/**
 * Runs a program in the foreground, below a supervisor that is this process: for containers and
 * service managers. Standard streams stay, and there is no record, and no pidfile that was not asked for.
 * @throws as {@link startApp} does
 */
export function runInForeground(app: App, supervise: Supervise): never {
  const env = environmentOf(app);
  // Nobody knows it by that name.
  delete env[CONTROL_VARIABLE];
  const identity = findIdentity(app.user, app.group);
  const executable = findProgram(app.program, app.args, app.cwd, env.PATH);
  detach(app.name, {
    detach: 'never',
    ready: 'manual',
    cwd: app.cwd,
    ...(app.pidfile === undefined ? {} : { pidfile: app.pidfile }),
    ...(app.log === undefined ? {} : { log: app.log }),
    ...(app.umask === undefined ? {} : { umask: app.umask }),
    limits: { ...usualLimits(process.ppid), ...app.limits },
  });
  return supervisedBy({ executable, env, identity }, supervise);
}

/** Nobody else needs the daemon: it becomes the program. */
function runInPlace(
  daemon: Daemon,
  { executable, app, env, identity, say, ...start }: Start,
): never {
  note({ app, ...start });
  assume(identity);
  return daemon.exec(executable.path, executable.argv, {
    env: withPid(env),
    settle: app.settle,
    say: say(process.pid),
  });
}

/**
 * The daemon forks the program, waits until that says that it is ready, or dies, and ends; the
 * program stays.
 */
async function oversee(daemon: Daemon, start: Start): Promise<never> {
  const { app, identity, pidfile, log, say } = start;
  const before = fstatSync(STDERR).size;
  const channel =
    app.ready === 'fd' ? new NewlineChannel() : new NotifyChannel(app.name, identity.uid);
  // The program is to take it over.
  daemon.pidfile?.release();
  const pid = fork({ recordLocks: 'lose' });
  if (pid === 0) runForked(daemon, start, channel);

  const pidfd = pidfdOpen(pid);
  const outcome = await race(channel, pidfd);
  channel[Symbol.dispose]();
  if (outcome === 'ready') {
    daemon.readiness?.ready(say(pid));
    _exit(0);
  }
  // That it closed the channel may be because it is dying.
  const ended = outcome === 'ended' || (await readable(pidfd, DYING));
  if (!ended) kill(pid, 'SIGKILL');
  const { exitCode, signal } = waitpid(pid);
  Pidfile.clear(pidfile, pid);
  const how = signal === null ? `exited with code ${exitCode}` : `was killed by ${signal}`;
  return daemon.fail(
    `doublefork: the program (pid ${pid}) ${ended ? how : outcome} before it was ready` +
      written(log, before),
    signal === null ? exitCode || 1 : 128 + os.signals[signal],
  );
}

const STDERR = 2;
/** How long a program that has closed its channel has to end, in ms. */
const DYING = 1000;

/** @returns 'ready', 'ended', or what it did instead */
async function race(channel: Channel, pidfd: number): Promise<string> {
  const over = new AbortController();
  try {
    return await Promise.race([
      channel.ready(over.signal).then(
        () => 'ready',
        (error: Error) => error.message,
      ),
      readable(pidfd, -1, over.signal).then(() => 'ended'),
    ]);
  } finally {
    over.abort();
  }
}

/** Its own errors go to the log, where the daemon finds them when it looks why this has ended. */
function runForked(daemon: Daemon, start: Start, channel: Channel): never {
  const { executable, env, identity } = start;
  try {
    daemon.pidfile?.write();
    note(start);
    channel.attach();
    assume(identity);
    execInto(executable, withPid({ ...env, ...channel.env }), daemon.pidfile);
  } catch (error) {
    const { code, syscall } = error as NodeJS.ErrnoException;
    writeSync(STDERR, `doublefork: ${sentenceOf(error)}\n`);
    if (syscall !== 'execve') _exit(1);
    _exit(code === 'ENOENT' ? 127 : 126);
  }
}

function note({ app, pidfile, log }: Pick<Start, 'app' | 'pidfile' | 'log'>): void {
  writeRecord({ name: app.name, session: getsid(), startedAt: Date.now(), pidfile, log, app });
}

/** What was written to the log since, for a message; at most the last 4 kB. */
function written(log: string, since: number): string {
  const fd = openSync(log, 'r');
  const { size } = fstatSync(fd);
  const buffer = Buffer.alloc(Math.max(0, Math.min(size - since, 4096)));
  readSync(fd, buffer, 0, buffer.length, size - buffer.length);
  closeSync(fd);
  const text = buffer.toString('utf8').trimEnd();
  return text === '' ? '' : `\nIt wrote to ${log}:\n${text}`;
}

/** Who waits for a word needs a process of its own, beside the program. */
function refuseWithoutFork({ name, ready }: App): void {
  const support = forkSupport();
  if (ready === 'none' || support.supported) return;
  const why = `${name} cannot be started with ready: '${ready}', which needs the fork engine: ${support.reason}`;
  throw posixError(-os.errno.ENOTSUP, 'fork', undefined, why);
}

/** A program that closes what it inherits has let go of its pidfile; its record still tells. */
function refuseSecond(name: string): void {
  const record = readRecord(name);
  if (record?.isRunning === true) throw alreadyRunning(name, record.pid);
}

function alreadyRunning(name: string, pid: number | undefined): Error {
  const how = pid === undefined ? 'being started by another command' : `running (pid ${pid})`;
  const error = posixError(-os.errno.EEXIST, 'start', undefined, `${name} is already ${how}`);
  return Object.assign(error, { pid });
}

/** The same for a pidfile that is locked. */
function byName(error: unknown, name: string): unknown {
  const { code, syscall, pid } = error as NodeJS.ErrnoException & { pid?: number };
  return code === 'EEXIST' && syscall === 'flock' ? alreadyRunning(name, pid) : error;
}

/** Of a second image it is the launcher, another Node. */
function parentOfLauncher(): number | undefined {
  return isReplaying() ? parentOf(process.ppid) : process.ppid;
}

/**
 * Node has raised its soft limit on open files to the hard one. A program expects what the process
 * has that started this one.
 */
function usualLimits(starter: number | undefined): Record<string, LimitOption> {
  if (process.platform !== 'linux') return {};
  // Not known where that is outside of this pid namespace (0), or another user's and hidden (proc(5),
  // hidepid). Then it stays as Node has raised it.
  const limits = readProc(`/proc/${starter}/limits`) ?? '';
  const soft = Number(/^Max open files\s+(\d+)/m.exec(limits)?.[1]);
  return Number.isInteger(soft) ? { nofile: { soft } } : {};
}
