// Where the pidfiles and logs of named daemons are.

import { chmodSync, chownSync, existsSync, lstatSync, mkdirSync } from '../builtin/fs.js';
import { constants as os, tmpdir, userInfo } from '../builtin/os.js';
import { dirname, join } from '../builtin/path.js';
import { posixError } from '../posix/errors.js';
import type { App } from './app.js';

/** What of the world the directories depend on. */
export interface Owner {
  uid: number;
  env: Readonly<Record<string, string | undefined>>;
  /** As the system knows it, whatever HOME says; undefined: there is none. */
  home: string | undefined;
}

const self = (): Owner => ({ uid: process.geteuid!(), env: process.env, home: ownHome() });

function ownHome(): string | undefined {
  try {
    const { homedir } = userInfo();
    return existsSync(homedir) ? homedir : undefined;
  } catch {
    return undefined; // A number that has no user, as containers have them.
  }
}

/**
 * The directory of pidfiles and of what is known about their daemons: `$RUNTIME_DIRECTORY` of a service
 * manager, `/run/doublefork` for root, else `~/.local/state/doublefork`. The same for every session of
 * a user, of which cron's has few variables; and there after the last one has ended, unlike
 * `$XDG_RUNTIME_DIR`. Where there is no home it is a directory of the user's own in the one for temporary
 * files.
 */
export function stateFolder({ uid, env, home }: Owner = self()): string {
  const given = env.RUNTIME_DIRECTORY?.split(':')[0];
  if (given) return given;
  if (uid === 0) return process.platform === 'linux' ? '/run/doublefork' : '/var/run/doublefork';
  const own = home ?? env.HOME;
  return own ? join(own, '.local/state/doublefork') : join(tmpdir(), `doublefork-${uid}`);
}

/**
 * Where else there may be something about daemons: it was {@link stateFolder} before, and they may still
 * run. Only what is this user's alone, since it says what is to be started.
 */
export function formerFolders({ uid, env }: Owner = self()): string[] {
  if (uid === 0 || env.RUNTIME_DIRECTORY) return [];
  const folders = [
    ...(env.XDG_RUNTIME_DIR ? [join(env.XDG_RUNTIME_DIR, 'doublefork')] : []),
    join(tmpdir(), `doublefork-${uid}`),
  ];
  return folders.filter((folder) => {
    const found = lstatSync(folder, { throwIfNoEntry: false });
    return found?.isDirectory() === true && found.uid === uid && (found.mode & 0o022) === 0;
  });
}

/**
 * The directory of logs: `$LOGS_DIRECTORY` of a service manager, `/var/log/doublefork` for root, else
 * `$XDG_STATE_HOME/doublefork`, by default `~/.local/state/doublefork`.
 */
export function logFolder(owner: Owner = self()): string {
  const { uid, env, home } = owner;
  const given = env.LOGS_DIRECTORY?.split(':')[0];
  if (given) return given;
  if (uid === 0) return '/var/log/doublefork';
  if (env.XDG_STATE_HOME) return join(env.XDG_STATE_HOME, 'doublefork');
  const own = home ?? env.HOME;
  return own ? join(own, '.local/state/doublefork') : stateFolder(owner);
}

/**
 * Makes a directory, 0755 for root and 0700 for others, unless it is there. Somebody else's directory, or
 * one that others may write to, or a link, is refused: what is planted in there would be followed.
 * @throws EPERM for such a directory; the errors of mkdir(2)
 */
export function makeFolder(path: string): void {
  const { uid } = self();
  // The way to it: /home/user/.local/state may be missing, /run is there.
  mkdirSync(dirname(path), { recursive: true, mode: 0o755 });
  try {
    mkdirSync(path, { mode: uid === 0 ? 0o755 : 0o700 });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  }
  checkFolder(path, uid);
}

function checkFolder(path: string, uid: number): void {
  const refuse = (why: string) =>
    posixError(-os.errno.EPERM, 'mkdir', path, `the directory ${path} is refused: ${why}`);
  const folder = lstatSync(path);
  if (folder.isSymbolicLink()) throw refuse('it is a symbolic link');
  if (!folder.isDirectory()) {
    throw posixError(
      -os.errno.ENOTDIR,
      'mkdir',
      path,
      `${path} is needed as a directory, and is none`,
    );
  }
  if (folder.uid !== uid && folder.uid !== 0) throw refuse(`it is user ${folder.uid}'s`);
  if ((folder.mode & 0o022) !== 0) throw refuse('other users may write to it');
}

/** The pidfile of an app. */
export function pidfileFor({ name, pidfile }: Pick<App, 'name' | 'pidfile'>): string {
  return pidfile ?? join(stateFolder(), `${name}.pid`);
}

/** Tells a program where its supervisor's control socket is to be; empty: nowhere. */
export const CONTROL_VARIABLE = 'DOUBLEFORK_CONTROL';

/** Tells whose family a process is: it has the path of the daemon's control socket, and passes it on. */
export const FAMILY_VARIABLE = 'DOUBLEFORK_FAMILY';

/** Begins the names of control groups that a supervisor makes; its pid follows. */
export const GROUP_PREFIX = 'doublefork.';

/** The control socket of a daemon that is a supervisor. */
export function controlFor(name: string, folder = stateFolder()): string {
  return join(folder, `${name}.d`, 'control');
}

/**
 * Makes the directory of that socket. The daemon makes the socket itself, maybe as a user who may not
 * write to the directory for state; others may look whether it is there.
 * @param owner null: this user, or group
 */
export function makeControlFolder(
  name: string,
  { uid, gid }: { uid: number | null; gid: number | null },
): void {
  const path = dirname(controlFor(name));
  mkdirSync(path, { recursive: true });
  chmodSync(path, 0o755);
  chownSync(path, uid ?? process.geteuid!(), gid ?? process.getegid!());
}

/** The log of an app: a path, `'syslog'` or `'journal'`. */
export function logFor({ name, log }: Pick<App, 'name' | 'log'>): string {
  return log ?? join(logFolder(), `${name}.log`);
}
