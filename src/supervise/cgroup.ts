// A control group for each worker, cgroups(7) version 2: what a worker starts stays in it, whatever
// becomes of its session, group and parents, and is ended with one write.
//
// A supervisor has a directory of its own for them, and holds a lock on it. So the next one knows which
// were left by one that was killed, also in another pid namespace, where numbers say nothing.

import {
  closeSync,
  constants,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  writeFileSync,
  writeSync,
} from '../builtin/fs.js';
import { constants as os } from '../builtin/os.js';
import { basename, dirname, join, relative } from '../builtin/path.js';
import { GROUP_PREFIX } from '../control/folders.js';
import { addon } from '../posix/addon.js';
import { O_CLOEXEC, open } from '../posix/descriptor.js';
import { posixError } from '../posix/errors.js';
import { LOCK_EX, tryFlock } from '../posix/lock.js';
import { waitUntil } from '../posix/pause.js';
import type { GroupLimits } from './limits.js';

/** How long a start waits for what another one has left to end. In ms. */
const CLEARING = 1000;

/** The group of one worker. */
export class WorkerGroup {
  readonly #path: string;
  #procs: number;

  /** @throws EAGAIN if no more groups are allowed; EMFILE; EINVAL, ERANGE for a limit */
  constructor(path: string, limits: GroupLimits) {
    this.#path = path;
    mkdirSync(path);
    try {
      for (const [file, value] of limits) writeFileSync(join(path, file), value);
      this.#procs = open(join(path, 'cgroup.procs'), constants.O_WRONLY | O_CLOEXEC);
    } catch (error) {
      rmdirSync(path);
      throw error;
    }
  }

  /** Who writes "0" to this is in the group. Open until {@link close}. */
  get procs(): number {
    return this.#procs;
  }

