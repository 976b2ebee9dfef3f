// daemonize(): the steps of daemon(7), in its order.

import { accessSync, constants, statSync, writeSync } from '../builtin/fs.js';
import { constants as os } from '../builtin/os.js';
import { join } from '../builtin/path.js';
import { moveTo } from '../image/directory.js';
import type { Handoff } from '../image/handoff.js';
import { workingDirectory } from '../image/image.js';
import { openDescriptors } from '../image/inherited.js';
import { nextReplayedCall, recordCall } from '../image/replay.js';
import { Capture } from '../logs/capture.js';
import type { CaptureSettings } from '../logs/options.js';
import { Pidfile } from '../pidfile/pidfile.js';
import { addon, type ConfinementRequest, type OpenDescriptor } from '../posix/addon.js';
import { isatty } from '../posix/descriptor.js';
import { errorText, posixError, sayFirst, sentenceOf } from '../posix/errors.js';
import { childProcesses, refuseChildren } from '../posix/fork.js';
import { runChildHooks } from '../posix/fork-hooks.js';
import { _exit } from '../posix/process.js';
import { trace } from '../posix/trace.js';
import { passedDescriptors } from '../systemd/environment.js';
import { isStartedByCommand } from './command.js';
import { confine, confinementFor, lowerLimits } from './confinement.js';
import { enableCrashReports } from './crash-reports.js';
import { Daemon, SETTLE_MS } from './daemon.js';
import { closeInherited } from './descriptors.js';
import { engines, type Files } from './engine.js';
import { ServiceManager } from './manager.js';
import {
  type Context,
  checkOptions,
  type DaemonizeOptions,
  type DaemonSettings,
} from './options.js';
import { Predecessor } from './predecessor.js';
import { beProcessOne } from './process-one.js';
import { Readiness } from './readiness.js';
import {
  type ManagerFacts,
  managerFacts,
  recognizeManager,
  recognizeWrapper,
  type ServiceManagerSign,
} from './recognize.js';
import { Redirection } from './redirect.js';
import { resetSignals } from './signals.js';
import { replaceStreams } from './streams.js';
import { refuseTestRunner } from './test-runner.js';
import { thisProcess } from './this-process.js';
import { unitType } from './unit-type.js';

/**
 * Turns this process into a daemon: forks twice with setsid(2) in between, and returns in the
 * grandchild only, with everything loaded and every socket open. The process that called it, the
 * launcher, waits until the daemon is detached (or ready, see `ready`) and exits with its code.
 *
 * The daemon has no controlling terminal and is neither session nor group leader. Its working
 * directory, umask and standard streams are as asked for, inherited descriptors are closed, signals
 * unblocked and no longer ignored.
 *
 * @throws in the launcher, with nothing changed: EEXIST, with its `pid`, if another process has the
 * pidfile; ERR_INVALID_ARG_TYPE, ERR_INVALID_ARG_VALUE and
 * ERR_OUT_OF_RANGE for wrong options; the error of open(2) for a log, of stat(2) for `cwd`; EBUSY if
 * child processes are running or a thread does not come to rest; ENOTSUP, EAGAIN, ENOMEM if the fork
 * cannot be made; ERR_NOT_MAIN_THREAD from a Worker; ERR_ALREADY_DAEMON on a second call; ERR_IN_TEST_RUNNER where a test
 * runner runs its tests in this process.
 * @see daemon(7)
 */
export function daemonize(options: DaemonizeOptions = {}): Daemon {
  if (thisProcess.daemon !== undefined) {
    throw Object.assign(
      new Error('daemonize() was called before: this process is a daemon already'),
      {
        code: 'ERR_ALREADY_DAEMON',
      },
    );
  }
  try {
    const daemon = replayOrDetach(options);
    thisProcess.daemon = daemon;
    return daemon;
  } catch (error) {
    throw sayFirst(error);
  }
}

function replayOrDetach(options: DaemonizeOptions): Daemon {
  const replayed = nextReplayedCall('daemonize');
  if (replayed?.call.call === 'daemonize image') {
    const { detached } = replayed.call;
    return succeed(options, detached, replayed.handoff!);
  }
  if (replayed?.handoff !== undefined) return resumeInNewImage(options, replayed.handoff);
  if (replayed !== undefined) return returnAsBefore(options, replayed.call.detached);
  const daemon = detach(options);
  recordCall({ call: 'daemonize', detached: daemon.detached });
  return daemon;
}

function detach(options: DaemonizeOptions): Daemon {
  const settings = checkOptions(options, context());
  trace?.('daemonize', settings.detach ? 'leaves the terminal' : 'stays in the foreground');
  // The default is there.
  if (settings.cwd !== undefined && settings.cwd !== '/')
    checkDirectory(join(settings.chroot ?? '/', settings.cwd));
  return settings.detach ? inBackground(settings) : inForeground(settings);
}

