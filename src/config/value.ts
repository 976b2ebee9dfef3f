// Values as a config file or the command line gives them: what each may be, and what to write instead
// of what cannot be meant.

/** A wrong value, and where it is. */
export class ConfigError extends Error {
  constructor(
    message: string,
    /** The keys that lead to it; `message` goes on behind them, or is a sentence. */
    readonly path: readonly string[],
  ) {
    super(message);
  }

  /** What is said of it under a name: "umask must be …", "stop: The schedule …". */
  about(name: string): string {
    return `${name}${/^[a-z]/.test(this.message) ? ' ' : ': '}${this.message}`;
  }
}

/**
 * A number that is not plainly decimal: `077`, `0x1f`, `1:30`, `1_000`, `+5`, `.inf`. What it means
 * depends on who reads it: of `077` YAML 1.1 makes 63, YAML 1.2 makes 77. So it goes on as it is
 * written, and each key says whether it can be meant there.
 */
export class Numeral {
  constructor(readonly source: string) {}

  toString(): string {
    return this.source;
  }
}

/** Looks at a value. @throws ConfigError */
export type Check<T> = (value: unknown, path: readonly string[]) => T;

/** As people would write it. */
function shown(value: unknown): string {
  if (value === undefined) return 'missing';
  return typeof value === 'number' || value instanceof Numeral
    ? String(value)
    : JSON.stringify(value);
}

export function fail(path: readonly string[], expected: string, value: unknown): never {
  throw new ConfigError(`must be ${expected}, not ${shown(value)}`, path);
}

export const word: Check<string> = (value, path) =>
  typeof value === 'string' && value !== '' && !value.includes('\0')
    ? value
    : fail(path, 'a text that is not empty', value);

/**
 * A text. Whole numbers pass: YAML makes numbers of `args: [--port, 8080]`. Not 1.10, which is 1.1 by
 * now, and not 0755, which may be 493.
 */
export const argument: Check<string> = (value, path) => {
  if (typeof value === 'string' && !value.includes('\0')) return value;
  if (typeof value === 'number' && Number.isSafeInteger(value)) return String(value);
  if (typeof value === 'number' || typeof value === 'boolean' || value instanceof Numeral) {
    throw new ConfigError(`must be a text: write it in quotes, as "${value}"`, path);
  }
  return fail(path, 'a text', value);
};

/** The same check for each item of a list. */
export const list =
  <T>(check: Check<T>, of: string): Check<T[]> =>
  (value, path) =>
    Array.isArray(value)
      ? value.map((item, index) => check(item, [...path, String(index)]))
      : fail(path, `a list of ${of}`, value);

/** The same check for each value of a set of names. */
export const set =
  <T>(check: Check<T>, of: string): Check<Record<string, T>> =>
  (value, path) =>
    Object.fromEntries(
      entries(value, path, `a set of ${of}`).map(([name, item]) => [
        name,
        check(item, [...path, name]),
      ]),
    );

/** The names of a set, with their values. @throws ConfigError if it is none */
export function entries(
  value: unknown,
  path: readonly string[],
  expected: string,
): [string, unknown][] {
  const isSet =
    typeof value === 'object' &&
    value !== null &&
    !Array.isArray(value) &&
    !(value instanceof Numeral) &&
    !(value instanceof Date);
  return isSet ? Object.entries(value) : fail(path, expected, value);
}

export const oneOf =
  <T extends string>(...words: readonly T[]): Check<T> =>
  (value, path) =>
    words.includes(value as T)
      ? (value as T)
      : fail(path, `one of ${words.map((each) => `"${each}"`).join(', ')}`, value);

const PLAIN = /^(0|[1-9]\d*)(\.\d+)?$/;

/** A number from 0, plainly decimal. undefined: it is none. */
export function decimal(value: unknown): number | undefined {
  const number = typeof value === 'string' && PLAIN.test(value) ? Number(value) : value;
  return typeof number === 'number' && number >= 0 && Number.isFinite(number) ? number : undefined;
}

/** A whole number from `least` to `most`. */
export const whole =
  (least: number, most: number, what = 'a whole number'): Check<number> =>
  (value, path) => {
    const number = decimal(value);
    return number !== undefined && Number.isInteger(number) && number >= least && number <= most
      ? number
      : fail(path, `${what} from ${least} to ${most}`, value);
  };

/** The longest time that a timer of Node's can wait, in ms. */
const LONGEST = 2 ** 31 - 1;
const TIMES: Readonly<Record<string, number>> = { ms: 1, s: 1000, min: 60_000, h: 3_600_000 };

/** Seconds, or a text with a unit: `30`, `0.5`, `"500 ms"`, `"2 min"`. @returns ms */
export const time: Check<number> = (value, path) => {
  const [, amount, unit] =
    (typeof value === 'string' && /^([\d.]+) ?(ms|s|min|h)$/.exec(value)) || [];
  const number = decimal(unit === undefined ? value : amount);
  const ms = number === undefined ? undefined : Math.round(number * TIMES[unit ?? 's']!);
  // 0 has a meaning of its own: what is nearly that is not it.
  return ms === undefined || ms > LONGEST || (ms === 0 && number !== 0)
    ? fail(path, 'a number of seconds, such as 30 or 0.5, or a text such as "2 min"', value)
    : ms;
};

const SIZES: Readonly<Record<string, number>> = {
  kB: 1e3,
  MB: 1e6,
  GB: 1e9,
  K: 2 ** 10,
  M: 2 ** 20,
  G: 2 ** 30,
};

/** A text with a unit: `"512M"` and `"512 MiB"` are 512 times 2 to the power of 20, `"512 MB"` 512 million. @returns bytes */
export const size: Check<number> = (value, path) => {
  const [, amount, unit] =
    (typeof value === 'string' && /^([\d.]+) ?(kB|MB|GB|[KMG])(?:iB?)?$/.exec(value)) || [];
  const bytes = Math.round((decimal(amount) ?? 0) * (SIZES[unit!] ?? 0));
  // Of a number alone nobody knows whether it is bytes or megabytes.
  return bytes > 0 && Number.isSafeInteger(bytes)
    ? bytes
    : fail(path, 'a size with its unit, such as "512M" or "1.5 GB"', value);
};

/**
 * The mask of permissions. Octal is what has to look octal: `"077"`, or `0o77` where the format has
 * that. A number without quotes is refused: 77 may be meant as 077, or be what has become of it.
 */
export const mask: Check<number> = (value, path) => {
  const text = value instanceof Numeral && value.source.startsWith('0o') ? value.source : value;
  const digits = typeof text === 'string' && /^(?:0o)?([0-7]{1,4})$/.exec(text)?.[1];
  const number = digits ? Number.parseInt(digits, 8) : Number.NaN;
  if (number <= 0o777) return number;
  const octal = value instanceof Numeral && /^0[0-7]{1,3}$/.test(value.source);
  const example = octal ? value.source : '027';
  return fail(path, `octal, from 000 to 777, in quotes: write "${example}"`, value);
};
