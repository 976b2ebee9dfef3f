/**
 * `doublefork/posix`: one typed function per system call, with POSIX names and argument order. A
 * failure throws an error in the shape of Node's own: `code`, `errno`, `syscall`, `path`.
 * @module
 */

export * from './descriptor.js';
export type { PosixError } from './errors.js';
export { type ForkOptions, fork, forkSupport } from './fork.js';
export {
  chroot,
  type Group,
  getgrgid,
  getgrnam,
  getgrouplist,
  getgroups,
  getpwnam,
  getpwuid,
  getresgid,
  getresuid,
  type Ids,
  initgroups,
  setgroups,
  setresgid,
  setresuid,
  UNCHANGED,
  type User,
} from './identity.js';
export { getrlimit, type Limit, type LimitValue, nice, setrlimit } from './limits.js';
export {
  F_GETLK,
  F_OFD_GETLK,
  F_OFD_SETLK,
  F_OFD_SETLKW,
  F_SETLK,
  F_SETLKW,
  fcntlLock,
  flock,
  LOCK_EX,
  LOCK_NB,
  LOCK_SH,
  LOCK_UN,
  type RecordLock,
} from './lock.js';
export * from './pidfd.js';
export * from './process.js';
export * from './signal.js';
export * from './socket.js';
export * from './watch.js';
