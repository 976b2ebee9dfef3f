// Every key of an app, once: what it may be, for the check and for the JSON schema; what it is for, for
// the help, the manual and the schema; and how it is written on the command line.

import type { App } from '../control/app.js';
import { checkName } from '../control/record.js';
import { parseSchedule } from '../control/schedule.js';
import { signalOf } from '../detach/commands.js';
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
  size,
  time,
  whole,
  word,
} from './value.js';

/** A part of a JSON schema. */
export type Schema = Readonly<Record<string, unknown>>;

export interface Key<T> {
  check: Check<T>;
  schema: Schema;
  /** What it is for, in a few words, with the default. */
  summary: string;
  /** What stands behind the option, as `<name>`; none: it is no option. */
  value?: string;
  /** The option, if it is not called as the key. */
  option?: string;
  /** The option stands for one of several. */
  repeated?: 'pair' | 'list';
  /** The words that there are. */
  choices?: readonly string[];
}

const TEXT: Schema = { type: 'string', minLength: 1 };
const ARGUMENT: Schema = { type: ['string', 'integer'] };
const ARGUMENTS: Schema = { type: 'object', additionalProperties: ARGUMENT };
const TIME: Schema = {
  anyOf: [
    { type: 'number', minimum: 0 },
    { type: 'string', pattern: '^[\\d.]+ ?(ms|s|min|h)?$' },
  ],
};
const SIZE: Schema = { type: 'string', pattern: '^[\\d.]+ ?([KMG]i?B?|kB)$' };
const COUNT: Schema = { type: 'integer', minimum: 0 };
const BOUND: Schema = { anyOf: [COUNT, { const: 'infinity' }] };

/** Passes the message of another check on. */
export const sentence =
  <T>(check: (value: string) => T): Check<T> =>
  (value, path) => {
    try {
      return check(argument(value, path));
    } catch (error) {
      if (error instanceof ConfigError) throw error;
      throw new ConfigError((error as Error).message, path);
    }
  };

const schedule = sentence((text) => {
  parseSchedule(text);
  return text;
});

const signal: Check<NodeJS.Signals> = (value, path) => {
  const text = argument(value, path);
  try {
    return signalOf(text) as NodeJS.Signals;
  } catch {
    return fail(path, 'a signal, such as HUP or SIGUSR2', value);
  }
};

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
  const { soft, hard } = only(['soft', 'hard'], value, path);
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

/** The values of a set that has these names and no others. */
function only(
  names: readonly string[],
  value: unknown,
  path: readonly string[],
): Record<string, unknown> {
  const given = entries(value, path, `a set of ${names.join(', ')}`);
  const stray = given.find(([name]) => !names.includes(name))?.[0];
  if (stray === undefined) return Object.fromEntries(given);
  throw new ConfigError(`is not known here; known are ${names.join(', ')}`, [...path, stray]);
}

/** `{ initial, factor, max, jitter }`, or `"0.1:30"`, the first wait and the longest. */
const backoff: Check<NonNullable<App['backoff']>> = (value, path) => {
  const [initial, max] = typeof value === 'string' ? value.split(':') : [];
  const given =
    max === undefined
      ? only(['initial', 'factor', 'max', 'jitter'], value, path)
      : { initial, max };
  const number = (name: string, least: number, most: number) => {
    const found = decimal(given[name]);
    return found !== undefined && found >= least && found <= most
      ? found
      : fail([...path, name], `a number from ${least} to ${most}`, given[name]);
  };
  const plan = {
    ...(given.initial === undefined ? {} : { initial: time(given.initial, [...path, 'initial']) }),
    ...(given.max === undefined ? {} : { max: time(given.max, [...path, 'max']) }),
    ...(given.factor === undefined ? {} : { factor: number('factor', 1, 1000) }),
    ...(given.jitter === undefined ? {} : { jitter: number('jitter', 0, 1) }),
  };
  return (plan.initial ?? 100) <= (plan.max ?? Number.POSITIVE_INFINITY)
    ? plan
    : fail(path, 'the longest wait at least the first', given.max);
};

