// Which daemon is meant, and how it is.

import { constants as os } from '../builtin/os.js';
import { join } from '../builtin/path.js';
import { absolutePath } from '../image/directory.js';
import { Pidfile } from '../pidfile/pidfile.js';
import type { ProcessIdentity } from '../pidfile/process.js';
import { invalidType, posixError, sentenceOf, text } from '../posix/errors.js';
import { refuseUnknown } from '../posix/known.js';
import { stateFolder } from './folders.js';
import { readRecord } from './record.js';

/** A daemon, by its pidfile, or by the name under which `doublefork start` started it. */
export type Target = { pidfile: string } | { name: string };

/** A running daemon. */
export interface FoundDaemon extends ProcessIdentity {
  /** The absolute path of its pidfile. */
  pidfile: string;
}

/** How a daemon is. */
export interface DaemonStatus {
  /** Dead: its pidfile is still there. Unknown: it cannot be found out, or the pidfile is not its. */
  status: 'running' | 'dead' | 'stopped' | 'unknown';
  /** What LSB has a status command exit with. */
  code: 0 | 1 | 3 | 4;
  pidfile: string;
  /** The running daemon; else whom the pidfile names, or who has it locked instead. */
  pid: number | undefined;
  startTime: number | undefined;
  /** A sentence for people. */
  reason: string;
}

/** The absolute path of the pidfile of a daemon. @throws ERR_INVALID_ARG_TYPE, _VALUE */
export function pidfileOf(target: Target): string {
  if (typeof target !== 'object' || target === null) {
    throw invalidType('target', '{ pidfile } or { name }', target);
  }
  refuseUnknown(target, ['pidfile', 'name'], 'target');
  if ('pidfile' in target) return absolutePath(text(target.pidfile, 'target.pidfile'));
  return readRecord(target.name)?.pidfile ?? join(stateFolder(), `${target.name}.pid`);
}

/**
 * The running daemon, or undefined if none is.
 * @throws EBUSY if somebody has the pidfile locked whom it does not name (yet); EPERM if everybody
 * may write to it, so that it could name anyone; EACCES, ELOOP, EINVAL if it cannot be read
 */
export function findDaemon(target: Target): FoundDaemon | undefined {
  const pidfile = pidfileOf(target);
  const refuse = (errno: number, why: string) => posixError(-errno, 'findDaemon', pidfile, why);
  const found = Pidfile.inspect(pidfile);
  if (found.state === 'held') {
    if ((found.mode & 0o002) !== 0)
      throw refuse(
        os.errno.EPERM,
        `the pidfile ${pidfile} can be written by everybody, so that it could name anyone`,
      );
    return { pid: found.pid, startTime: found.startTime, pidfile };
  }
  if (found.state === 'foreign') throw refuse(os.errno.EBUSY, found.reason);
  // A program that closes what it inherits, as many daemons do, has let go of its lock.
  const recorded = 'name' in target ? readRecord(target.name) : undefined;
  return recorded?.isRunning
    ? { pid: recorded.pid, startTime: recorded.startTime, pidfile }
    : undefined;
}

/** How a daemon is. What cannot be found out is `'unknown'`; the reason says why. */
export function daemonStatus(target: Target): DaemonStatus {
  const pidfile = pidfileOf(target);
  const nobody = { pidfile, pid: undefined, startTime: undefined };
  try {
    const running = findDaemon(target);
    if (running !== undefined) {
      return {
        status: 'running',
        code: 0,
        ...running,
        reason: `process ${running.pid} is running`,
      };
    }
    const found = Pidfile.inspect(pidfile);
    if (found.state === 'free')
      return { status: 'stopped', code: 3, ...nobody, reason: found.reason };
    return { status: 'dead', code: 1, ...nobody, pid: found.pid, reason: found.reason };
  } catch (error) {
    if ((error as NodeJS.ErrnoException).syscall === undefined) throw error;
    return { status: 'unknown', code: 4, ...nobody, reason: sentenceOf(error) };
  }
}
