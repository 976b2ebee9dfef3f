// The option `limits` of supervise(): types, defaults, validation. Nothing here has an effect.

import { resolve } from '../builtin/path.js';
import { integer, invalidType, outOfRange, text } from '../posix/errors.js';
import { refuseUnknown } from '../posix/known.js';
import type { Limits } from './policy/state.js';

/** What is watched of each worker. Without a number there is no such limit. */
export interface UsageOptions {
  /** Above this an alarm is raised, once; it is over below nine tenths of it. */
  warn?: number;
  /** Above this the worker is replaced by a new one, and serves until that is ready. */
  replace?: number;
}

/** Bytes of resident memory. */
export interface MemoryLimits extends UsageOptions {
  /** Have a worker above `warn` collect its garbage before the alarm is raised. Default true. */
  collect?: boolean;
  /**
   * Directory for a heap snapshot of a worker that is above `warn` still after that: one for each process, named after
   * worker, pid and time. Making it takes as much memory again, and stops the worker for seconds.
   */
  snapshot?: string;
  /** From here the kernel slows the worker down and takes memory back: memory.high. Default nine tenths of `max`. */
  high?: number;
  /** Above this the kernel kills it: memory.max. */
  max?: number;
}

/** Processors, measured from look to look: 0.5 is half of one. */
export interface CpuLimits extends UsageOptions {
  /** It gets no more than this: cpu.max. */
  max?: number;
}

/** The option `limits` of supervise(). */
export interface ResourceLimits {
  /** Bytes of resident memory; a number: `replace`. */
  memory?: number | MemoryLimits;
  cpu?: CpuLimits;
  /** By how many ms 99 of 100 turns of the event loop are late at most. Not with `exec`. */
  eventLoopDelay?: UsageOptions;
  /** Open descriptors, as a part of the limit that the worker has for them. Default `{ warn: 0.8 }`. */
  descriptors?: UsageOptions;
  /** A worker and what it has started may be so many processes and threads: pids.max. */
  processes?: { max: number };
  /** How often it is looked, in ms. Default 5000. */
  interval?: number;
}

/** What the kernel is to enforce for a group: a file of its directory, and what is written there. */
export type GroupLimits = readonly (readonly [file: string, value: string])[];

/** {@link ResourceLimits}, checked and with defaults. */
export interface LimitSettings {
  usage: Limits['usage'];
  interval: number;
  group: GroupLimits;
  collect: boolean;
  /** Absolute. */
  snapshot: string | undefined;
}

const BYTES = Number.MAX_SAFE_INTEGER;
const MOST_PROCESSORS = 4096;
/** cpu.max: so many µs of processor time within so many. */
const PERIOD = 100_000;
const NONE = { warn: 0, replace: 0 };

/**
 * @param memoryLimit the option of that name: another word for `limits.memory`
 * @throws ERR_INVALID_ARG_TYPE, ERR_INVALID_ARG_VALUE, ERR_OUT_OF_RANGE
 */