function inBackground(settings: DaemonSettings): Daemon {
  refuseTestRunner(
    'daemonize',
    'Start the program in a process of its own, or set DOUBLEFORK_FOREGROUND=1',
  );
  // The launcher, whose they are, is about to exit.
  const children = childProcesses();
  refuseChildren(
    'daemonize',
    children.filter(({ worker }) => !worker),
  );
  const launcher = process.pid;
  // Type=forking can have a watchdog. While it is looked for its variables mean this process.
  const manager = ServiceManager.ours();
  const descriptors = openDescriptors();
  const confinement = confinementFor(settings);
  const files = openFiles(settings, confinement);
  // Before the environment changes.
  const kept = keptDescriptors(settings);
  trace?.('launcher', `has opened the files; starts the daemon, engine '${settings.engine}'`);
  let readyFd: number;
  try {
    readyFd = engines[settings.engine](settings, files, {
      kept,
      open: descriptors,
      confinement,
      children,
    });
  } catch (error) {
    trace?.('launcher', `there is no daemon: ${error}`);
    files.redirection.abandon();
    files.pidfile?.abandon();
    throw error;
  }
  // From here on this is the daemon.
  trace?.('daemon', `detached by the fork engine; its launcher was ${launcher}`);
  return becomeDaemon(settings, files, { readyFd, kept, descriptors, moved: true, manager });
}

/** The exec engine's daemon: its program has run from the start to the call that made it. */
function resumeInNewImage(options: DaemonizeOptions, handoff: Handoff): Daemon {
  trace?.('daemon', 'a new image has come to daemonize()');
  let settings: DaemonSettings;
  let files: Files;
  try {
    settings = checkOptions({ ...options, detach: 'always' }, context());
    files = handedOver(settings, handoff);
    lowerLimits(settings.limits);
  } catch (error) {
    new Readiness(handoff.readyFd).failed(failure(error), 1);
    _exit(1);
  }
  return becomeDaemon(settings, files, {
    readyFd: handoff.readyFd,
    kept: keptDescriptors(settings),
    descriptors: openDescriptors(),
    moved: false,
    manager: undefined,
  });
}

/**
 * The daemon that has started this process is to end once this one serves: see Daemon.handover(). Until then it
 * changes nothing of the other's.
 */
function succeed(options: DaemonizeOptions, detached: boolean, handoff: Handoff): Daemon {
  trace?.('daemon', 'a successor has come to daemonize()');
  const manager =
    handoff.manager === null ? undefined : ServiceManager.ofPredecessor(handoff.manager);
  let settings: DaemonSettings;
  let files: Files;
  let samePidfile = false;
  try {
    settings = checkOptions({ ...options, detach: detached ? 'always' : 'never' }, context());
    ({ files, samePidfile } = filesOfSuccessor(settings, handoff));
    const confinement = confinementFor(settings);
    if (confinement !== undefined) confine(confinement, settings.quiesceTimeout);
    setUp(settings, files.redirection);
    if (handoff.logger === null) thisProcess.capture = files.redirection.capture;
  } catch (error) {
    new Readiness(handoff.readyFd).failed(failure(error), 1);
    _exit(1);
  }
  const { pidfile } = files;
  const predecessor = new Predecessor(handoff.orders!, {
    samePidfile,
    writePidfile: () => pidfile !== undefined && writePidfile(pidfile),
    speak: () => manager?.moved(),
  });
  const readiness = new Readiness(handoff.readyFd, predecessor);
  readiness.watch();
  const { capture } = thisProcess;
  const daemon = new Daemon({ detached, readiness, manager, pidfile, capture }, settings);
  recordCall({ call: 'daemonize', detached });
  // Nobody says when it serves: once it has lived for a while, as what `start` starts.
  if (!settings.manual) setTimeout(() => readiness.ready(), SETTLE_MS).unref();
  return daemon;
}

/** Its own, by its own options, which may be others; but the lock of a pidfile that is the same stays where it is. */
function filesOfSuccessor(
  settings: DaemonSettings,
  { stdio, logger, pidfile: locked }: Handoff,
): { files: Files; samePidfile: boolean } {
  const { file, ...options } = settings.pidfile ?? {};
  const same = file === undefined || locked === null ? undefined : adoptSame(locked.fd, file);
  const pidfile = same ?? (file === undefined ? undefined : Pidfile.acquire(file, options));
  // What it printed on its way was for its predecessor.
  const keep = settings.stdio.map(() => ({ kind: 'keep' }) as const);
  Redirection.adopt(keep, stdio).apply();
  if (logger !== null) {
    thisProcess.capture = new Capture(logger.settings as CaptureSettings, logger.fd);
  }
  const targets = settings.stdio.map((it) =>
    it.kind === 'captured' && logger !== null ? ({ kind: 'keep' } as const) : it,
  );
  const redirection = Redirection.open(targets, settings.umask ?? process.umask());
  return { files: { pidfile, redirection }, samePidfile: same !== undefined };
}

