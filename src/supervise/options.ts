// What supervise() can be asked for: types, defaults, validation. Nothing here has an effect.

import { resolve } from '../builtin/path.js';
import {
  type CaptureOptions,
  type CaptureSettings,
  checkCapture,
  checkMessages,
  isMessageLog,
  isMessageOptions,
  type JournalOptions,
  type SyslogOptions,
} from '../logs/options.js';
import { integer, invalidType, outOfRange, text } from '../posix/errors.js';
import { refuseUnknown } from '../posix/known.js';
import { type RecordLockPolicy, recordLockPolicy } from '../posix/lock.js';
import { findExecutable } from '../posix/path.js';
import { signalNumber } from '../posix/process.js';
import type { AlarmHook } from './alarms.js';
import type { Companion } from './companions.js';
import { checkLimits, type LimitSettings, type ResourceLimits } from './limits.js';
import type { Limits, RestartRule } from './policy/state.js';
import type { ProgramWords } from './program-channel.js';

/** How long to wait before a worker that failed is started again. */
export interface Backoff {
  /** After the first failure, in ms. Default 100. */
  initial?: number;
  /** By how much each further failure in a row multiplies it. Default 2. */
  factor?: number;
  /** The longest wait, in ms. Default 30,000. */
  max?: number;
  /** By which part of itself the wait is longer or shorter at random, 0 to 1. Default 0.1. */
  jitter?: number;
}

