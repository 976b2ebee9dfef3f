// Checks what a config file or the command line says about a program, and fills in the defaults.

import { basename, isAbsolute, resolve } from '../builtin/path.js';
import type { App } from '../control/app.js';
import { checkName } from '../control/record.js';
import { DEFAULT_SCHEDULE, parseSchedule } from '../control/schedule.js';
import { signalOf } from '../detach/commands.js';
import { SETTLE_MS } from '../detach/daemon.js';
import type { LimitOption } from '../detach/limits.js';
import { isResource, type LimitValue, resourceNames } from '../posix/limits.js';
import {
  argument,
  type Check,
  ConfigError,
  decimal,
  entries,
  fail,
  list,
  mask,
  Numeral,
  oneOf,
  set,
  time,
  word,
} from './value.js';

/** `4096`, `"infinity"`, `{ soft, hard }`; also `"1024:4096"`, soft and hard. */
const limit: Check<LimitOption> = (value, path) => {
  if (!isResource(path.at(-1)!)) {
    throw new ConfigError(`is no limit here; there are ${resourceNames().join(', ')}`, path);
  }
  const [soft, hard] = typeof value === 'string' ? value.split(':') : [];
  if (hard !== undefined) return pair({ soft, hard }, path);
  return typeof value === 'object' && !(value instanceof Numeral)
    ? pair(value, path)
    : bound(value, path);
};

const bound: Check<LimitValue> = (value, path) => {
  const number = decimal(value);
  return value === 'infinity' || (number !== undefined && Number.isSafeInteger(number))
    ? (number ?? 'infinity')
    : fail(path, 'a whole number or "infinity"', value);
};

const pair: Check<LimitOption> = (value, path) => {
  const given = entries(value, path, 'a whole number, "infinity" or { soft, hard }');
  const { soft, hard, ...others } = Object.fromEntries(given);
  const stray = Object.keys(others)[0];
  if (stray !== undefined) throw new ConfigError('is not known here', [...path, stray]);
  const limit = {
    ...(soft === undefined ? {} : { soft: bound(soft, path) }),
    ...(hard === undefined ? {} : { hard: bound(hard, path) }),
  };
  const number = (of: LimitValue | undefined, none: number) =>
    of === undefined ? none : of === 'infinity' ? Number.POSITIVE_INFINITY : of;
  return number(limit.soft, 0) <= number(limit.hard, Number.POSITIVE_INFINITY)
    ? limit
    : fail(path, 'soft at most hard', `${soft}:${hard}`);
};

/** Passes the message of another check on. */
const sentence =
  <T>(check: (value: string) => T): Check<T> =>
  (value, path) => {
    try {
      return check(argument(value, path));
    } catch (error) {
      if (error instanceof ConfigError) throw error;
      throw new ConfigError((error as Error).message, path);
    }
  };

const signal: Check<NodeJS.Signals> = (value, path) => {
  const text = argument(value, path);
  try {
    return signalOf(text) as NodeJS.Signals;
  } catch {
    return fail(path, 'a signal, such as HUP or SIGUSR2', value);
  }
};

/** What an app must be. */
export const APP = 'an app: a set of names with values';

/** Every key of an app, and what it may be. */
const CHECKS = {
  name: sentence(checkName),
  program: word,
  args: list(argument, 'texts'),
  cwd: word,
  pidfile: word,
  log: word,
  umask: mask,
  user: argument,
  group: argument,
  limits: set(limit, 'limits by name'),
  env: set(argument, 'names with values'),
  ready: oneOf('none', 'notify', 'fd'),
  timeout: time,
  settle: time,
  stop: sentence((text) => {
    parseSchedule(text);
    return text;
  }),
  commands: set(signal, 'commands with their signals'),
} satisfies { [Key in keyof App]: Check<App[Key] | undefined> };

/**
 * Checks what was said about an app.
 * @param raw of a config file or the command line
 * @param path the keys that lead to it
 * @throws ConfigError
 */
export function checkKeys(raw: unknown, path: readonly string[] = []): Partial<App> {
  const given: Partial<App> = {};
  for (const [key, value] of entries(raw, path, APP)) {
    if (!Object.hasOwn(CHECKS, key)) {
      const known = Object.keys(CHECKS).join(', ');
      throw new ConfigError(`is not known here; known are ${known}`, [...path, key]);
    }
    const check = CHECKS[key as keyof App] as Check<never>;
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
  return {
    name: given.name ?? sentence(checkName)(basename(program).replace(/\.[cm]?[jt]s$/, ''), path),
    // A bare name is looked for in PATH.
    program: program.includes('/') && !isAbsolute(program) ? resolve(base, program) : program,
    args: given.args ?? [],
    cwd,
    pidfile: absolute(given.pidfile),
    log: absolute(given.log),
    umask: given.umask,
    user: given.user,
    group: given.group,
    limits: given.limits ?? {},
    env: given.env ?? {},
    ready: given.ready ?? 'none',
    timeout: given.timeout ?? 60_000,
    settle: given.settle ?? SETTLE_MS,
    stop: given.stop ?? DEFAULT_SCHEDULE,
    commands: given.commands ?? {},
  };
}