/** @returns undefined: that is another file */
function adoptSame(fd: number, file: string): Pidfile | undefined {
  try {
    return Pidfile.adopt(fd, file);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    return undefined;
  }
}

/**
 * The new image of a worker, on its way to supervise(). The supervisor has done what this call does,
 * and execve(2) has kept it, except the working directory and what Node changes when it starts. The
 * pidfile is the supervisor's.
 */
function returnAsBefore(options: DaemonizeOptions, detached: boolean): Daemon {
  const settings = checkOptions({ ...options, detach: detached ? 'always' : 'never' }, context());
  lowerLimits(settings.limits);
  applySettings(settings);
  // It is for the supervisor to tell.
  return new Daemon({ detached, readiness: new Readiness(), pidfile: undefined }, settings);
}

/** What the daemon has from the process that made it. */
interface Inherited {
  /** The descriptor on which to speak to the launcher. */
  readyFd: number;
  /** What was inherited and is to stay, and all that is open. */
  kept: ReadonlySet<number>;
  descriptors: readonly OpenDescriptor[];
  /** Whether the program itself was moved into this process, and not run again from its start. */
  moved: boolean;
  manager: ServiceManager | undefined;
}

/** What is left to do in the new process. It is silent: the terminal is the launcher's. */
function becomeDaemon(settings: DaemonSettings, files: Files, inherited: Inherited): Daemon {
  const { readyFd, kept, descriptors, moved, manager } = inherited;
  const { pidfile, redirection } = files;
  const readiness = new Readiness(readyFd);
  try {
    const terminals = setUp(settings, redirection);
    // The channel of child_process.fork() leads to the launcher's parent.
    if (process.connected) process.disconnect();
    const own = [
      readyFd,
      pidfile?.fd ?? readyFd,
      redirection.capture?.fd ?? readyFd,
      ...addon.loopHandles().descriptors,
    ];
    closeInherited(descriptors, new Set([...own, ...kept]), terminals);
    resetSignals();
    thisProcess.capture = redirection.capture;
    if (moved) runChildHooks({ moved });
    manager?.moved();
    if (pidfile !== undefined) writePidfile(pidfile);
  } catch (error) {
    trace?.('daemon', `fails: ${error}`);
    // Before the launcher is told: what it leaves behind must be as it was.
    redirection.abandon();
    pidfile?.abandon();
    readiness.failed(failure(error), 1);
    _exit(1);
  }
  if (settings.manual) readiness.watch();
  else readiness.ready();
  const parts = { detached: true, readiness, manager, pidfile, capture: redirection.capture };
  return new Daemon(parts, settings);
}

/** Under a service manager the process is a daemon already; only what was asked for changes. */
function inForeground(settings: DaemonSettings): Daemon {
  const manager = ServiceManager.ours();
  const confinement = confinementFor(settings);
  const files = openFiles(settings, confinement);
  const { pidfile, redirection } = files;
  if (confinement !== undefined) confineOrExit(confinement, settings, files);
  setUp(settings, redirection);
  thisProcess.capture = redirection.capture;
  if (pidfile !== undefined) writePidfile(pidfile);
  if (process.pid === 1) beProcessOne();
  if (settings.manual) manager?.starting(settings.readyTimeout);
  const readiness = new Readiness();
  const daemon = new Daemon(
    { detached: false, manager, readiness, pidfile, capture: redirection.capture },
    settings,
  );
  if (!settings.manual) daemon.ready();
  return daemon;
}

/** Confined in part, the program must not go on, and cannot be trusted to see to that itself. */
function confineOrExit(
  confinement: ConfinementRequest,
  settings: DaemonSettings,
  files: Files,
): void {
  try {
    confine(confinement, settings.quiesceTimeout);
  } catch (error) {
    writeSync(2, `${errorText(error)}\n`);
    files.redirection.abandon();
    files.pidfile?.abandon();
    _exit(1);
  }
}

/** What can fail for reasons of the user's, before anything has changed. */
function openFiles(settings: DaemonSettings, confinement: ConfinementRequest | undefined): Files {
  // First: a start that comes second must not touch the log.
  const { file, ...options } = settings.pidfile ?? {};
  const pidfile = file === undefined ? undefined : Pidfile.acquire(file, options);
  try {
    const owner = { uid: confinement?.uid ?? undefined, gid: confinement?.gid ?? undefined };
    const redirection = Redirection.open(settings.stdio, settings.umask ?? process.umask(), owner);
    return { pidfile, redirection };
  } catch (error) {
    pidfile?.abandon();
    throw error;
  }
}

