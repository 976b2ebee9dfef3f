// Failures in the shape that Node gives its own, with a message for people: what was tried, on what,
// and why it failed. The name of the error number is in `code`.

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
 * @param detail a sentence for people, in place of the one made of the rest
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
  const message =
    detail === undefined
      ? `${attempt(syscall, path)}: ${REASONS[`${syscall} ${code}`] ?? REASONS[code] ?? text}`
      : path === undefined || detail.includes(path)
        ? detail
        : `${path}: ${detail}`;
  return Object.assign(new Error(message), {
    errno,
    code,
    syscall,
    ...(path === undefined ? {} : { path }),
  });
}

/** What calls are for, as people say it, with the file behind it. */
const ATTEMPTS: Readonly<Record<string, string>> = {
  access: 'cannot read',
  bind: 'cannot listen on',
  chdir: 'cannot change to the directory',
  chmod: 'cannot change the permissions of',
  chown: 'cannot change the owner of',
  chroot: 'cannot change to the root directory',
  connect: 'cannot connect to',
  execve: 'cannot run',
  fchmod: 'cannot change the permissions of',
  flock: 'cannot lock',
  ftruncate: 'cannot shorten',
  link: 'cannot link',
  lstat: 'cannot look at',
  mkdir: 'cannot make the directory',
  mkdtemp: 'cannot make a directory at',
  open: 'cannot open',
  opendir: 'cannot list',
  read: 'cannot read',
  readlink: 'cannot read the link',
  rename: 'cannot rename',
  rmdir: 'cannot remove the directory',
  scandir: 'cannot list',
  sendmsg: 'cannot send to',
  setrlimit: 'cannot set the limit',
  stat: 'cannot look at',
  unlink: 'cannot remove',
  write: 'cannot write to',
};

function attempt(syscall: string, path: string | undefined): string {
  if (path === undefined) return `${syscall}() failed`;
  const known = ATTEMPTS[syscall];
  return known === undefined ? `${syscall}('${path}') failed` : `${known} ${path}`;
}

/** Where the text that everybody has for an error number says too little. */
const REASONS: Readonly<Record<string, string>> = {
  'bind EADDRINUSE': 'another process listens there',
  ECONNREFUSED: 'nobody listens there',
  'flock EAGAIN': 'it is locked already',
  EAGAIN: 'the system has no room for it at the moment; try again',
  EEXIST: 'there is a file already',
  EISDIR: 'it is a directory',
  ELOOP: 'it is a symbolic link, or leads to too many of them',
  ENOENT: 'there is no such file or directory',
  'connect ENOENT': 'nobody listens there',
  'execve ENOENT': 'there is no such file, or the interpreter in its first line is missing',
  'execve ENOEXEC':
    'it is no program of this system, and has no interpreter in its first line (#!)',
  ENOSYS: 'this system does not have that',
  ENOTDIR: 'a part of the path is not a directory',
  'open ENXIO': 'it is a FIFO that nobody reads, or a device that is not there',
  ENOTSUP: 'this system does not support that',
  ENOSPC: 'no space is left on the device',
  EROFS: 'the file system is read-only',
};

/** What Node writes: `ENOENT: no such file or directory, open '/x'`. */
const OF_NODE = /^(E[A-Z\d]+): (.*?), (\w+)(?: '(.*?)'(?: -> '(.*)')?)?$/s;

/** What an error says, for people: without the name of the error number that Node puts in front. */
export function sentenceOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const [, code, text, syscall, from, to] = OF_NODE.exec(error.message) ?? [];
  if (syscall === undefined) return error.message;
  const reason = REASONS[`${syscall} ${code}`] ?? REASONS[code!] ?? text;
  // Of chdir(2) Node says first where it comes from.
  return `${attempt(syscall, syscall === 'chdir' ? (to ?? from) : from)}: ${reason}`;
}

/** An error of Node's with a sentence that says better what was tried: `cannot read the record /x`. */
export function whileTrying(what: string, error: unknown): Error {
  const { message, errno, code, syscall, path } = error as NodeJS.ErrnoException;
  const [, , text] = OF_NODE.exec(message) ?? [];
  const reason = REASONS[`${syscall} ${code}`] ?? REASONS[code!] ?? text ?? message;
  return Object.assign(new Error(`${what}: ${reason}`), { errno, code, syscall, path });
}

const spoken = new WeakSet<object>();

/**
 * Has an error of a public function say its sentence first if nobody catches it: Node begins with a
 * line of the file that threw it, which is none of the user's. One of Node's own gets such a sentence.
 * @returns the error
 */
export function sayFirst(error: unknown): unknown {
  if (!(error instanceof Error)) return error;
  if (!process.listeners('uncaughtExceptionMonitor').includes(say)) {
    process.on('uncaughtExceptionMonitor', say);
  }
  const sentence = sentenceOf(error);
  if (sentence !== error.message && error.stack !== undefined) {
    error.stack = error.stack.replace(error.message, () => sentence);
    error.message = sentence;
  }
  spoken.add(error);
  return error;
}

function say(error: unknown): void {
  if (!(error instanceof Error) || !spoken.has(error)) return;
  process.stderr.write(`doublefork: ${sentenceOf(error)}\n`);
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
