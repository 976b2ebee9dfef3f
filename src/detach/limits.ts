// What the daemon may use: the options for that.

import { integer, invalidType, outOfRange } from '../posix/errors.js';
import { refuseUnknown } from '../posix/known.js';
import { type LimitValue, limitNumber, resourceNumber } from '../posix/limits.js';

/** One limit: the same for soft and hard, or each. What is left out stays as it is. */
export type LimitOption = LimitValue | { soft?: LimitValue; hard?: LimitValue };

/** Options of daemonize() for what the daemon may use. */
export interface LimitOptions {
  /**
   * By the names of getrlimit(2), with or without RLIMIT_: `{ nofile: 4096, as: { soft: 2 ** 30 } }`,
   * in its units; 'infinity' is none.
   */
  limits?: Readonly<Record<string, LimitOption>>;
  /** Leave no core file: `limits: { core: 0 }`. Default false. */
  noCore?: boolean;
  /** Nice value, -20 to 19: the higher, the less of the processor. */
  nice?: number;
  /** -1000 to 1000, added to the score by which the kernel chooses whom to kill when memory is out. */
  oomScoreAdj?: number;
}

/** A limit by numbers; undefined: as it is, -1: none. */
export interface LimitSetting {
  name: string;
  resource: number;
  soft: number | undefined;
  hard: number | undefined;
}

/** {@link LimitOptions}, checked. */
export interface LimitSettings {
  limits: readonly LimitSetting[];
  nice: number | undefined;
  oomScoreAdj: number | undefined;
}

/** @throws ERR_INVALID_ARG_TYPE, ERR_OUT_OF_RANGE */
export function checkLimits(options: LimitOptions): LimitSettings {
  const { limits = {}, noCore = false, nice, oomScoreAdj } = options;
  if (typeof limits !== 'object' || limits === null) {
    throw invalidType('options.limits', 'of type object', limits);
  }
  if (typeof noCore !== 'boolean') throw invalidType('options.noCore', 'of type boolean', noCore);
  const all: Record<string, LimitOption> = noCore ? { ...limits, core: 0 } : limits;
  return {
    limits: Object.entries(all).map(([name, value]) => limit(name, value)),
    nice: nice === undefined ? undefined : integer(nice, 'options.nice', -20, 19),
    oomScoreAdj:
      oomScoreAdj === undefined
        ? undefined
        : integer(oomScoreAdj, 'options.oomScoreAdj', -1000, 1000),
  };
}

function limit(name: string, value: LimitOption): LimitSetting {
  const argument = `options.limits.${name}`;
  const resource = resourceNumber(name, argument);
  if (typeof value === 'number' || value === 'infinity') {
    const both = limitNumber(value, argument);
    return { name, resource, soft: both, hard: both };
  }
  if (typeof value !== 'object' || value === null) {
    throw invalidType(argument, "a number, 'infinity' or { soft, hard }", value);
  }
  refuseUnknown(value, ['soft', 'hard'], argument);
  const { soft, hard } = value;
  const settings = {
    name,
    resource,
    soft: soft === undefined ? undefined : limitNumber(soft, `${argument}.soft`),
    hard: hard === undefined ? undefined : limitNumber(hard, `${argument}.hard`),
  };
  if (
    settings.soft !== undefined &&
    settings.hard !== undefined &&
    isAbove(settings.soft, settings.hard)
  ) {
    throw outOfRange(`${argument}.soft`, 'at most that of the hard limit', soft);
  }
  return settings;
}

/** Of two limits, -1 being none. */
export const isAbove = (a: number, b: number): boolean => b >= 0 && (a < 0 || a > b);