  /** Moves this process into it, which has started nothing yet. */
  enter(): void {
    writeSync(this.#procs, '0');
    this.close();
  }

  close(): void {
    closeSync(this.#procs);
    this.#procs = -1;
  }

  /** Whether the kernel has killed in it for want of memory; undefined: memory is not counted by group here. */
  ranOut(): boolean | undefined {
    let events: string;
    try {
      events = readFileSync(join(this.#path, 'memory.events'), 'utf8');
    } catch {
      return undefined;
    }
    return !/^oom_kill 0$/m.test(events);
  }

  /** SIGKILL for all that are in it. */
  kill(): void {
    kill(this.#path);
  }

  /** @returns whether it is gone: not as long as somebody is in it */
  remove(): boolean {
    return remove(this.#path);
  }
}

/** The groups of a supervisor. */
export class Groups implements Disposable {
  readonly #path: string;
  readonly #lock: number;
  readonly #limits: GroupLimits;
  /** Why limits are not enforced. */
  readonly problem: string | undefined;
  #count = 0;

  /**
   * @param parent a group in which to make them
   * @param limits for each of them
   * @throws ENOENT; EACCES, EPERM, EROFS; EAGAIN if no more groups are allowed; ENOTSUP if it is no
   * group, or the kernel has no cgroup.kill (Linux before 5.14)
   */
  constructor(parent: string, limits: GroupLimits) {
    if (!existsSync(join(parent, 'cgroup.procs'))) {
      const missing = existsSync(parent) ? os.errno.ENOTSUP : os.errno.ENOENT;
      throw posixError(
        -missing,
        'supervise',
        parent,
        `${parent} is no directory of cgroup version 2`,
      );
    }
    clearAfterOthers(parent);
    [this.#path, this.#lock] = create(parent);
    if (!existsSync(join(this.#path, 'cgroup.kill'))) {
      this[Symbol.dispose]();
      const why = 'the kernel has no cgroup.kill (Linux before 5.14)';
      throw posixError(-os.errno.ENOTSUP, 'supervise', parent, why);
    }
    this.problem = limits.length > 0 ? enable(parent, this.#path, limits) : undefined;
    this.#limits = this.problem === undefined ? limits : [];
  }

  /** A new one, empty. @throws as the constructor of {@link WorkerGroup} does */
  add(): WorkerGroup {
    return new WorkerGroup(join(this.#path, String(++this.#count)), this.#limits);
  }

  /** In a worker: leaves them to the supervisor. */
  release(): void {
    closeSync(this.#lock);
  }

  [Symbol.dispose](): void {
    remove(this.#path);
    this.release();
  }
}

/** The leaf for the supervisor itself: a group that hands controllers down may have no processes of its own. */
const OWN_LEAF = 'supervisor';

/**
 * Hands the controllers that limits need down to the groups of workers.
 * @returns why they cannot be handed down
 * @see cgroups(7), "No internal processes" rule
 */
function enable(parent: string, path: string, limits: GroupLimits): string | undefined {
  const wanted = [...new Set(limits.map(([file]) => file.slice(0, file.indexOf('.'))))];
  const order = wanted.map((controller) => `+${controller}`).join(' ');
  try {
    const offered = readFileSync(join(parent, 'cgroup.controllers'), 'utf8').trim().split(' ');
    const missing = wanted.filter((controller) => !offered.includes(controller));
    if (missing.length > 0) return `${parent} has no controller ${missing.join(', ')}`;
    const members = readFileSync(join(parent, 'cgroup.procs'), 'utf8').split('\n');
    if (members.includes(String(process.pid))) {
      mkdirSync(join(path, OWN_LEAF));
      writeFileSync(join(path, OWN_LEAF, 'cgroup.procs'), String(process.pid));
    }
    for (const group of [parent, path]) writeFileSync(join(group, 'cgroup.subtree_control'), order);
    return undefined;
  } catch (error) {
    return (error as Error).message;
  }
}

function create(parent: string): [path: string, lock: number] {
  for (let attempt = 0; ; attempt++) {
    const path = join(parent, `${GROUP_PREFIX}${process.pid}.${attempt}`);
    try {
      mkdirSync(path);
      const lock = tryLock(path);
      // undefined: another one that starts took it for a dead one's, and is removing it.
      if (lock !== undefined) return [path, lock];
    } catch (error) {
      // EEXIST: of a process with the same number in another pid namespace.
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    }
  }
}

/** @returns undefined if somebody else has it, or it is gone */
function tryLock(path: string): number | undefined {
  let fd: number | undefined;
  try {
    fd = open(path, constants.O_RDONLY | constants.O_DIRECTORY | O_CLOEXEC);
    if (tryFlock(fd, LOCK_EX) && existsSync(path)) return fd;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
  if (fd !== undefined) closeSync(fd);
  return undefined;
}

/** Ends what a supervisor that was killed has left: its workers ended with it, but nothing else did. */
function clearAfterOthers(parent: string): void {
  for (const name of readdirSync(parent)) {
    if (!name.startsWith(GROUP_PREFIX)) continue;
    const path = join(parent, name);
    const lock = tryLock(path);
    if (lock === undefined) continue;
    try {
      kill(path);
      // What has not ended by then is the next one's to remove.
      waitUntil(() => remove(path), CLEARING, 2);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      // Another user's.
      if (code !== 'EACCES' && code !== 'EPERM') throw error;
    } finally {
      closeSync(lock);
    }
  }
}

function kill(path: string): void {
  writeFileSync(join(path, 'cgroup.kill'), '1');
}

/** With those below it. @returns whether it is gone */
function remove(path: string): boolean {
  try {
    for (const entry of readdirSync(path, { withFileTypes: true })) {
      if (entry.isDirectory() && !remove(join(path, entry.name))) return false;
    }
    rmdirSync(path);
    return true;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT') return true;
    if (code === 'EBUSY') return false;
    throw error;
  }
}

/**
 * The group of this process, if it is this one's to divide: systemd says so of a unit with
 * `Delegate=`.
 * @see https://systemd.io/CGROUP_DELEGATION
 */
export function delegatedGroup(): string | undefined {
  const own = ownGroup();
  if (own === undefined) return undefined;
  // One that a supervisor has moved to its leaf, as the next image: the groups are made where that one's are.
  const isLeaf = basename(own) === OWN_LEAF && basename(dirname(own)).startsWith(GROUP_PREFIX);
  const group = isLeaf ? dirname(dirname(own)) : own;
  const isMarked = (name: string) => addon.getxattr?.(group, name) === '1';
  return isMarked('user.delegate') || isMarked('trusted.delegate') ? group : undefined;
}

/** undefined: there is none, or it is out of sight. */
function ownGroup(): string | undefined {
  let own: string | undefined;
  let mounts: string;
  try {
    own = /^0::(.*)$/m.exec(readFileSync('/proc/self/cgroup', 'utf8'))?.[1];
    mounts = readFileSync('/proc/self/mountinfo', 'utf8');
  } catch {
    return undefined;
  }
  // proc(5): `id parent device root mountpoint options ... - type source options`.
  const mount = /^\S+ \S+ \S+ (\S+) (\S+) .*? - cgroup2 /m.exec(mounts);
  if (own === undefined || mount === null) return undefined;
  const [root, point] = mount.slice(1).map(decode) as [string, string];
  const below = relative(root, own);
  return below.startsWith('..') ? undefined : join(point, below);
}

/** Blanks and the like are octal there. */
function decode(text: string): string {
  return text.replace(/\\(\d{3})/g, (_, digits) => String.fromCharCode(Number.parseInt(digits, 8)));
}
