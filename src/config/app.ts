// Checks what a config file or the command line says about a program, and fills in the defaults.

import { basename, isAbsolute, resolve } from 'node:path';
import type { App } from '../control/app.js';
import { checkName } from '../control/record.js';
import { DEFAULT_SCHEDULE, parseSchedule } from '../control/schedule.js';
import { type Commands, signalOf } from '../detach/commands.js';
import { type LimitOption, limitsPlan } from '../detach/limits.js';

/** A wrong value, and where it is. */
export class ConfigError extends Error {
  constructor(
    message: string,
    /** The keys that lead to it. */
    readonly path: readonly string[],
  ) {
    super(message);
  }
}

type Check<T> = (value: unknown, path: readonly string[]) => T;

const fail = (path: readonly string[], expected: string, value: unknown): never => {
  throw new ConfigError(`must be ${expected}, not ${JSON.stringify(value) ?? 'missing'}`, path);
};

const word: Check<string> = (value, path) =>
  typeof value === 'string' && value !== '' && !value.includes('\0')
    ? value
    : fail(path, 'a text that is not empty', value);

const words: Check<string[]> = (value, path) =>
  Array.isArray(value)
    ? value.map((item, index) => argument(item, [...path, String(index)]))
    : fail(path, 'a list of texts', value);

/** YAML makes numbers of what is meant as text: `args: [--port, 8080]`. */
const argument: Check<string> = (value, path) =>
  typeof value === 'string' || typeof value === 'number'
    ? String(value)
    : fail(path, 'a text', value);

const texts: Check<Record<string, string>> = (value, path) => {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    return fail(path, 'a set of names with values', value);
  }
  return Object.fromEntries(
    Object.entries(value).map(([name, item]) => [name, argument(item, [...path, name])]),
  );
};

/** `"027"`, `"0o27"`, or a number that was written in octal. */
const mask: Check<number> = (value, path) => {
  const octal = typeof value === 'string' && /^(0o)?[0-7]{1,4}$/.test(value);
  const number = octal ? Number.parseInt(value.replace('0o', ''), 8) : value;
  return typeof number === 'number' && Number.isInteger(number) && number >= 0 && number <= 0o777
    ? number
    : fail(path, 'an octal number from 000 to 777, in quotes', value);
};

const seconds: Check<number> = (value, path) => {
  const number = typeof value === 'string' && value.trim() !== '' ? Number(value) : value;
  return typeof number === 'number' && number >= 0 && number * 1000 < 2 ** 31
    ? Math.round(number * 1000)
    : fail(path, 'a number of seconds', value);
};

/** `4096`, `"infinity"`, `{ soft, hard }`; also `"1024:4096"`, soft and hard. */
const limit: Check<LimitOption> = (value, path) => {
  const raw = typeof value === 'string' ? limitOf(value) : value;
  try {
    limitsPlan({ limits: { [path.at(-1)!]: raw as LimitOption } });
    return raw as LimitOption;
  } catch (error) {
    throw new ConfigError(predicate(error), path);
  }
};

/**
 * The keys stand in front of it: of `The value of "options.limits.core" is out of range. It must be …`
 * only the end is news.
 */
function predicate(error: unknown): string {
  const { message } = error as Error;
  return message
    .replace(/^The (value of )?"[^"]*" .*?(is out of range\. It )?(?=must )/, '')
    .replace('. Received ', ', not ');
}

function limitOf(text: string): LimitOption {
  const one = (word: string) => (word === 'infinity' ? word : Number(word));
  const [soft, hard] = text.split(':');
  return hard === undefined ? one(soft!) : { soft: one(soft!), hard: one(hard) };
}

const limits: Check<Record<string, LimitOption>> = (value, path) => {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    return fail(path, 'a set of limits by name', value);
  }
  return Object.fromEntries(
    Object.entries(value).map(([name, item]) => [name, limit(item, [...path, name])]),
  );
};

const readiness: Check<App['ready']> = (value, path) =>
  value === 'none' || value === 'notify' || value === 'fd'
    ? value
    : fail(path, '"none", "notify" or "fd"', value);

/** Passes the message of another check on. */
const sentence =
  <T>(check: (value: string) => T): Check<T> =>
  (value, path) => {
    try {
      return check(argument(value, path));
    } catch (error) {
      if (error instanceof ConfigError) throw error;
      throw new ConfigError(predicate(error), path);
    }
  };

const commands: Check<Commands> = (value, path) =>
  Object.fromEntries(
    Object.entries(texts(value, path)).map(([name, signal]) => [
      name,
      sentence((text) => signalOf(text) as NodeJS.Signals)(signal, [...path, name]),
    ]),
  );

/** Every key of an app, and what it may be. */
const CHECKS = {
  name: sentence(checkName),
  program: word,
  args: words,
  cwd: word,
  pidfile: word,
  log: word,
  umask: mask,
  user: argument,
  group: argument,
  limits,
  env: texts,
  ready: readiness,
  timeout: seconds,
  settle: seconds,
  stop: sentence((text) => {
    parseSchedule(text);
    return text;
  }),
  commands,
} satisfies { [Key in keyof App]: Check<App[Key] | undefined> };

/**
 * Checks what was said about an app.
 * @param raw of a config file or the command line
 * @param path the keys that lead to it
 * @throws ConfigError
 */
export function checkKeys(raw: unknown, path: readonly string[] = []): Partial<App> {
  if (typeof raw !== 'object' || raw === null || Array.isArray(raw)) {
    return fail(path, 'an app: a set of names with values', raw);
  }
  const given: Partial<App> = {};
  for (const [key, value] of Object.entries(raw)) {
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
    settle: given.settle ?? 0,
    stop: given.stop ?? DEFAULT_SCHEDULE,
    commands: given.commands ?? {},
  };
}