/** Options of {@link supervise}. Times are in ms. */
export interface SuperviseOptions {
  /** How many workers there are at once. Default 1. */
  workers?: number;
  /**
   * Which workers are started again after they ended by themselves: all (`'always'`, default), those
   * that ended with another code than 0 or by a signal (`'on-failure'`), none (`'never'`). When none
   * is left and none will come, the supervisor exits with the first code that is not 0.
   */
  restart?: RestartRule;
  /** Restarts in total, after which a worker that ends stays down; 0 (default): any number. */
  maxRestarts?: number;
  /** Failures in a row of one worker, more than which make the supervisor give up; 0: never. Default 10. */
  maxFailures?: number;
  /** Count the failures within so long a time instead of those in a row. Default 0: in a row. */
  failureWindow?: number;
  /** A life shorter than this is a failure, whatever its exit code. Default 1000. */
  minUptime?: number;
  /** The waits between failures. They begin anew after a life of `minUptime`. */
  backoff?: Backoff;
  /**
   * Whether a worker is ready once it is started, or once it calls `worker.ready()`. Default
   * `'manual'` if `readyTimeout` is given or a launcher waits (`daemonize({ ready: 'manual' })`),
   * otherwise `'started'`. A program of `exec` is ready once it is started, or once it sends READY=1 to
   * `$NOTIFY_SOCKET`, sd_notify(3) (`'notify'`), or writes a newline to descriptor 3 (`'fd'`, which needs
   * the fork engine).
   */
  ready?: 'started' | 'manual' | 'notify' | 'fd';
  /** How long a worker may take to become ready; 0: any time. Default 60,000. Then it has failed. */
  readyTimeout?: number;
  /** What tells a worker to end. Default `'SIGTERM'`. */
  stopSignal?: NodeJS.Signals;
  /** How long it may take for that, before SIGKILL; 0: any time. Default 10,000. */
  stopTimeout?: number;
  /**
   * A worker that does not ping for so long hangs: it gets SIGABRT and is started again. It pings by
   * itself for as long as its event loop turns, or with `{ timeout, ping: 'manual' }` only when it
   * calls `worker.ping()`. A program of `exec` has to send WATCHDOG=1 to `$NOTIFY_SOCKET`, and finds the
   * time in `$WATCHDOG_USEC`: sd_watchdog_enabled(3). It counts from when it is ready. Default 0: no
   * watchdog.
   */
  watchdog?: number | { timeout: number; ping?: 'automatic' | 'manual' };
  /** Resident memory in bytes, above which a worker is replaced by a new one; 0 (default): any. Short for `limits.memory`. */
  memoryLimit?: number;
  /** What a worker may use: what is watched, and what the kernel enforces. */
  limits?: ResourceLimits;
  /** Age at which a worker is replaced by a new one; 0 (default): any. */
  maxLifetime?: number;
  /** By which part of itself `maxLifetime` is longer or shorter at random, 0 to 1. Default 0.1. */
  lifetimeJitter?: number;
  /**
   * When to replace all workers, one after the other, by the clock on the wall: a pattern of cron such as `'0 4 * * *'`,
   * in the time zone of the process. Needs the package croner.
   */
  recycleAt?: string;
  /**
   * Who is told when a limit is passed, and when the supervisor gives up: a command with its arguments, which gets the
   * alarm as JSON on its standard input; a URL, to which it is sent by POST; or a file: URL of a module, whose default
   * export is called with it, in a process of its own (the supervisor runs nothing of the program).
   */
  onAlarm?: string | URL | readonly string[];
  /** Exit code of the supervisor when it gives up, 1 to 255. Default 1. */
  onGiveUp?: number;
  /**
   * Path of the control socket. Default: the one that `doublefork start` offers in the environment,
   * `$DOUBLEFORK_CONTROL`; else there is none.
   */
  control?: string;
  /**
   * Keep the image that served before a reload, without workers, so that a rollback takes no start of the
   * program. Default true. The first one stays in any case: its process is the service's.
   */
  keepPrevious?: boolean;
  /**
   * Keep the supervisor in a process of its own, so that even its death is made good: this process becomes
   * its keeper, which does nothing but wait, and forks it again if it is killed; connections wait meanwhile.
   * Needs the fork engine. Default false: if the supervisor is killed, all ends.
   */
  keeper?: boolean;
  /**
   * Go back to it by itself when the one that has succeeded it gives up within `minUptime`. Default true.
   */
  rollbackOnFailure?: boolean;
  /**
   * Paths of files, or of links, whose change is a reload: that of the link itself, or of what it leads to,
   * once it is half a second old. Relative ones begin where `process.cwd()` is now.
   */
  watch?: string | readonly string[];
  /**
   * Where decisions are told, as lines of JSON: `'stderr'` (default), `'none'` or a file to append to. Or a log to
   * which all that this process and its workers print goes, the decisions, too: a logger writes and rotates it, and
   * tells the lines of workers apart; `'syslog'` and `'journal'` are such, too. Where daemonize() has such a log,
   * workers have it from there.
   */
  log?: string | CaptureOptions | SyslogOptions | JournalOptions;
  /**
   * Give each worker a control group of its own (cgroup version 2), so that nothing it has started
   * outlives it. `'auto'` (default): if a service manager has delegated the supervisor's group to it;
   * `'none'`: do not; otherwise the directory of a group in which to make them.
   */
  cgroup?: string;
  /** Run this program in the workers, with these arguments, instead of returning in them. */
  exec?: readonly string[];
  /**
   * How workers come to be: copies of this process (`'fork'`), or fresh images that run the program
   * from its start until this call returns in them (`'exec'`). `'auto'` (default): fork where it works.
   */
  engine?: 'auto' | 'fork' | 'exec';
  /**
   * How many processes to have forked ahead for workers to come, so that one that crashes is replaced
   * without a fork in between; 0 to 16. Default 1. See docs/supervise.md for what one costs. None are made
   * with the exec engine, or while less memory is available than this process takes.
   */
  spare?: number;
  /**
   * Record locks (fcntl(2)) of this process, which databases exclude each other by, stay with the
   * supervisor: no worker has them. `'refuse'` (default): EBUSY then, with the file. `'lose'`: the
   * workers do not rely on them.
   */
  recordLocks?: RecordLockPolicy;
}

