// What daemonize() can be asked for: types, defaults, validation. Nothing here has an effect.

import { constants as os } from '../builtin/os.js';
import { resolve } from '../builtin/path.js';
import {
  type CaptureOptions,
  type CaptureSettings,
  checkCapture,
  checkMessages,
  isCaptured,
  isMessageLog,
  isMessageOptions,
  type JournalOptions,
  type MessageSettings,
  type SyslogOptions,
} from '../logs/options.js';
import type { PidfileOptions } from '../pidfile/pidfile.js';
import { descriptor, integer, invalidType, outOfRange, posixError, text } from '../posix/errors.js';
import { refuseUnknown } from '../posix/known.js';
import { type RecordLockPolicy, recordLockPolicy } from '../posix/lock.js';
import { signalName, signalNumber } from '../posix/process.js';
import { allCommands, COMMANDS, type Commands } from './commands.js';
import {
  type CrashReportOptions,
  type CrashReportSettings,
  checkCrashReports,
} from './crash-reports.js';
import { checkIdentity, type IdentityOptions, type IdentitySettings } from './identity.js';
import { checkLimits, type LimitOptions, type LimitSettings } from './limits.js';
import type { ServiceManagerSign } from './recognize.js';
import { FOREGROUND_VARIABLE } from './test-runner.js';

/** A file to write to (or, for stdin, to read from). */
export interface FileTarget {
  /** Its path; relative ones are resolved before the working directory changes. */
  file: string;
  /** Permission bits if it is created, whatever the umask. Default: 0o666 less the daemon's umask. */
  mode?: number;
  /** Write behind what it holds (default) or empty it first. */
  append?: boolean;
}

/**
 * Where a standard stream leads: /dev/null, where it led before, to what a descriptor is open on, or
 * to a file, by its path or as a {@link FileTarget}.
 */
export type StdioTarget = 'null' | 'keep' | number | string | FileTarget;

/** Options of {@link daemonize}. */
export interface DaemonizeOptions extends IdentityOptions, LimitOptions {
  /** Working directory of the daemon, or `'keep'`. Default `'/'`. */
  cwd?: string;
  /** Permission bits that new files do not get, or `'keep'`. Default 0o027. */
  umask?: number | 'keep';
  /** Default `'null'`; `'keep'` in the foreground. */
  stdin?: StdioTarget;
  /** Default `log`, or `'null'`; `'keep'` in the foreground. */
  stdout?: StdioTarget;
  /** Default `log`, or `'null'`; `'keep'` in the foreground. */
  stderr?: StdioTarget;
  /**
   * One file for stdout and stderr: written to straight, or, with any of the further options, by a logger, which
   * rotates it and loses nothing. Or `'syslog'` or `'journal'`, to which a logger sends each line, or their options; a
   * file of such a name is `'./journal'`.
   */
  log?: string | FileTarget | CaptureOptions | SyslogOptions | JournalOptions;
  /**
   * A file that holds the daemon's pid and is locked while it runs, so that there is only one; by its
   * path, or with the permission bits (default 0o644) it is created with. Removed on a clean exit.
   */
  pidfile?: string | ({ file: string } & PidfileOptions);
  /**
   * Commands of the program's own for `daemon.on()`, by name, each with the signal that stands for it.
   * `stop` (SIGTERM), `reload` (SIGHUP) and `reopen` (SIGUSR2) are there unless they are given anew. No
   * two can have the same signal.
   */
  commands?: Commands;
  /** Inherited descriptors that stay open. Those of the program itself always do. */
  keepFds?: readonly number[];
  /** Names of the environment variables that stay; all others are removed. Default: all stay. */
  keepEnv?: readonly string[];
  /** Environment variables to set, or with `undefined` to remove. */
  env?: Readonly<Record<string, string | undefined>>;
  /**
   * Have Node write a report (process.report) into this directory when the program crashes: an exception that nothing
   * catches, a heap that is full. In workers, too. Not for what the kernel ends, as by SIGKILL. Default: none.
   */
  crashReports?: string | CrashReportOptions;
  /** Title of the process in ps(1). */
  title?: string;
  /**
   * When the launcher exits with code 0: once the daemon is `'detached'` (default), or once it calls
   * `daemon.ready()` (`'manual'`).
   */
  ready?: 'detached' | 'manual';
  /**
   * How long the daemon may take to become ready, in ms; 0: for ever. Default 60,000. Then it is
   * killed and the start has failed.
   */
  readyTimeout?: number;
  /**
   * `'always'` leaves the terminal, `'never'` stays in the foreground, `'auto'` (default) stays if a
   * service manager, or the init of a container, has started this process and watches it: see
   * `daemon.serviceManager`, and docs/managers.md for those that are recognized; or `doublefork start` has.
   * Under systemd with `Type=forking` it leaves. `DOUBLEFORK_FOREGROUND` in the environment decides
   * instead: with `1` it stays in any case, for debuggers and tests, with `0` it leaves unless told `'never'`.
   */
  detach?: 'auto' | 'always' | 'never';
  /**
   * How the daemon is made: with `'fork'` the program goes on in the new process; `'exec'`
   * runs the program again from its start, in a fresh image, until this call is reached, and returns
   * there. `'auto'` (default) is fork where {@link forkSupport} says that it works, else exec.
   */
  engine?: 'auto' | 'fork' | 'exec';
  /**
   * With the fork engine the daemon has the record locks (fcntl(2)) of this process; a fresh image has
   * none, and finds that the launcher still holds them. `'refuse'` (default): EBUSY then, with the file.
   * `'lose'`: the program releases them before it takes them again, or does without.
   */
  recordLocks?: RecordLockPolicy;
  /** How long other threads have to come to rest for the fork, in ms. Default 5000. */
  quiesceTimeout?: number;
}

