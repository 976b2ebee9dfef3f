// Control groups of a test's own, with a limit on memory.

import { existsSync, mkdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { onTestFinished } from 'vitest';
import { MARK, until } from './processes.js';

let count = 0;

/**
 * Makes a group below our own, in which processes have so many bytes together; removed when the test
 * has finished.
 * @returns the file that takes the pid of a process to move there
 * @throws if this user may not make one, or memory is not limited by groups here
 */
export function limitedGroup(bytes: number): string {
  const own = readFileSync('/proc/self/cgroup', 'utf8');
  const path = (hierarchy: RegExp) => hierarchy.exec(own)?.[1];
  const v1 = path(/^\d+:(?:.*,)?memory(?:,.*)?:(.*)$/m);
  const parent =
    v1 === undefined ? `/sys/fs/cgroup${path(/^0::(.*)$/m)}` : `/sys/fs/cgroup/memory${v1}`;
  const group = join(parent, `doublefork-${process.env[MARK]}-${++count}`);
  mkdirSync(group);
  onTestFinished(async () => {
    await until(() => isRemoved(group), 'an empty group');
  });
  const limit = v1 === undefined ? 'memory.max' : 'memory.limit_in_bytes';
  // Version 2 has it only if the parent hands the controller down.
  if (!existsSync(join(group, limit))) throw new Error(`${group} has no ${limit}`);
  writeFileSync(join(group, limit), String(bytes));
  return join(group, 'cgroup.procs');
}

/**
 * Makes a group below our own in a hierarchy; removed when the test has finished.
 * @param version 1 or 2
 * @returns the file that takes the pid of a process to move there; undefined: no such group can be made here
 */
export function ownGroup(version: 1 | 2): string | undefined {
  const own = readFileSync('/proc/self/cgroup', 'utf8');
  const path = (version === 1 ? /^\d+:(?:.*,)?pids(?:,.*)?:(.*)$/m : /^0::(.*)$/m).exec(own)?.[1];
  const type = version === 1 ? ' - cgroup \\S+ \\S*\\bpids\\b' : ' - cgroup2 ';
  const mounts = readFileSync('/proc/self/mountinfo', 'utf8');
  const mount = new RegExp(`^\\S+ \\S+ \\S+ \\S+ (\\S+) .*${type}`, 'm').exec(mounts)?.[1];
  if (path === undefined || mount === undefined) return undefined;
  const group = join(mount, path, `doublefork-${process.env[MARK]}-${++count}`);
  try {
    mkdirSync(group);
  } catch {
    return undefined;
  }
  onTestFinished(async () => {
    await until(() => isRemoved(group), 'an empty group');
  });
  return join(group, 'cgroup.procs');
}

/** A group in which the number of processes and threads can be limited. */
export interface CountedGroup {
  /** Takes the pid of a process to move there. */
  readonly procs: string;
  /** @param most so many; if there are more already there are no further ones; 'max': as many as may be */
  limit(most: number | 'max'): void;
}

/** @returns such a group below our own, removed when the test has finished; undefined: none can be made here */
export function countedGroup(): CountedGroup | undefined {
  const procs = ownGroup(1) ?? ownGroup(2);
  if (procs === undefined) return undefined;
  const file = join(dirname(procs), 'pids.max');
  // Version 2 has it only if the parent hands the controller down.
  if (!existsSync(file)) return undefined;
  return { procs, limit: (most) => writeFileSync(file, String(most)) };
}

/** What has just ended may still be in it. */
function isRemoved(group: string): boolean {
  try {
    rmdirSync(group);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EBUSY') return false;
    throw error;
  }
}