/** Everything that {@link SuperviseOptions} says, checked and with defaults. */
export interface SupervisorSettings {
  workers: number;
  limits: Limits;
  /** What a worker may use. */
  resources: LimitSettings;
  recycleAt: string | undefined;
  onAlarm: AlarmHook | undefined;
  /** Whether a worker pings by itself. */
  automaticPing: boolean;
  /** `offered`: it can be done without. `directory`: made for it alone. */
  control: { path: string; offered: boolean; directory?: string } | undefined;
  /** What runs beside the workers. */
  companions: readonly Companion[];
  log:
    | { kind: 'stderr' }
    | { kind: 'none' }
    | { kind: 'file'; path: string }
    | { kind: 'captured'; log: CaptureSettings };
  /** `'auto'`, `'none'` or an absolute path. */
  cgroup: string;
  exec: readonly string[] | undefined;
  /** What a program of `exec` tells. */
  words: ProgramWords;
  keepPrevious: boolean;
  keeper: boolean;
  rollbackOnFailure: boolean;
  /** Absolute. */
  watch: readonly string[];
  engine: 'auto' | 'fork' | 'exec';
  recordLocks: RecordLockPolicy;
  spare: number;
}

/** What of the world the settings depend on. */
export interface Context {
  cwd: string;
  path: string;
  /** Where a control socket may be; empty: nowhere. */
  control: string;
  /** Whether somebody waits to hear that this program is ready. */
  awaited: boolean;
}

const KNOWN: Readonly<Record<keyof SuperviseOptions, true>> = {
  workers: true,
  restart: true,
  maxRestarts: true,
  maxFailures: true,
  failureWindow: true,
  minUptime: true,
  backoff: true,
  ready: true,
  readyTimeout: true,
  stopSignal: true,
  stopTimeout: true,
  watchdog: true,
  memoryLimit: true,
  limits: true,
  recycleAt: true,
  onAlarm: true,
  maxLifetime: true,
  lifetimeJitter: true,
  onGiveUp: true,
  control: true,
  keepPrevious: true,
  keeper: true,
  rollbackOnFailure: true,
  watch: true,
  log: true,
  cgroup: true,
  exec: true,
  engine: true,
  recordLocks: true,
  spare: true,
};

const KNOWN_BACKOFF: Readonly<Record<keyof Backoff, true>> = {
  initial: true,
  factor: true,
  max: true,
  jitter: true,
};

/** Most workers: each is a process. */
export const MOST_WORKERS = 4096;
const MOST_SPARES = 16;
/** Longest time: what a timer of Node's can do, about 24 days. */
const LONGEST = 2 ** 31 - 1;

/**
 * Checks the options and fills in the defaults.
 * @throws ERR_INVALID_ARG_TYPE, ERR_INVALID_ARG_VALUE, ERR_OUT_OF_RANGE; ENOENT, EACCES if `exec` is
 * no program
 */
