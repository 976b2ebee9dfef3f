// Checks what a config file or the command line says about a program, and fills in the defaults.

import { basename, isAbsolute, resolve } from '../builtin/path.js';
import { type App, CAPTURE, isSupervised, SUPERVISION } from '../control/app.js';
import { checkName } from '../control/record.js';
import { DEFAULT_SCHEDULE } from '../control/schedule.js';
import { SETTLE_MS } from '../detach/daemon.js';
import { isMessageLog } from '../logs/options.js';
import { KEYS, sentence } from './keys.js';
import { type Check, ConfigError, entries, word } from './value.js';

/** What an app must be. */
export const APP = 'an app: a set of names with values';

/**
 * Checks what was said about an app.
 * @param raw of a config file or the command line
 * @param path the keys that lead to it
 * @throws ConfigError
 */
export function checkKeys(raw: unknown, path: readonly string[] = []): Partial<App> {
  const given: Partial<App> = {};
  for (const [key, value] of entries(raw, path, APP)) {
    if (!Object.hasOwn(KEYS, key)) {
      const known = Object.keys(KEYS).join(', ');
      throw new ConfigError(`is not known here; known are ${known}`, [...path, key]);
    }
    const check = KEYS[key as keyof App].check as Check<never>;
    if (value !== undefined) given[key as keyof App] = check(value, [...path, key]);
  }
  return given;
}

/**
 * Checks what was said about an app and fills in the defaults.
 * @param base relative paths begin there: the folder of the config file, or the working directory
 */
export function checkApp(raw: unknown, base: string, path: readonly string[] = []): App {
  const given = checkKeys(raw, path);
  const program = word(given.program, [...path, 'program']);
  const cwd = resolve(base, given.cwd ?? '.');
  const absolute = (file: string | undefined) => (file === undefined ? file : resolve(base, file));
  if (isMessageLog(given.log)) refuseRotation(given.log, given, path);
  return {
    name: given.name ?? sentence(checkName)(basename(program).replace(/\.[cm]?[jt]s$/, ''), path),
    // A bare name is looked for in PATH.
    program: program.includes('/') && !isAbsolute(program) ? resolve(base, program) : program,
    args: given.args ?? [],
    cwd,
    pidfile: absolute(given.pidfile),
    log: isMessageLog(given.log) ? given.log : absolute(given.log),
    umask: given.umask,
    user: given.user,
    group: given.group,
    limits: given.limits ?? {},
    env: given.env ?? {},
    ready: given.ready ?? 'none',
    timeout: given.timeout ?? 60_000,
    settle: given.settle ?? SETTLE_MS,
    stop: given.stop ?? defaultStop(given),
    commands: given.commands ?? {},
    envFile: absolute(given.envFile),
    dependsOn: given.dependsOn,
    namespace: given.namespace,
    ...only(CAPTURE, given),
    ...supervisionOf(given),
  };
}

/** @throws ConfigError for what a log that is no file cannot have */
function refuseRotation(log: string, given: Partial<App>, path: readonly string[]): void {
  const stray = CAPTURE.find((key) => key !== 'logOnFull' && given[key] !== undefined);
  if (stray === undefined) return;
  throw new ConfigError(`is for a log that is a file, and this one is ${log}`, [...path, stray]);
}

type Supervision = Pick<App, (typeof SUPERVISION)[number]>;

/** What was said of its supervisor, as supervise() takes it; nothing: the program runs without one. */
export const supervisionOf = (app: Partial<App>): Partial<Supervision> => only(SUPERVISION, app);

/** Those of these keys that were given. */
function only<Key extends keyof App>(
  keys: readonly Key[],
  app: Partial<App>,
): Partial<Pick<App, Key>> {
  return Object.fromEntries(
    keys.flatMap((key) => (app[key] === undefined ? [] : [[key, app[key]]])),
  ) as Partial<Pick<App, Key>>;
}

/** A supervisor ends when its workers have, or were killed: it gets the time for that. */
function defaultStop(given: Partial<App>): string {
  if (!isSupervised(given)) return DEFAULT_SCHEDULE;
  // 0 is: for ever.
  if (given.stopTimeout === 0) return 'TERM/forever/3600';
  return `TERM/${Math.ceil((given.stopTimeout ?? 10_000) / 1000) + 5}/KILL/5`;
}

/**
 * What the command line says of an app of a config file.
 * @param base the working directory, where relative paths begin; undefined: it was removed
 * @throws ConfigError
 */
export function checkGiven(raw: unknown, base: string | undefined): Partial<App> {
  const given = checkKeys(raw);
  for (const key of ['cwd', 'pidfile', 'log', 'envFile'] as const) {
    const path = given[key];
    if (path === undefined || (key === 'log' && isMessageLog(path))) continue;
    if (base === undefined && !isAbsolute(path)) {
      throw new ConfigError('must be an absolute path: the working directory was removed', [key]);
    }
    given[key] = resolve(base ?? '/', path);
  }
  return given;
}
