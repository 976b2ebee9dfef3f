// Who the process is: users, groups, root directory. Node has process.setuid() and the like, which
// leave the saved ids alone.

import { addon, type Group, type User } from './addon.js';
import { check, checked, integer, invalidType, outOfRange, text } from './errors.js';

export type { Group, User };

/** Real, effective and saved id. */
export type Ids = [real: number, effective: number, saved: number];

/** Given for an id that is to stay as it is. */
export const UNCHANGED = -1;

const id = (value: unknown, name: string, least = 0): number =>
  integer(value, name, least, 2 ** 32 - 2);
const newId = (value: unknown, name: string): number => id(value, name, UNCHANGED);

/**
 * Sets the user ids of the process, all of its threads.
 * @param real {@link UNCHANGED}: as it is; so for the others
 * @throws EPERM without root, for an id that is none of the present three; EAGAIN
 * @see setresuid(2)
 */
export function setresuid(real: number, effective: number, saved: number): void {
  check(
    addon.setresuid(newId(real, 'real'), newId(effective, 'effective'), newId(saved, 'saved')),
    'setresuid',
  );
}

/** The same for group ids. @throws EPERM @see setresgid(2) */
export function setresgid(real: number, effective: number, saved: number): void {
  check(
    addon.setresgid(newId(real, 'real'), newId(effective, 'effective'), newId(saved, 'saved')),
    'setresgid',
  );
}

/** @see getresuid(2) */
export function getresuid(): Ids {
  return checked(addon.getresuid(), 'getresuid') as Ids;
}

/** @see getresgid(2) */
export function getresgid(): Ids {
  return checked(addon.getresgid(), 'getresgid') as Ids;
}

/** Sets the supplementary groups, of all threads. @throws EPERM without root; EINVAL for too many @see setgroups(2) */
export function setgroups(groups: readonly number[]): void {
  if (!Array.isArray(groups)) throw invalidType('groups', 'an Array', groups);
  check(addon.setgroups(groups.map((group, index) => id(group, `groups[${index}]`))), 'setgroups');
}

/**
 * Sets the supplementary groups to those of a user.
 * @param group one more, usually the user's own
 * @throws EPERM without root
 * @see initgroups(3)
 */
export function initgroups(user: string, group: number): void {
  check(addon.initgroups(text(user, 'user'), id(group, 'group')), 'initgroups');
}

/** The supplementary groups. @see getgroups(2) */
export function getgroups(): number[] {
  return checked(addon.getgroups(), 'getgroups');
}

/**
 * Makes a directory the root of all paths. The working directory stays: change it too, or it is a way
 * out.
 * @throws EPERM without root; ENOENT, ENOTDIR, EACCES
 * @see chroot(2)
 */
export function chroot(path: string): void {
  check(addon.chroot(text(path, 'path')), 'chroot', path);
}

/** A user's entry, by name. undefined: there is none. @throws EIO @see getpwnam(3) */
export function getpwnam(name: string): User | undefined {
  return checked(addon.getpwnam(text(name, 'name')), 'getpwnam') ?? undefined;
}

/** A user's entry, by id. undefined: there is none. @throws EIO @see getpwuid(3) */
export function getpwuid(uid: number): User | undefined {
  return checked(addon.getpwnam(id(uid, 'uid')), 'getpwuid') ?? undefined;
}

/** A group's entry, by name. undefined: there is none. @throws EIO @see getgrnam(3) */
export function getgrnam(name: string): Group | undefined {
  return checked(addon.getgrnam(text(name, 'name')), 'getgrnam') ?? undefined;
}

/** A group's entry, by id. undefined: there is none. @throws EIO @see getgrgid(3) */
export function getgrgid(gid: number): Group | undefined {
  return checked(addon.getgrnam(id(gid, 'gid')), 'getgrgid') ?? undefined;
}

/** The groups that a user is a member of, with `group` among them. @see getgrouplist(3) */
export function getgrouplist(user: string, group: number): number[] {
  return addon.getgrouplist(text(user, 'user'), id(group, 'group'));
}

/** The capabilities of Linux by number, as capabilities(7) names them. */
const CAPABILITIES =
  'chown dac_override dac_read_search fowner fsetid kill setgid setuid setpcap linux_immutable ' +
  'net_bind_service net_broadcast net_admin net_raw ipc_lock ipc_owner sys_module sys_rawio ' +
  'sys_chroot sys_ptrace sys_pacct sys_admin sys_boot sys_nice sys_resource sys_time ' +
  'sys_tty_config mknod lease audit_write audit_control setfcap mac_override mac_admin syslog ' +
  'wake_alarm block_suspend audit_read perfmon bpf checkpoint_restore';

/** The number of a capability, with or without `CAP_`. @throws ERR_OUT_OF_RANGE @see capabilities(7) */
export function capabilityNumber(name: string, argument = 'name'): number {
  const word = text(name, argument).toLowerCase().replace(/^cap_/, '');
  const number = CAPABILITIES.split(' ').indexOf(word);
  if (number === -1) throw outOfRange(argument, `one of ${CAPABILITIES}`, name);
  return number;
}