export function checkLimits(
  limits: ResourceLimits | undefined,
  memoryLimit: number | undefined,
  { cwd, isProgram }: { cwd: string; isProgram: boolean },
): LimitSettings {
  const shortcut = integer(memoryLimit ?? 0, 'options.memoryLimit', 0, BYTES);
  if (limits === undefined) {
    return {
      usage: {
        memory: { warn: 0, replace: shortcut },
        cpu: NONE,
        'event-loop delay': NONE,
        descriptors: NONE,
      },
      interval: 5000,
      group: [],
      collect: false,
      snapshot: undefined,
    };
  }
  const name = 'options.limits';
  refuseUnknown(
    limits,
    ['memory', 'cpu', 'eventLoopDelay', 'descriptors', 'processes', 'interval'],
    name,
  );
  if (limits.memory !== undefined && shortcut > 0) {
    throw outOfRange(
      'options.memoryLimit',
      'left out where options.limits.memory is given',
      shortcut,
    );
  }
  if (limits.eventLoopDelay !== undefined && isProgram) {
    const why = 'left out with options.exec: another program does not tell it';
    throw outOfRange(`${name}.eventLoopDelay`, why, limits.eventLoopDelay);
  }
  const memory =
    typeof limits.memory === 'number'
      ? { replace: limits.memory }
      : (limits.memory ?? { replace: shortcut });
  refuseUnknown(
    memory,
    ['warn', 'replace', 'collect', 'snapshot', 'high', 'max'],
    `${name}.memory`,
  );
  const { cpu = {}, eventLoopDelay = {}, descriptors = { warn: 0.8 }, processes } = limits;
  refuseUnknown(cpu, ['warn', 'replace', 'max'], `${name}.cpu`);
  refuseUnknown(eventLoopDelay, ['warn', 'replace'], `${name}.eventLoopDelay`);
  refuseUnknown(descriptors, ['warn', 'replace'], `${name}.descriptors`);
  if (processes !== undefined) refuseUnknown(processes, ['max'], `${name}.processes`);
  const { max } = memory as MemoryLimits;
  const most = part(max, `${name}.memory.max`, BYTES);
  const high = part((memory as MemoryLimits).high, `${name}.memory.high`, most || BYTES);
  const share = part(cpu.max, `${name}.cpu.max`, MOST_PROCESSORS);
  return {
    usage: {
      // Where nobody enforces it, it is at least seen.
      memory: usage({ replace: max ?? 0, ...memory }, `${name}.memory`, BYTES),
      cpu: usage(cpu, `${name}.cpu`, MOST_PROCESSORS),
      'event-loop delay': usage(eventLoopDelay, `${name}.eventLoopDelay`, 2 ** 31 - 1),
      descriptors: usage(descriptors, `${name}.descriptors`, 1),
    },
    interval: integer(limits.interval ?? 5000, `${name}.interval`, 100, 2 ** 31 - 1),
    group: [
      ...line('memory.high', Math.floor(high || most * 0.9)),
      ...line('memory.max', most),
      ...line('cpu.max', share && `${Math.max(1000, Math.round(share * PERIOD))} ${PERIOD}`),
      ...line(
        'pids.max',
        processes === undefined ? 0 : integer(processes.max, `${name}.processes.max`, 1, 2 ** 22),
      ),
    ],
    collect: flag((memory as MemoryLimits).collect ?? true, `${name}.memory.collect`) && !isProgram,
    snapshot: directory((memory as MemoryLimits).snapshot, cwd, isProgram),
  };
}

function usage(
  { warn, replace }: UsageOptions,
  name: string,
  most: number,
): { warn: number; replace: number } {
  const checked = {
    warn: part(warn, `${name}.warn`, most),
    replace: part(replace, `${name}.replace`, most),
  };
  if (checked.replace > 0 && checked.warn > checked.replace) {
    throw outOfRange(`${name}.warn`, `at most ${name}.replace`, warn);
  }
  return checked;
}

/** A positive number; 0: none was given. */
function part(value: number | undefined, name: string, most: number): number {
  if (value === undefined) return 0;
  if (typeof value !== 'number') throw invalidType(name, 'of type number', value);
  if (!(value >= 0 && value <= most)) throw outOfRange(name, `from 0 to ${most}`, value);
  return value;
}

function flag(value: unknown, name: string): boolean {
  if (typeof value !== 'boolean') throw invalidType(name, 'of type boolean', value);
  return value;
}

function directory(value: string | undefined, cwd: string, isProgram: boolean): string | undefined {
  const name = 'options.limits.memory.snapshot';
  if (value === undefined) return undefined;
  if (text(value, name) === '') throw outOfRange(name, 'a path', "''");
  if (isProgram)
    throw outOfRange(name, 'left out with options.exec, which has another heap', value);
  return resolve(cwd, value);
}

const line = (file: string, value: number | string): GroupLimits =>
  value === 0 || value === '' ? [] : [[file, String(value)]];
