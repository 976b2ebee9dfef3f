// Starts a program, any program, as a daemon under a name.

import { closeSync, fstatSync, openSync, readSync, statSync, writeSync } from '../builtin/fs.js';
import { constants as os } from '../builtin/os.js';
import { START_VARIABLE } from '../detach/command.js';
import type { Daemon } from '../detach/daemon.js';
import { daemonize } from '../detach/daemonize.js';
import { execInto } from '../detach/exec-into.js';
import type { LimitOption } from '../detach/limits.js';
import type { DaemonizeOptions } from '../detach/options.js';
import { FOREGROUND_VARIABLE } from '../detach/test-runner.js';
import { thisProcess } from '../detach/this-process.js';
import { isReplaying } from '../image/replay.js';
import { isMessageLog } from '../logs/options.js';
import { Pidfile } from '../pidfile/pidfile.js';
import { parentOf } from '../pidfile/process.js';
import { posixError, sentenceOf } from '../posix/errors.js';
import { fork, forkSupport } from '../posix/fork.js';
import { pidfdOpen } from '../posix/pidfd.js';
import { _exit, getsid, kill, waitpid } from '../posix/process.js';
import { controlGroupsOf, readProc } from '../posix/processes.js';
import { readable } from '../posix/watch.js';
import { type App, logOption } from './app.js';
import { type Channel, NewlineChannel, NotifyChannel } from './channel.js';
import { CONTROL_VARIABLE, FAMILY_VARIABLE, makeControlFolder } from './folders.js';
import { assume } from './identity.js';
import { type Origin, prepare, programOf, type Start } from './prepare.js';
import { readRecord, writeRecord } from './record.js';
import type { Turn } from './turn.js';

/** What else there is to do once the program runs. */
interface Running extends Start {
  say: (pid: number) => string;
  turn: Turn | undefined;
}

/** Becomes the supervisor of a program: its path, and its arguments. */
export type Supervise = (exec: readonly string[]) => never;

/** Options of {@link startApp}. */
export interface StartOptions {
  /** Who gave the command: what it may use the program may. Default: the parent. */
  starter?: number | undefined;
  /** Have the daemon be a supervisor of the program. Default: it becomes the program. */
  supervise?: Supervise | undefined;
  /** Released once the record says that it runs. */
  turn?: Turn | undefined;
}

/**
 * Starts a program as a daemon. This process becomes the launcher: it waits, and exits with 0 once
 * the program runs, or is ready; else with the code of the program, or 127 if there is none and 126
 * if it cannot be run; it has said why.
 * @param say what to print when the program runs
 * @throws with nothing started: as {@link prepare} does; EEXIST, with its `pid`, if it is running
 * already; as daemonize() does
 */
export async function startApp(
  app: App,
  say: (pid: number) => string,
  origin: Origin = {},
  { starter = parentOfLauncher(), supervise, turn }: StartOptions = {},
): Promise<never> {
  const start: Running = { ...prepare(app, origin), say, turn };
  refuseSecond(app.name);
  // The program's, which has it from `env`, not the command's.
  delete process.env[FOREGROUND_VARIABLE];
  // A new image would not have it, and the launcher would keep it.
  if (!forkSupport().supported) turn?.release();
  const daemon = detach(app.name, {
    detach: 'always',
    ready: 'manual',
    // A supervisor sees to it, and ends a program that is late.
    readyTimeout: supervise === undefined ? app.timeout : 0,
    pidfile: start.pidfile,
    log: logOption(app, start.log),
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
function runSupervised(start: Running, supervise: Supervise): never {
  note(start);
  return supervisedBy(start, supervise);
}

function supervisedBy(
  { executable, env, identity }: Pick<Start, 'executable' | 'env' | 'identity'>,
  supervise: Supervise,
): never {
  assume(identity);
  for (const name of Object.keys(process.env))
    if (env[name] === undefined) delete process.env[name];
  for (const [name, value] of Object.entries(env))
    if (value !== undefined) process.env[name] = value;
  return supervise([executable.path, ...executable.argv.slice(1)]);
}

/**
 * Runs a program in the foreground, below a supervisor that is this process: for containers and
 * service managers. Standard streams stay, and there is no record, and no pidfile that was not asked for.
 * @throws as {@link startApp} does
 */
export function runInForeground(app: App, supervise: Supervise): never {
  const { env, identity, executable } = programOf(app, process.env);
  // Nobody knows it by that name, but a service manager may have said where its socket is to be.
  env[CONTROL_VARIABLE] = process.env[CONTROL_VARIABLE];
  env[FAMILY_VARIABLE] = process.env[FAMILY_VARIABLE];
  detach(app.name, {
    detach: 'never',
    ready: 'manual',
    cwd: app.cwd,
    ...(app.pidfile === undefined ? {} : { pidfile: app.pidfile }),
    ...(app.log === undefined ? {} : { log: logOption(app, app.log) }),
    ...(app.umask === undefined ? {} : { umask: app.umask }),
    limits: { ...usualLimits(process.ppid), ...app.limits },
  });
  return supervisedBy({ executable, env, identity }, supervise);
}

/** Nobody else needs the daemon: it becomes the program. */
function runInPlace(daemon: Daemon, start: Running): never {
  const { executable, app, env, identity, say } = start;
  note(start);
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
async function oversee(daemon: Daemon, start: Running): Promise<never> {
  const { app, identity, pidfile, log, say } = start;
  const before = lengthOf(log);
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
  // What it has printed at last may be on its way to the logger.
  thisProcess.capture?.flush(DYING);
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
function runForked(daemon: Daemon, start: Running, channel: Channel): never {
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

function note({ app, origin, pidfile, log, turn }: Running): void {
  const { config, environment } = origin;
  const { name } = app;
  const about = { session: getsid(), groups: controlGroupsOf(process.pid), startedAt: Date.now() };
  writeRecord({ name, ...about, pidfile, log, app, config, environment });
  turn?.release();
}

/** How long a log is; 0: there is none yet. */
export function lengthOf(log: string): number {
  if (isMessageLog(log)) return 0;
  try {
    return statSync(log).size;
  } catch {
    // Nothing is there to be read; whether it can be made is told by whoever makes it.
    return 0;
  }
}

/** What was written to the log since, for a message; at most the last 4 kB. */
export function written(log: string, since: number): string {
  if (isMessageLog(log)) return '';
  const fd = openSync(log, 'r');
  const { size } = fstatSync(fd);
  const buffer = Buffer.alloc(Math.max(0, Math.min(size - since, 4096)));
  readSync(fd, buffer, 0, buffer.length, size - buffer.length);
  closeSync(fd);
  const lines = buffer.toString('utf8').trimEnd().split('\n');
  // Not what a supervisor has decided: that is not the program's.
  const text = lines.filter((line) => !DECISION.test(line)).join('\n');
  return text === '' ? '' : `\nIt wrote to ${log}:\n${text}`;
}

const DECISION = /^\{"level":\d+,"time":\d+,.*"name":"doublefork"/;

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
