// Who the daemon is and what it may do, as native/confine applies it in the new process: numbers,
// complete before the fork.

import { accessSync, constants } from '../builtin/fs.js';
import { join } from '../builtin/path.js';
import { addon, type ConfinementRequest } from '../posix/addon.js';
import { check, checked, posixError } from '../posix/errors.js';
import { resolveCredentials } from './identity.js';
import { isAbove, type LimitSetting } from './limits.js';
import type { DaemonSettings } from './options.js';

/**
 * @returns undefined if everything stays as it is
 * @throws ENOENT for unknown users and groups, and a root directory that is missing
 */
export function confinementFor(settings: DaemonSettings): ConfinementRequest | undefined {
  const { chroot, capabilities, noNewPrivileges, limits, nice, oomScoreAdj } = settings;
  if (chroot !== undefined) accessSync(chroot, constants.X_OK);
  const request: ConfinementRequest = {
    ...resolveCredentials(settings),
    limits: limits.map(complete),
    oomScoreAdj: oomScoreAdj === undefined ? '' : String(oomScoreAdj),
    chroot: chroot ?? '',
    nice: nice ?? null,
    capabilities: capabilities === undefined ? null : [...capabilities],
    noNewPrivileges,
  };
  return isEmpty(request) ? undefined : request;
}

/** An empty list of groups, or of capabilities, is something to change to. */
function isEmpty({ limits, ...rest }: ConfinementRequest): boolean {
  const same = Object.values(rest).every(
    (value) => value === null || value === '' || value === false,
  );
  return same && limits.length === 0;
}

type Numbers = [resource: number, soft: number, hard: number];

/** With what is not asked for as it is. A hard limit below the soft one takes that along. */
function complete({ resource, soft, hard }: LimitSetting): Numbers {
  const [oldSoft, oldHard] = checked(addon.getrlimit(resource), 'getrlimit');
  const newHard = hard ?? oldHard;
  const newSoft = soft ?? (isAbove(oldSoft, newHard) ? newHard : oldSoft);
  return [resource, newSoft, newHard];
}

/**
 * For a new image: Node needs room to start, and raises its soft limit of open files by itself. So
 * only what needs root is done before, and {@link lowerLimits} in the new image.
 */
export function forNewImage(request: ConfinementRequest): ConfinementRequest {
  const raised = request.limits.flatMap(([resource, soft, hard]): Numbers[] => {
    const [oldSoft, oldHard] = checked(addon.getrlimit(resource), 'getrlimit');
    if (isAbove(soft, hard)) return [[resource, soft, hard]];
    return isAbove(hard, oldHard) ? [[resource, oldSoft, hard]] : [];
  });
  return { ...request, limits: raised };
}

/** The limits that were asked for, in an image that has started with higher ones. */
export function lowerLimits(limits: readonly LimitSetting[]): void {
  for (const limit of limits) {
    check(addon.setrlimit(...complete(limit)), 'setrlimit', limit.name);
  }
}

/** @throws what the kernel refused, after which the process must end: it may be confined in part */
export function confine(request: ConfinementRequest, quiesceTimeout: number): void {
  const refusal = addon.confine(request, quiesceTimeout);
  if (refusal === undefined) return;
  const [errno, sentence, call] = refusal;
  throw posixError(errno, call, undefined, sentence || undefined);
}

/** @throws ENOENT if the new image could not start inside of the root directory */
export function checkImage(chroot: string, files: readonly string[]): void {
  for (const file of files) {
    try {
      accessSync(join(chroot, file), constants.R_OK);
    } catch (error) {
      const { errno = 0 } = error as NodeJS.ErrnoException;
      const why = `the exec engine needs ${file} inside of the new root directory ${chroot}`;
      throw posixError(errno, 'chroot', chroot, why);
    }
  }
}