export function checkOptions(options: SuperviseOptions, context: Context): SupervisorSettings {
  refuseUnknown(options, Object.keys(KNOWN), 'options');
  const count = (name: keyof SuperviseOptions, fallback: number, most = LONGEST) =>
    integer(options[name] ?? fallback, `options.${name}`, 0, most);
  const byItself =
    options.exec === undefined && (options.readyTimeout !== undefined || context.awaited);
  const ready =
    options.ready === undefined && byItself
      ? 'manual'
      : oneOf(options.ready, 'ready', ['started', 'manual', 'notify', 'fd']);
  if (options.exec !== undefined && ready === 'manual') {
    const words = "'started', 'notify' or 'fd' when options.exec is given";
    throw outOfRange('options.ready', words, options.ready);
  }
  if (options.exec === undefined && (ready === 'notify' || ready === 'fd')) {
    const words = `'started' or 'manual' without options.exec`;
    throw outOfRange('options.ready', words, options.ready);
  }
  const stopSignal = options.stopSignal ?? 'SIGTERM';
  signalNumber(stopSignal);
  const watchdog = watchdogOf(options.watchdog ?? 0);
  const resources = checkLimits(options.limits, options.memoryLimit, {
    cwd: context.cwd,
    isProgram: options.exec !== undefined,
  });
  return {
    workers: count('workers', 1, MOST_WORKERS),
    limits: {
      restart: oneOf(options.restart, 'restart', ['always', 'on-failure', 'never']),
      maxRestarts: count('maxRestarts', 0),
      maxFailures: count('maxFailures', 10, 10_000),
      failureWindow: count('failureWindow', 0),
      minUptime: count('minUptime', 1000),
      backoff: backoffOf(options.backoff ?? {}),
      // It depends on the engine.
      arrives: false,
      manualReady: ready !== 'started',
      readyTimeout: count('readyTimeout', 60_000),
      stopSignal,
      stopTimeout: count('stopTimeout', 10_000),
      watchdog: watchdog.timeout,
      usage: resources.usage,
      maxLifetime: count('maxLifetime', 0),
      lifetimeJitter: fraction(options.lifetimeJitter ?? 0.1, 'options.lifetimeJitter'),
      giveUpCode: integer(options.onGiveUp ?? 1, 'options.onGiveUp', 1, 255),
    },
    resources,
    recycleAt:
      options.recycleAt === undefined ? undefined : text(options.recycleAt, 'options.recycleAt'),
    onAlarm: options.onAlarm === undefined ? undefined : hookOf(options.onAlarm, context),
    automaticPing: watchdog.automatic,
    keepPrevious: flag(options.keepPrevious ?? true, 'options.keepPrevious'),
    keeper: flag(options.keeper ?? false, 'options.keeper'),
    rollbackOnFailure: flag(options.rollbackOnFailure ?? true, 'options.rollbackOnFailure'),
    watch: pathsOf(options.watch ?? [], context),
    control: controlOf(options.control, context),
    companions: [],
    log: logOf(options.log ?? 'stderr', context),
    cgroup: groupOf(options.cgroup ?? 'auto', context),
    exec: options.exec && command(options.exec, context),
    words: { ready: ready === 'manual' ? 'started' : ready, watchdog: watchdog.timeout },
    engine: oneOf(options.engine, 'engine', ['auto', 'fork', 'exec']),
    spare: count('spare', 1, MOST_SPARES),
    recordLocks: recordLockPolicy(options.recordLocks),
  };
}

/** One of the given words; the first is the default. */
function oneOf<T extends string>(value: T | undefined, name: string, words: readonly T[]): T {
  if (value === undefined) return words[0]!;
  if (words.includes(value)) return value;
  const all = words.map((word) => `'${word}'`).join(', ');
  throw outOfRange(`options.${name}`, `one of ${all}`, value);
}

function pathsOf(value: string | readonly string[], { cwd }: Context): readonly string[] {
  const paths: readonly string[] = typeof value === 'string' ? [value] : value;
  if (!Array.isArray(paths))
    throw invalidType('options.watch', 'a path or an Array of paths', value);
  return paths.map((path) => {
    if (text(path, 'options.watch') === '') throw outOfRange('options.watch', 'a path', "''");
    return resolve(cwd, path);
  });
}

function flag(value: unknown, name: string): boolean {
  if (typeof value !== 'boolean') throw invalidType(name, 'of type boolean', value);
  return value;
}

function fraction(value: unknown, name: string): number {
  if (typeof value !== 'number') throw invalidType(name, 'of type number', value);
  if (!(value >= 0 && value <= 1)) throw outOfRange(name, 'from 0 to 1', value);
  return value;
}