/** One standard stream, decided. */
export type StreamTarget =
  | { kind: 'keep' }
  | { kind: 'null' }
  | { kind: 'descriptor'; fd: number }
  | { kind: 'file'; path: string; mode: number | undefined; append: boolean }
  | { kind: 'captured'; log: CaptureSettings }
  | { kind: 'stream'; log: MessageSettings };

/** Everything that {@link DaemonizeOptions} says, checked and with defaults. */
export interface DaemonSettings extends IdentitySettings, LimitSettings {
  detach: boolean;
  /** Who watches this process, where that was looked for. */
  manager: ServiceManagerSign | undefined;
  engine: 'auto' | 'fork' | 'exec';
  cwd: string | undefined;
  umask: number | undefined;
  stdio: readonly [stdin: StreamTarget, stdout: StreamTarget, stderr: StreamTarget];
  pidfile: ({ file: string } & PidfileOptions) | undefined;
  commands: Commands;
  keepFds: ReadonlySet<number>;
  env: Readonly<Record<string, string | undefined>>;
  keepEnv: ReadonlySet<string> | undefined;
  title: string | undefined;
  crashReports: CrashReportSettings | undefined;
  manual: boolean;
  readyTimeout: number;
  quiesceTimeout: number;
  recordLocks: RecordLockPolicy;
}

/** What of the world the settings depend on. */
export interface Context {
  cwd: string;
  env: Readonly<Record<string, string | undefined>>;
  /** Whether supervise() has forked this process. */
  worker: boolean;
  /** Whether `doublefork start` has started it. */
  started: boolean;
  /** Who watches this process, and would lose it. */
  manager: () => ServiceManagerSign | undefined;
}

const KNOWN: Readonly<Record<keyof DaemonizeOptions, true>> = {
  cwd: true,
  umask: true,
  stdin: true,
  stdout: true,
  stderr: true,
  log: true,
  pidfile: true,
  commands: true,
  keepFds: true,
  env: true,
  keepEnv: true,
  user: true,
  group: true,
  groups: true,
  chroot: true,
  capabilities: true,
  noNewPrivileges: true,
  limits: true,
  noCore: true,
  nice: true,
  oomScoreAdj: true,
  title: true,
  crashReports: true,
  ready: true,
  readyTimeout: true,
  detach: true,
  engine: true,
  quiesceTimeout: true,
  recordLocks: true,
};

