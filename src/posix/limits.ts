// What the process may use.

import { addon } from './addon.js';
import { check, checked, integer, outOfRange } from './errors.js';

/** A limit of {@link getrlimit}: a number, or none. */
export type LimitValue = number | 'infinity';

/** What is enforced, and up to where the process itself may raise that. */
export interface Limit {
  soft: LimitValue;
  hard: LimitValue;
}

const fullName = (name: string) =>
  `RLIMIT_${String(name)
    .toUpperCase()
    .replace(/^RLIMIT_/, '')}`;

/** The resources of this system, by their short names: 'nofile'. */
export const resourceNames = (): string[] =>
  Object.keys(addon.resources).map((name) => name.replace('RLIMIT_', '').toLowerCase());

export const isResource = (name: string): boolean => addon.resources[fullName(name)] !== undefined;

/**
 * The number of a resource.
 * @param name 'RLIMIT_NOFILE', or 'nofile' for short
 * @throws ERR_OUT_OF_RANGE for one that this system does not have
 */
export function resourceNumber(name: string, argument = 'resource'): number {
  const number = addon.resources[fullName(name)];
  if (number === undefined)
    throw outOfRange(argument, `one of ${resourceNames().join(', ')}`, name);
  return number;
}

/** For the addon: -1 is no limit. @internal */
export function limitNumber(value: LimitValue, argument: string): number {
  return value === 'infinity' ? -1 : integer(value, argument, 0, Number.MAX_SAFE_INTEGER);
}

const limitValue = (number: number): LimitValue => (number < 0 ? 'infinity' : number);

/**
 * A limit of the process.
 * @param resource 'RLIMIT_NOFILE', or 'nofile' for short
 * @see getrlimit(2)
 */
export function getrlimit(resource: string): Limit {
  const [soft, hard] = checked(addon.getrlimit(resourceNumber(resource)), 'getrlimit');
  return { soft: limitValue(soft), hard: limitValue(hard) };
}

/**
 * Sets a limit of the process.
 * @throws EPERM for a hard limit above the present one without root; EINVAL if soft is above hard
 * @see setrlimit(2)
 */
export function setrlimit(resource: string, { soft, hard }: Limit): void {
  const number = resourceNumber(resource);
  check(
    addon.setrlimit(number, limitNumber(soft, 'limit.soft'), limitNumber(hard, 'limit.hard')),
    'setrlimit',
  );
}

/**
 * Adds to the nice value of the main thread. Others have their own on Linux.
 * @param increment the higher the value, the less of the processor
 * @returns the new value, -20 to 19
 * @throws EPERM for a negative increment without root
 * @see nice(2)
 */
export function nice(increment: number): number {
  return checked(addon.nice(integer(increment, 'increment')), 'nice')[0];
}