/** What {@link openFiles} of the launcher has opened. */
function handedOver(settings: DaemonSettings, { stdio, pidfile: locked }: Handoff): Files {
  const pidfile =
    settings.pidfile === undefined || locked === null
      ? undefined
      : Pidfile.adopt(locked.fd, settings.pidfile.file, {
          created: locked.created,
          // The path may be outside of the new root, or in a directory that is closed to the user.
          reachable: settings.chroot === undefined && settings.user === undefined,
        });
  return { pidfile, redirection: Redirection.adopt(settings.stdio, stdio) };
}

/** For the launcher to print: of what the system refuses a sentence, of a fault the stack. */
function failure(error: unknown): unknown {
  return (error as NodeJS.ErrnoException).syscall === undefined
    ? error
    : `doublefork: ${sentenceOf(error)}`;
}

/** Writes this process into the pidfile, and removes that when it exits. */
function writePidfile(pidfile: Pidfile): void {
  pidfile.write();
  process.on('exit', () => pidfile.remove());
}

/** What was inherited and is to stay. */
function keptDescriptors(settings: DaemonSettings): Set<number> {
  return new Set([...settings.keepFds, ...passedDescriptors().map(({ fd }) => fd)]);
}

function context(): Context {
  return {
    // '': it was removed, which matters to relative paths only.
    cwd: workingDirectory() ?? '',
    env: process.env,
    worker: thisProcess.isWorker,
    started: isStartedByCommand(),
    manager: findManager,
  };
}

/** Who watches this process; undefined: nobody, or somebody who expects it to leave. */
function findManager(): ServiceManagerSign | undefined {
  const facts = managerFacts();
  const found = recognizeManager(facts);
  if (found === undefined) {
    trace?.('daemonize', 'no service manager is recognized');
    warnOfWrapper(facts);
    return undefined;
  }
  trace?.('daemonize', `a service manager is recognized: ${found.name}, for ${found.sign}`);
  if (found.name !== 'systemd' || unitType() !== 'forking') return found;
  trace?.('daemonize', 'its unit is of Type=forking: it waits for this process to exit');
  return undefined;
}

/** Whose main process must stay. With Type=oneshot or forking a script may well start a daemon. */
const WATCHED_TYPES: ReadonlySet<string | undefined> = new Set([
  'simple',
  'exec',
  'idle',
  'notify',
]);

/** Told here and now: the standard error of the daemon may be /dev/null. */
function warnOfWrapper(facts: ManagerFacts): void {
  // Somebody at a terminal starts a daemon, in a container for instance.
  if (isatty(0)) return;
  const found = recognizeWrapper(facts);
  if (found === undefined) return;
  if (found.name === 'systemd' && !WATCHED_TYPES.has(unitType())) return;
  try {
    writeSync(
      2,
      `Warning: ${facts.parent}, which ${found.name} has started, has started this program, which leaves it now. If ` +
        `${found.name} is to watch this program, end the script with "exec"; else say detach: 'always'\n`,
    );
  } catch {
    // Nobody listens.
  }
}

/** @returns the descriptors of a terminal that stays, beside fd 0-2 */
function setUp(settings: DaemonSettings, redirection: Redirection): ReadonlySet<number> {
  applySettings(settings);
  const terminals = replaceStreams(
    settings.stdio.map(({ kind }) => kind !== 'keep'),
    // A stream of the journal's is no file either, whose writes wait.
    redirection.capture !== undefined || settings.stdio.some(({ kind }) => kind === 'stream'),
  );
  redirection.apply();
  return terminals;
}

function applySettings(settings: DaemonSettings): void {
  if (settings.umask !== undefined) process.umask(settings.umask);
  if (settings.cwd !== undefined) {
    // Where the program was started is outside of the new root, and of no use in it.
    if (settings.chroot === undefined) moveTo(settings.cwd);
    else process.chdir(settings.cwd);
  }
  if (settings.keepEnv !== undefined) {
    for (const name of Object.keys(process.env)) {
      if (!settings.keepEnv.has(name)) delete process.env[name];
    }
  }
  for (const [name, value] of Object.entries(settings.env)) {
    if (value === undefined) delete process.env[name];
    else process.env[name] = value;
  }
  if (settings.title !== undefined) process.title = settings.title;
  if (settings.crashReports !== undefined) enableCrashReports(settings.crashReports);
}

function checkDirectory(path: string): void {
  if (!statSync(path).isDirectory()) {
    throw posixError(-os.errno.ENOTDIR, 'chdir', path, `the option cwd is no directory: ${path}`);
  }
  accessSync(path, constants.X_OK);
}
