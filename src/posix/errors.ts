// Failures in the shape that Node gives its own: `EPERM: operation not permitted, setsid`.

import { constants } from '../builtin/os.js';

/** What a failing system call throws: the fields of Node's own system errors. */
export interface PosixError extends Error {
  /** The negative error number, as in Node. */
  errno: number;
  /** Its name: 'EPERM'. */
  code: string;
  /** The function that failed: 'setsid'. */
  syscall: string;
  /** The file concerned, where there is one. */
  path?: string;
}

/**
 * An error for a negative error number.
 * @param errno negative, as the kernel and libuv give it
 * @param syscall the call that failed
 * @param path the file concerned
 * @param detail a sentence for people, in place of the generic text
 */
export function posixError(
  errno: number,
  syscall: string,
  path?: string,
  detail?: string,
): PosixError {
  // Fetched only now: node:util loads more than it is worth to a program that starts well.
  const { getSystemErrorMap } = process.getBuiltinModule('node:util');
  const [code, text] = getSystemErrorMap().get(errno) ?? [nameOf(-errno), 'no further text'];
  const message = `${code}: ${detail ?? text}, ${syscall}${path === undefined ? '' : ` '${path}'`}`;
  return Object.assign(new Error(message), {
    errno,
    code,
    syscall,
    ...(path === undefined ? {} : { path }),
  });
}

/** libuv has no text for errors that it does not expect, such as ECHILD. */
function nameOf(errno: number): string {
  const names = Object.entries(constants.errno);
  return names.find(([, number]) => number === errno)?.[0] ?? `E${errno}`;
}

/** For people, as Node prints what nobody caught: an error with its stack, code and cause. */
export function errorText(reason: unknown): string {
  return typeof reason === 'string'
    ? reason
    : process.getBuiltinModule('node:util').inspect(reason);
}

/** Passes a result through; throws for a negative one. */
export function check(result: number, syscall: string, path?: string): number {
  if (result < 0) throw posixError(result, syscall, path);
  return result;
}

/** The same for calls whose result is not a number unless they fail. */
export function checked<T>(result: T | number, syscall: string, path?: string): T {
  if (typeof result === 'number') throw posixError(result, syscall, path);
  return result;
}

/** Node's error for an argument of the wrong type. */
export function invalidType(name: string, expected: string, value: unknown): TypeError {
  const received =
    value === null || value === undefined || typeof value === 'boolean'
      ? String(value)
      : `type ${typeof value}`;
  return Object.assign(
    new TypeError(`The "${name}" argument must be ${expected}. Received ${received}`),
    {
      code: 'ERR_INVALID_ARG_TYPE',
    },
  );
}

/** Node's error for an argument of the right type and a value that cannot be. */
export function outOfRange(name: string, expected: string, value: unknown): RangeError {
  return Object.assign(
    new RangeError(
      `The value of "${name}" is out of range. It must be ${expected}. Received ${value}`,
    ),
    { code: 'ERR_OUT_OF_RANGE' },
  );
}

/** Also an error of another realm, such as those of node:vm and of test runners built on it. */
export function isError(value: unknown): value is Error {
  return value instanceof Error || Object.prototype.toString.call(value) === '[object Error]';
}

/** A whole number in a range, by default that of a C int. */
export function integer(
  value: unknown,
  name: string,
  least = -(2 ** 31),
  most = 2 ** 31 - 1,
): number {
  if (typeof value !== 'number') throw invalidType(name, 'of type number', value);
  if (!Number.isInteger(value) || value < least || value > most) {
    throw outOfRange(name, `an integer >= ${least} and <= ${most}`, value);
  }
  return value;
}

/** A descriptor: 0 or more. */
export const descriptor = (value: unknown, name = 'fd'): number => integer(value, name, 0);

/** A path or other text that C can hold: without a NUL. */
export function text(value: unknown, name: string): string {
  if (typeof value !== 'string') throw invalidType(name, 'of type string', value);
  if (value.includes('\0')) {
    throw Object.assign(new TypeError(`The "${name}" argument must not contain null bytes`), {
      code: 'ERR_INVALID_ARG_VALUE',
    });
  }
  return value;
}
