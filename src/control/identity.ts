// Who a program runs as. Unlike the options of daemonize() this is done last, right before the
// execve(2): what comes before writes to directories of root's.

import { constants as os } from '../builtin/os.js';
import { type Credentials, checkIdentity, resolveCredentials } from '../detach/identity.js';
import { posixError } from '../posix/errors.js';
import {
  getpwnam,
  getresgid,
  getresuid,
  setgroups,
  setresgid,
  setresuid,
} from '../posix/identity.js';

/** @throws ENOENT for a user or group that there is not; EPERM if only root could change to it */
export function findIdentity(user: string | undefined, group: string | undefined): Credentials {
  const number = (word: string | undefined) =>
    word !== undefined && /^(0|[1-9]\d*)$/.test(word) ? Number(word) : word;
  const [uid, gid] = [number(user), number(group)];
  const identity = resolveCredentials(
    checkIdentity(
      { ...(uid === undefined ? {} : { user: uid }), ...(gid === undefined ? {} : { group: gid }) },
      '/',
    ),
  );
  const changes =
    (identity.uid ?? process.geteuid!()) !== process.geteuid!() ||
    (identity.gid ?? process.getegid!()) !== process.getegid!();
  if (process.geteuid!() !== 0) {
    // A service manager has changed to it already.
    if (!changes) return { ...identity, uid: null, gid: null, groups: null };
    const why = 'only root can start a program as another user or group';
    throw posixError(-os.errno.EPERM, 'setresuid', undefined, why);
  }
  return identity;
}

/** Changes, and makes sure that there is no way back. @throws EPERM, EAGAIN */
export function assume({ uid, gid, groups }: Credentials): void {
  if (groups !== null) setgroups(groups);
  if (gid !== null) setresgid(gid, gid, gid);
  if (uid !== null) setresuid(uid, uid, uid);
  const complete =
    (uid === null || getresuid().every((id) => id === uid)) &&
    (gid === null || getresgid().every((id) => id === gid));
  if (!complete)
    throw posixError(
      -os.errno.EPERM,
      'setresuid',
      undefined,
      'the user or group was not changed: some id has stayed',
    );
}

/** What a login of the user would have set. */
export function loginEnvironment(user: string | undefined): Record<string, string> {
  const entry = user === undefined ? undefined : getpwnam(user);
  if (entry === undefined) return {};
  return { USER: entry.name, LOGNAME: entry.name, HOME: entry.dir };
}