/**
 * Checks the options and fills in the defaults.
 * @throws ENOTSUP if it is to detach what the command has detached; ERR_INVALID_ARG_TYPE, ERR_INVALID_ARG_VALUE, ERR_OUT_OF_RANGE
 */
export function checkOptions(options: DaemonizeOptions, context: Context): DaemonSettings {
  refuseUnknown(options, Object.keys(KNOWN), 'options');
  const detach = oneOf(options.detach, 'detach', ['auto', 'always', 'never']);
  const stays = context.env[FOREGROUND_VARIABLE] === '1';
  if (detach === 'always' && context.started && !stays) {
    const why =
      "daemonize() was told to leave the terminal (detach: 'always'), but doublefork start has done so, and would lose sight of the daemon; leave the option out";
    throw posixError(-os.errno.ENOTSUP, 'daemonize', undefined, why);
  }
  const isKept = context.worker || context.started;
  const leaves = context.env[FOREGROUND_VARIABLE] === '0' && !isKept;
  const manager = detach === 'auto' && !stays && !isKept && !leaves ? context.manager() : undefined;
  const detached =
    !stays && (detach === 'auto' ? !isKept && manager === undefined : detach === 'always');
  const usual: StdioTarget = detached ? 'null' : 'keep';
  const output = options.log ?? usual;
  const { umask } = options;
  if (options.chroot !== undefined && options.cwd === 'keep') {
    throw outOfRange('options.cwd', "a path inside of 'chroot': outside it is a way out", 'keep');
  }
  return {
    ...checkIdentity(options, context.cwd),
    ...checkLimits(options),
    detach: detached,
    manager,
    engine: oneOf(options.engine, 'engine', ['auto', 'fork', 'exec']),
    cwd: directory(options.cwd ?? '/', context.cwd),
    umask: umask === 'keep' ? undefined : integer(umask ?? 0o027, 'options.umask', 0, 0o777),
    stdio: [
      target(options.stdin ?? usual, 'options.stdin', context.cwd),
      target(options.stdout ?? output, nameOf('stdout', options), context.cwd),
      target(options.stderr ?? output, nameOf('stderr', options), context.cwd),
    ],
    pidfile: pidfile(options.pidfile, context.cwd),
    commands: options.commands === undefined ? COMMANDS : commands(options.commands),
    keepFds: new Set(options.keepFds === undefined ? [] : keepFds(options.keepFds)),
    env: options.env === undefined ? {} : environment(options.env),
    keepEnv: options.keepEnv === undefined ? undefined : new Set(names(options.keepEnv)),
    title: options.title === undefined ? undefined : text(options.title, 'options.title'),
    crashReports:
      options.crashReports === undefined
        ? undefined
        : checkCrashReports(options.crashReports, context.cwd),
    manual: oneOf(options.ready, 'ready', ['detached', 'manual']) === 'manual',
    readyTimeout: integer(options.readyTimeout ?? 60_000, 'options.readyTimeout', 0),
    recordLocks: recordLockPolicy(options.recordLocks),
    quiesceTimeout: integer(options.quiesceTimeout ?? 5000, 'options.quiesceTimeout', 0),
  };
}

/** One of the given words; the first is the default. */
function oneOf<T extends string>(value: T | undefined, name: string, words: readonly T[]): T {
  if (value === undefined) return words[0]!;
  if (words.includes(value)) return value;
  throw outOfRange(
    `options.${name}`,
    `one of ${words.map((word) => `'${word}'`).join(', ')}`,
    value,
  );
}

function directory(path: string, cwd: string): string | undefined {
  return path === 'keep' ? undefined : resolve(cwd, text(path, 'options.cwd'));
}