function backoffOf(options: Backoff): Limits['backoff'] {
  refuseUnknown(options, Object.keys(KNOWN_BACKOFF), 'options.backoff');
  const { factor = 2 } = options;
  if (typeof factor !== 'number')
    throw invalidType('options.backoff.factor', 'of type number', factor);
  if (!(factor >= 1 && factor <= 1000)) {
    throw outOfRange('options.backoff.factor', 'from 1 to 1000', factor);
  }
  const initial = integer(options.initial ?? 100, 'options.backoff.initial', 0, LONGEST);
  return {
    initial,
    factor,
    max: integer(options.max ?? Math.max(30_000, initial), 'options.backoff.max', initial, LONGEST),
    jitter: fraction(options.jitter ?? 0.1, 'options.backoff.jitter'),
  };
}

function watchdogOf(value: NonNullable<SuperviseOptions['watchdog']>): {
  timeout: number;
  automatic: boolean;
} {
  if (typeof value === 'number') {
    return { timeout: integer(value, 'options.watchdog', 0, LONGEST), automatic: true };
  }
  refuseUnknown(value, ['timeout', 'ping'], 'options.watchdog');
  const timeout = integer(value.timeout, 'options.watchdog.timeout', 0, LONGEST);
  const ping = oneOf(value.ping, 'watchdog.ping', ['automatic', 'manual']);
  return { timeout, automatic: ping === 'automatic' };
}

/** What fits into the address of a unix socket. */
const LONGEST_SOCKET_PATH = process.platform === 'linux' ? 107 : 103;

function controlOf(
  value: string | undefined,
  { cwd, control }: Context,
): SupervisorSettings['control'] {
  if (value === undefined) return control === '' ? undefined : { path: control, offered: true };
  const path = resolve(cwd, text(value, 'options.control'));
  if (value === '' || Buffer.byteLength(path) > LONGEST_SOCKET_PATH) {
    throw outOfRange('options.control', `a path of at most ${LONGEST_SOCKET_PATH} bytes`, path);
  }
  return { path, offered: false };
}

function logOf(
  value: NonNullable<SuperviseOptions['log']>,
  { cwd }: Context,
): SupervisorSettings['log'] {
  if (isMessageLog(value) || isMessageOptions(value)) {
    const log = checkMessages(value, 'options.log', cwd);
    if (!log.stream) return { kind: 'captured', log };
    throw outOfRange('options.log.stream', 'left to daemonize()', true);
  }
  if (typeof value === 'object' && value !== null) {
    return { kind: 'captured', log: checkCapture(value, 'options.log', cwd) };
  }
  if (text(value, 'options.log') === '') throw outOfRange('options.log', 'a path', "''");
  if (value === 'stderr' || value === 'none') return { kind: value };
  return { kind: 'file', path: resolve(cwd, value) };
}

function groupOf(value: string, { cwd }: Context): string {
  if (text(value, 'options.cgroup') === '') throw outOfRange('options.cgroup', 'a path', "''");
  return value === 'auto' || value === 'none' ? value : resolve(cwd, value);
}

function hookOf(value: string | URL | readonly string[], context: Context): AlarmHook {
  const name = 'options.onAlarm';
  if (Array.isArray(value)) return { kind: 'command', argv: command(value, context, name) };
  const url = value instanceof URL ? value.href : text(value, name);
  const protocol = URL.canParse(url) ? new URL(url).protocol : '';
  if (protocol === 'http:' || protocol === 'https:') return { kind: 'http', url };
  if (protocol === 'file:') return { kind: 'module', url };
  throw outOfRange(
    name,
    'an http:, https: or file: URL, or an Array of a program and its arguments',
    value,
  );
}

function command(
  words: readonly string[],
  context: Context,
  name = 'options.exec',
): readonly string[] {
  if (!Array.isArray(words) || words.length === 0) {
    throw invalidType(name, 'an Array of a program and its arguments', words);
  }
  const [program, ...args] = words.map((word, index) => text(word, `${name}[${index}]`));
  return [findExecutable(program!, context.cwd, context.path), ...args];
}
