// Who the daemon is: the options for that, and what the user database makes of them.

import { constants as os } from '../builtin/os.js';
import { resolve } from '../builtin/path.js';
import { integer, invalidType, posixError, text } from '../posix/errors.js';
import {
  capabilityNumber,
  getgrgid,
  getgrnam,
  getgrouplist,
  getgroups,
  getpwnam,
  getpwuid,
  getresgid,
  getresuid,
  type Ids,
} from '../posix/identity.js';

/** Options of daemonize() for who the daemon is. Files are opened, and ports bound, before. */
export interface IdentityOptions {
  /** User that the daemon runs as, by name or id. Its group and groups are taken too. */
  user?: string | number;
  /** Group, by name or id. Default: that of `user`. */
  group?: string | number;
  /** Supplementary groups, by name or id. Default: those that `user` is a member of. */
  groups?: readonly (string | number)[];
  /**
   * Directory that becomes the root of all paths. `cwd` is inside of it, all other paths are outside.
   * The exec engine needs Node and the program there.
   */
  chroot?: string;
  /**
   * The only capabilities that are kept, by the names of capabilities(7), such as
   * `['net_bind_service']`: in the bounding, permitted, effective, inheritable and ambient set.
   */
  capabilities?: readonly string[];
  /** No program that the daemon executes gains rights by being setuid. Default false. */
  noNewPrivileges?: boolean;
}

/** {@link IdentityOptions}, checked. */
export interface IdentitySettings {
  user: string | number | undefined;
  group: string | number | undefined;
  groups: readonly (string | number)[] | undefined;
  chroot: string | undefined;
  capabilities: readonly number[] | undefined;
  noNewPrivileges: boolean;
}

/** What the process is to change to; null: as it is. */
export interface Credentials {
  uid: number | null;
  gid: number | null;
  groups: number[] | null;
}

/** @throws ERR_INVALID_ARG_TYPE, ERR_OUT_OF_RANGE */
export function checkIdentity(options: IdentityOptions, cwd: string): IdentitySettings {
  const { user, group, groups, chroot, capabilities, noNewPrivileges = false } = options;
  if (groups !== undefined && !Array.isArray(groups)) {
    throw invalidType('options.groups', 'an Array', groups);
  }
  if (capabilities !== undefined && !Array.isArray(capabilities)) {
    throw invalidType('options.capabilities', 'an Array', capabilities);
  }
  if (typeof noNewPrivileges !== 'boolean') {
    throw invalidType('options.noNewPrivileges', 'of type boolean', noNewPrivileges);
  }
  if (process.platform !== 'linux' && (capabilities !== undefined || noNewPrivileges)) {
    throw posixError(
      -os.errno.ENOTSUP,
      'daemonize',
      undefined,
      'the options capabilities and noNewPrivileges are for Linux only',
    );
  }
  return {
    user: user === undefined ? undefined : nameOrId(user, 'options.user'),
    group: group === undefined ? undefined : nameOrId(group, 'options.group'),
    groups: groups?.map((one, index) => nameOrId(one, `options.groups[${index}]`)),
    chroot: chroot === undefined ? undefined : resolve(cwd, text(chroot, 'options.chroot')),
    capabilities: capabilities?.map((name, index) =>
      capabilityNumber(name, `options.capabilities[${index}]`),
    ),
    noNewPrivileges,
  };
}

function nameOrId(value: string | number, name: string): string | number {
  if (typeof value === 'string') return text(value, name);
  if (typeof value !== 'number') throw invalidType(name, 'a name or an id', value);
  return integer(value, name, 0, 2 ** 32 - 2);
}

/**
 * Looks up the names. What the process is already is left out: that needs no root.
 * @throws ENOENT for a user or a group that does not exist
 */
export function resolveCredentials({ user, group, groups }: IdentitySettings): Credentials {
  const entry = user === undefined ? undefined : lookUpUser(user);
  const gid = group === undefined ? entry?.gid : lookUpGroup(group);
  const wanted = groups?.map(lookUpGroup) ?? usualGroups(entry?.name, gid);
  return {
    uid: entry === undefined || isAll(getresuid(), entry.uid) ? null : entry.uid,
    gid: gid === undefined || isAll(getresgid(), gid) ? null : gid,
    groups: wanted === undefined || isSame(wanted, getgroups()) ? null : wanted,
  };
}

function lookUpUser(user: string | number): {
  uid: number;
  gid: number | undefined;
  name?: string;
} {
  const entry = typeof user === 'string' ? getpwnam(user) : getpwuid(user);
  if (entry !== undefined) return entry;
  if (typeof user === 'string') throw unknown('user', user);
  return { uid: user, gid: undefined };
}

function lookUpGroup(group: string | number): number {
  const entry = typeof group === 'string' ? getgrnam(group) : getgrgid(group);
  if (entry === undefined && typeof group === 'string') throw unknown('group', group);
  return entry?.gid ?? Number(group);
}

function usualGroups(user: string | undefined, gid: number | undefined): number[] | undefined {
  if (gid === undefined) return undefined;
  return user === undefined ? [gid] : getgrouplist(user, gid);
}

const isAll = (ids: Ids, id: number): boolean => ids.every((one) => one === id);

const isSame = (a: readonly number[], b: readonly number[]): boolean =>
  new Set([...a, ...b]).size === new Set(a).size && new Set(a).size === new Set(b).size;

function unknown(kind: 'user' | 'group', name: string): Error {
  const call = kind === 'user' ? 'getpwnam' : 'getgrnam';
  return posixError(-os.errno.ENOENT, call, name, `there is no ${kind} ${name}`);
}