function target(
  value: StdioTarget | CaptureOptions | SyslogOptions | JournalOptions,
  name: string,
  cwd: string,
): StreamTarget {
  // Of the log alone: stdout and stderr each for themselves have no logger between them.
  const isLog = name === 'options.log';
  if (isLog && (isMessageLog(value) || isMessageOptions(value))) {
    const log = checkMessages(value, name, cwd);
    return { kind: log.stream ? 'stream' : 'captured', log };
  }
  if (value === 'keep' || value === 'null') return { kind: value };
  if (typeof value === 'number') return { kind: 'descriptor', fd: descriptor(value, name) };
  if (typeof value === 'string') {
    return { kind: 'file', path: file(value, name, cwd), mode: undefined, append: true };
  }
  if (typeof value !== 'object' || value === null) {
    throw invalidType(
      name,
      "'null', 'keep', a descriptor, a path or { file, mode, append }",
      value,
    );
  }
  if (isLog && isCaptured(value)) {
    return { kind: 'captured', log: checkCapture(value, name, cwd) };
  }
  refuseUnknown(value, ['file', 'mode', 'append'], name);
  const { file: path, append = true, mode } = value as FileTarget;
  if (typeof append !== 'boolean') throw invalidType(`${name}.append`, 'of type boolean', append);
  return {
    kind: 'file',
    path: file(path, `${name}.file`, cwd),
    mode: mode === undefined ? undefined : integer(mode, `${name}.mode`, 0, 0o7777),
    append,
  };
}

/** What was given for a stream of output. */
function nameOf(stream: 'stdout' | 'stderr', options: DaemonizeOptions): string {
  return `options.${options[stream] === undefined && options.log !== undefined ? 'log' : stream}`;
}

function file(path: string, name: string, cwd: string): string {
  if (text(path, name) === '') {
    throw Object.assign(new TypeError(`The "${name}" argument must not be empty`), {
      code: 'ERR_INVALID_ARG_VALUE',
    });
  }
  return resolve(cwd, path);
}

function pidfile(value: DaemonizeOptions['pidfile'], cwd: string): DaemonSettings['pidfile'] {
  if (value === undefined) return undefined;
  if (typeof value === 'string') return { file: file(value, 'options.pidfile', cwd) };
  if (typeof value !== 'object' || value === null) {
    throw invalidType('options.pidfile', 'a path or { file, mode }', value);
  }
  refuseUnknown(value, ['file', 'mode'], 'options.pidfile');
  return { ...value, file: file(value.file, 'options.pidfile.file', cwd) };
}

function commands(value: Commands): Commands {
  if (typeof value !== 'object' || value === null) {
    throw invalidType('options.commands', 'of type object', value);
  }
  for (const [name, signal] of Object.entries(value)) {
    if (['SIGKILL', 'SIGSTOP'].includes(signalName(signalNumber(signal)))) {
      throw outOfRange(`options.commands.${name}`, 'a signal that can be caught', signal);
    }
  }
  return allCommands(value, 'options.commands');
}

function keepFds(fds: readonly number[]): readonly number[] {
  if (!Array.isArray(fds)) throw invalidType('options.keepFds', 'an Array', fds);
  return fds.map((fd, index) => descriptor(fd, `options.keepFds[${index}]`));
}

function names(keepEnv: readonly string[]): readonly string[] {
  if (!Array.isArray(keepEnv)) throw invalidType('options.keepEnv', 'an Array', keepEnv);
  return keepEnv.map((name, index) => text(name, `options.keepEnv[${index}]`));
}

function environment(
  env: Readonly<Record<string, string | undefined>>,
): Readonly<Record<string, string | undefined>> {
  if (typeof env !== 'object' || env === null) {
    throw invalidType('options.env', 'of type object', env);
  }
  for (const [name, value] of Object.entries(env)) {
    if (value !== undefined) text(value, `options.env.${name}`);
    if (name === '' || name.includes('=') || name.includes('\0')) {
      throw outOfRange('options.env', "an object whose names are not empty and without '='", name);
    }
  }
  return env;
}
