// Processes, sessions, groups and what they inherit.

import { constants } from '../builtin/os.js';
import { addon } from './addon.js';
import { check, integer, invalidType, outOfRange, posixError, text } from './errors.js';
import { refuseUnknown } from './known.js';

/** waitpid(2) options. */
export const WNOHANG = 1;
export const WUNTRACED = 2;

/**
 * Begins a session: the caller leads it and its process group, and has no controlling terminal.
 * @returns the session id
 * @throws EPERM if the caller leads a process group already; fork first
 * @see setsid(2)
 */
export function setsid(): number {
  return check(addon.setsid(), 'setsid');
}

/**
 * The session of a process.
 * @param pid 0: the caller
 * @throws ESRCH if there is no such process
 * @see getsid(2)
 */
export function getsid(pid = 0): number {
  return check(addon.getsid(integer(pid, 'pid', 0)), 'getsid');
}

/**
 * The process group of a process.
 * @param pid 0: the caller
 * @throws ESRCH if there is no such process
 * @see getpgid(2)
 */
export function getpgid(pid = 0): number {
  return check(addon.getpgid(integer(pid, 'pid', 0)), 'getpgid');
}

/**
 * Moves a process to a process group.
 * @param pid 0: the caller
 * @param pgid 0: the process leads a new group
 * @throws EACCES, EPERM, ESRCH
 * @see setpgid(2)
 */
export function setpgid(pid: number, pgid: number): void {
  check(addon.setpgid(integer(pid, 'pid', 0), integer(pgid, 'pgid', 0)), 'setpgid');
}

/**
 * Sets the mask of permission bits that new files do not get.
 * @param mask 0 to 0o777
 * @returns the mask before
 * @see umask(2)
 */
export function umask(mask: number): number {
  return addon.umask(integer(mask, 'mask', 0, 0o777));
}

/**
 * Changes the working directory.
 * @throws ENOENT, ENOTDIR, EACCES
 * @see chdir(2)
 */
export function chdir(path: string): void {
  // Through Node, which caches the result of process.cwd().
  process.chdir(text(path, 'path'));
}

/** How a child ended, decoded from waitpid(2)'s status. */
export interface WaitResult {
  /** The process, or 0 if WNOHANG was given and none has changed. */
  pid: number;
  /** Its exit code, if it exited. */
  exitCode: number | null;
  /** The signal that killed it, if one did. */
  signal: NodeJS.Signals | null;
  /** Whether it left a core file. */
  coreDumped: boolean;
  /** The signal that stopped it, with WUNTRACED. */
  stopped: NodeJS.Signals | null;
}

/** `SIGTERM` for 15; `SIG34` and the like for those without a name. */
export function signalName(number: number): NodeJS.Signals {
  // The first of a number's names: SIGABRT comes before SIGIOT, SIGIO before SIGPOLL.
  const named = Object.entries(constants.signals).find((entry) => entry[1] === number);
  return (named?.[0] ?? `SIG${number}`) as NodeJS.Signals;
}

/** The number of a signal given by name or number. @throws ERR_INVALID_ARG_TYPE, ERR_OUT_OF_RANGE */
export function signalNumber(signal: NodeJS.Signals | number, least = 1): number {
  if (typeof signal === 'number') return integer(signal, 'signal', least, 64);
  const number = constants.signals[signal];
  if (number === undefined) throw outOfRange('signal', "a signal's name or number", signal);
  return number;
}

/**
 * Waits for a child to end. Children of child_process are libuv's to wait for: leave those alone.
 * @param pid one child; -1: any; 0 or less than -1: those of a group
 * @param options WNOHANG, WUNTRACED
 * @throws ECHILD if there is none; EINTR if a signal came first
 * @see waitpid(2)
 */
export function waitpid(pid: number, options = 0): WaitResult {
  const [result, status] = addon.waitpid(integer(pid, 'pid'), integer(options, 'options', 0));
  check(result, 'waitpid');
  const low = status & 0x7f;
  const stopped = result > 0 && (status & 0xff) === 0x7f;
  const killed = result > 0 && low !== 0 && !stopped;
  return {
    pid: result,
    exitCode: result > 0 && low === 0 ? (status >> 8) & 0xff : null,
    signal: killed ? signalName(low) : null,
    coreDumped: killed && (status & 0x80) !== 0,
    stopped: stopped ? signalName((status >> 8) & 0xff) : null,
  };
}

/**
 * The next child that has ended, left in place for {@link waitpid}: until that is called its number,
 * and that of its process group, cannot come to mean anybody else.
 * @returns 0 if none has ended, or there is none
 * @see waitid(2) with WNOWAIT
 */
export function peekEnded(): number {
  const pid = addon.peekEnded();
  return pid === -constants.errno.ECHILD ? 0 : check(pid, 'waitid');
}

/** prctl(2) options. */
export const PR_SET_PDEATHSIG = 1;
export const PR_SET_CHILD_SUBREAPER = 36;
export const PR_GET_CHILD_SUBREAPER = 37;

/**
 * Changes an attribute of the process.
 * @throws ENOSYS where the system has no such call; EINVAL, EPERM
 * @see prctl(2)
 */
export function prctl(option: number, a = 0, b = 0, c = 0, d = 0): number {
  if (addon.prctl === undefined) throw posixError(-constants.errno.ENOSYS, 'prctl');
  return check(addon.prctl(integer(option, 'option'), a, b, c, d), 'prctl');
}

/** Options of {@link kill}. */
export interface KillOptions {
  /** Allow pid 0 (the own group), 1 (init) and -1 (every process there is). Default false. */
  dangerous?: boolean;
}

/**
 * Sends a signal to a process, or to a group if the pid is negative.
 *
 * A tool that prints -1 for "not running", fed to kill, ends the whole machine. So -1, 0 and 1 are
 * refused unless `dangerous` is set.
 * @param signal a name or a number; 0 only checks
 * @throws ERR_OUT_OF_RANGE for those pids; EPERM, ESRCH
 * @see kill(2)
 */
export function kill(
  pid: number,
  signal: NodeJS.Signals | number = 'SIGTERM',
  options: KillOptions = {},
): void {
  integer(pid, 'pid');
  refuseUnknown(options, ['dangerous'], 'options');
  if (pid >= -1 && pid <= 1 && options.dangerous !== true) {
    throw outOfRange('pid', 'none of -1, 0 and 1 unless { dangerous: true } is given', pid);
  }
  check(addon.kill(pid, signalNumber(signal, 0)), 'kill');
}

/**
 * Runs another program in this process. Does not return if it succeeds.
 * @param path the program; PATH is not searched
 * @param argv its arguments, its own name first
 * @param env its environment
 * @throws ENOENT, EACCES, ENOEXEC
 * @see execve(2)
 */
export function execve(
  path: string,
  argv: readonly string[],
  env: Readonly<Record<string, string | undefined>> = process.env,
): never {
  if (!Array.isArray(argv)) throw invalidType('argv', 'an Array', argv);
  const pairs = Object.entries(env).flatMap(([name, value]) =>
    value === undefined ? [] : [text(`${name}=${value}`, `env.${name}`)],
  );
  const words = argv.map((word, index) => text(word, `argv[${index}]`));
  throw check(addon.execve(text(path, 'path'), words, pairs), 'execve', path);
}

/**
 * Ends the process at once: no exit handlers, nothing flushed.
 * @param code 0 to 255
 * @see _exit(2)
 */
export function _exit(code: number): never {
  return addon._exit(integer(code, 'code', 0, 255));
}
