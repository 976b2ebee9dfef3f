import type { Commands } from '../detach/commands.js';
import type { LimitOption } from '../detach/limits.js';
import {
  type CaptureOptions,
  isMessageLog,
  type JournalOptions,
  type SyslogOptions,
} from '../logs/options.js';

/** A program to start, all decided. Kept in the record of the daemon, so that it can be started again. */
export interface App {
  name: string;
  program: string;
  args: string[];
  /** Absolute. */
  cwd: string;
  pidfile: string | undefined;
  /** A file, absolute; `'syslog'`, `'journal'`; undefined: NAME.log in the directory for logs. */
  log: string | undefined;
  /** Of these one has a logger write the log; as daemonize() takes them. */
  logMaxSize?: number;
  logMaxAge?: number;
  logMaxFiles?: number;
  logCompress?: 'gzip' | 'none';
  logFormat?: 'plain' | 'iso' | 'tai64n' | 'json';
  logOnFull?: 'wait' | 'drop';
  umask: number | undefined;
  user: string | undefined;
  group: string | undefined;
  /** As daemonize() takes them. */
  limits: Record<string, LimitOption>;
  /** Added to the environment of the command. */
  env: Record<string, string>;
  ready: 'none' | 'notify' | 'fd';
  /** How long it may take to become ready, in ms. */
  timeout: number;
  /** How long it must live to count as started, in ms; see ExecOptions of daemonize(). */
  settle: number;
  /** How to stop it. */
  stop: string;
  commands: Commands;
  /** Variables to add, read at each start; absolute. `env` goes before it. */
  envFile?: string | undefined;
  /** Apps of the same config file that are started before. */
  dependsOn?: string[] | undefined;
  namespace?: string | undefined;
  /** Of these one makes the daemon a supervisor of the program; as supervise() takes them. */
  restart?: 'always' | 'on-failure' | 'never';
  workers?: number;
  maxRestarts?: number;
  maxFailures?: number;
  minUptime?: number;
  backoff?: { initial?: number; max?: number; factor?: number; jitter?: number };
  memoryLimit?: number;
  stopTimeout?: number;
  watchdog?: number;
}

/** What makes the command a supervisor of the program. */
export const SUPERVISION = [
  'restart',
  'workers',
  'maxRestarts',
  'maxFailures',
  'minUptime',
  'backoff',
  'memoryLimit',
  'stopTimeout',
  'watchdog',
] as const satisfies (keyof App)[];

/** Whether the command is to be the supervisor of the program. */
export const isSupervised = (app: Partial<App>): boolean =>
  SUPERVISION.some((key) => app[key] !== undefined);

/** What makes the command have a logger write the log of the program. */
export const CAPTURE = [
  'logMaxSize',
  'logMaxAge',
  'logMaxFiles',
  'logCompress',
  'logFormat',
  'logOnFull',
] as const satisfies (keyof App)[];

/** As long as the name of a program may be in RFC 5424. */
const LONGEST_TAG = 48;

/** The log of an app, for daemonize(): a path, or what a logger is to do with it. */
export function logOption(
  app: App,
  file: string,
): string | CaptureOptions | SyslogOptions | JournalOptions {
  if (isMessageLog(file)) {
    const { name, logOnFull: onFull = 'wait' } = app;
    return { to: file, tag: name.slice(0, LONGEST_TAG), onFull };
  }
  if (CAPTURE.every((key) => app[key] === undefined)) return file;
  const { logMaxSize, logMaxAge, logMaxFiles, logCompress, logFormat = 'plain', logOnFull } = app;
  return {
    file,
    maxSize: logMaxSize ?? 0,
    maxAge: logMaxAge ?? 0,
    ...(logMaxFiles === undefined ? {} : { maxFiles: logMaxFiles }),
    compress: logCompress === 'gzip',
    timestamps: logFormat === 'iso' || logFormat === 'tai64n' ? logFormat : false,
    json: logFormat === 'json' ? { name: app.name } : false,
    onFull: logOnFull ?? 'wait',
  };
}