const READY = ['none', 'notify', 'fd'] as const;
const COMPRESS = ['gzip', 'none'] as const;
const FORMAT = ['plain', 'iso', 'tai64n', 'json'] as const;
const ON_FULL = ['wait', 'drop'] as const;
const RESTART = ['always', 'on-failure', 'never'] as const;

export const KEYS: { readonly [Name in keyof App]-?: Key<NonNullable<App[Name]>> } = {
  name: {
    check: sentence(checkName),
    schema: { type: 'string', pattern: '^[A-Za-z0-9][A-Za-z0-9._@-]{0,63}$' },
    summary: 'call it so; default: what the program is called',
    value: '<name>',
  },
  program: {
    check: word,
    schema: TEXT,
    summary: 'the program: a path, or a name to look for in PATH',
  },
  args: {
    check: list(argument, 'texts'),
    schema: { type: 'array', items: ARGUMENT },
    summary: 'its arguments',
  },
  cwd: { check: word, schema: TEXT, summary: 'run it there; default: here', value: '<directory>' },
  pidfile: {
    check: word,
    schema: TEXT,
    summary: 'default: NAME.pid in the directory for state',
    value: '<file>',
  },
  log: {
    check: word,
    schema: TEXT,
    summary:
      'what it prints goes to this file, or to syslog or journal; default: NAME.log in the directory for logs',
    value: '<file>',
  },
  logMaxSize: {
    check: size,
    schema: SIZE,
    summary: 'rotate the log before it is larger, such as 10M',
    value: '<size>',
    option: 'log-max-size',
  },
  logMaxAge: {
    check: time,
    schema: TIME,
    summary: 'rotate it when it is so old, such as 24h',
    value: '<seconds>',
    option: 'log-max-age',
  },
  logMaxFiles: {
    check: whole(0, 2 ** 31 - 1),
    schema: COUNT,
    summary: 'keep so many rotated files; default: 10; 0: all',
    value: '<count>',
    option: 'log-max-files',
  },
  logCompress: {
    check: oneOf(...COMPRESS),
    schema: { enum: COMPRESS },
    summary: 'compress rotated files',
    value: '<how>',
    option: 'log-compress',
    choices: COMPRESS,
  },
  logFormat: {
    check: oneOf(...FORMAT),
    schema: { enum: FORMAT },
    summary: 'how a line begins: with the time, or as one JSON object; default: plain, as it is',
    value: '<how>',
    option: 'log-format',
    choices: FORMAT,
  },
  logOnFull: {
    check: oneOf(...ON_FULL),
    schema: { enum: ON_FULL },
    summary:
      'while the log cannot be written have the program wait, or drop what it prints; default: wait',
    value: '<how>',
    option: 'log-on-full',
    choices: ON_FULL,
  },
  umask: {
    check: mask,
    schema: { type: 'string', pattern: '^(0o)?[0-7]{1,4}$' },
    summary: 'permissions that new files do not get, in octal; default: 027',
    value: '<mask>',
  },
  env: {
    check: set(argument, 'names with values'),
    schema: ARGUMENTS,
    summary: 'set a variable of its environment; can be repeated',
    value: '<name=value>',
    repeated: 'pair',
  },
  envFile: {
    check: word,
    schema: TEXT,
    summary: 'set the variables of this file, NAME=VALUE in lines; read at each start',
    value: '<file>',
    // Not --env-file: Node 20 takes that for itself, also behind the script.
    option: 'environment-file',
  },
  user: {
    check: argument,
    schema: ARGUMENT,
    summary: 'run it as this user, with its group and groups',
    value: '<user>',
  },
  group: { check: argument, schema: ARGUMENT, summary: 'run it as this group', value: '<group>' },
  limits: {
    check: set(limit, 'limits by name'),
    schema: {
      type: 'object',
      additionalProperties: {
        anyOf: [
          BOUND,
          { type: 'string', pattern: '^(\\d+|infinity):(\\d+|infinity)$' },
          {
            type: 'object',
            properties: { soft: BOUND, hard: BOUND },
            additionalProperties: false,
          },
        ],
      },
    },
    summary: 'set a limit, such as nofile=4096 or core=0:infinity; can be repeated',
    value: '<name=value>',
    option: 'limit',
    repeated: 'pair',
  },
  ready: {
    check: oneOf(...READY),
    schema: { enum: READY },
    summary: 'wait until it says so: by sd_notify, or a newline on descriptor 3',
    value: '<how>',
    choices: READY,
  },
  timeout: {
    check: time,
    schema: TIME,
    summary: 'how long it may take to become ready; default: 60',
    value: '<seconds>',
  },
  settle: {
    check: time,
    schema: TIME,
    summary: 'it must live so long to count as started; default: 1',
    value: '<seconds>',
  },
  stop: {
    check: schedule,
    schema: { type: ['string', 'integer'] },
    summary: 'how to stop it later; default: TERM/10/KILL/5',
    value: '<schedule>',
  },
  commands: {
    check: set(signal, 'commands with their signals'),
    schema: ARGUMENTS,
    summary: 'words for signals, for doublefork signal',
  },
  dependsOn: {
    check: list(sentence(checkName), 'names'),
    schema: { type: 'array', items: TEXT },
    summary: 'start these apps of the config file first, and wait for each',
  },
  namespace: {
    check: sentence(checkName),
    schema: TEXT,
    summary: 'count it to these, which --namespace means together',
    value: '<name>',
  },
  restart: {
    check: oneOf(...RESTART),
    schema: { enum: RESTART },
    summary: 'start it again when it has ended: always, never, or if its code was not 0',
    value: '<when>',
    choices: RESTART,
  },
  workers: {
    check: whole(1, 4096),
    schema: { type: 'integer', minimum: 1, maximum: 4096 },
    summary: 'run so many of it; default: 1',
    value: '<count>',
  },
  maxRestarts: {
    check: whole(0, 2 ** 31 - 1),
    schema: COUNT,
    summary: 'start it again so often in all; default: 0, any number',
    value: '<count>',
    option: 'max-restarts',
  },
  maxFailures: {
    check: whole(0, 10_000),
    schema: { type: 'integer', minimum: 0, maximum: 10_000 },
    summary: 'give up after more failures in a row; default: 10; 0: never',
    value: '<count>',
    option: 'max-failures',
  },
  minUptime: {
    check: time,
    schema: TIME,
    summary: 'a shorter life is a failure; default: 1',
    value: '<seconds>',
    option: 'min-uptime',
  },
  backoff: {
    check: backoff,
    schema: {
      anyOf: [
        { type: 'string', pattern: '^[^:]+:[^:]+$' },
        {
          type: 'object',
          properties: {
            initial: TIME,
            max: TIME,
            factor: { type: 'number', minimum: 1, maximum: 1000 },
            jitter: { type: 'number', minimum: 0, maximum: 1 },
          },
          additionalProperties: false,
        },
      ],
    },
    summary: 'wait after a failure, at first and at most; default: 0.1:30',
    value: '<first:longest>',
  },
  memoryLimit: {
    check: size,
    schema: SIZE,
    summary: 'replace it when it has more memory, such as 512M',
    value: '<size>',
    option: 'memory-limit',
  },
  stopTimeout: {
    check: time,
    schema: TIME,
    summary: 'how long it may take to end, before it is killed; default: 10',
    value: '<seconds>',
    option: 'stop-timeout',
  },
  watchdog: {
    check: time,
    schema: TIME,
    summary: 'end and restart it when it has not sent WATCHDOG=1 by sd_notify for so long',
    value: '<seconds>',
  },
};

/** The option for a key, with its dashes. */
export const optionOf = (key: keyof App): string => `--${KEYS[key].option ?? key}`;
