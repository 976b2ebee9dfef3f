// What a captured log can be asked for: types, defaults, validation. Nothing here has an effect.

import { constants as os } from '../builtin/os.js';
import { resolve } from '../builtin/path.js';
import { integer, invalidType, outOfRange, posixError, text } from '../posix/errors.js';
import { refuseUnknown } from '../posix/known.js';

/** What the lines of a captured log are given to tell them apart. */
export type LogFields = Readonly<Record<string, string | number | boolean>>;

/**
 * A log that a process of its own writes, the logger: it reads the output from pipes, one of the daemon and
 * one of each worker, and rotates the file. With `file` and `mode` alone, or `append`, the output goes
 * straight to the file, see FileTarget. Linux.
 */
export interface CaptureOptions {
  /** The path of the log; a regular file, or none yet. */
  file: string;
  /** Permission bits if it is created, whatever the umask. Default: 0o666 less the daemon's umask. */
  mode?: number;
  /**
   * The size in bytes that the file does not exceed: it is rotated before, to FILE.20261125T224130.123456Z
   * (UTC). Lines are not cut for that, unless one is as long itself. Default 0: any.
   */
  maxSize?: number;
  /** The age in ms at which the file is rotated, with the next line. Default 0: any. */
  maxAge?: number;
  /** How many rotated files are kept; 0: all. Default 10. */
  maxFiles?: number;
  /** Compress rotated files, with gzip(1). Default false. */
  compress?: boolean;
  /**
   * What each line begins with: the time in UTC to the millisecond (`'iso'`), or as multilog and s6-log write it
   * (`'tai64n'`); or nothing (`false`, default). It is when the logger has read the line.
   */
  timestamps?: 'iso' | 'tai64n' | false;
  /**
   * Make each line a JSON object, with `time` (ms since 1970, or as `timestamps` says), `pid`, of a worker also
   * `worker` and `generation`, and these fields. One that is a JSON object itself keeps what it has, and is
   * given the fields that it has not; any other becomes the `msg` of one. Default false.
   */
  json?: boolean | LogFields;
  /**
   * What happens while the log cannot be written, since the disk is full: the program waits, once its pipe is full
   * (`'wait'`, default), or what it writes is dropped, and counted (`'drop'`). In both cases a line tells of it
   * later, and the program does not fail.
   */
  onFull?: 'wait' | 'drop';
}

/** {@link CaptureOptions}, checked and with defaults. */
export interface CaptureSettings {
  /** Absolute. */
  file: string;
  mode: number | undefined;
  maxSize: number;
  maxAge: number;
  maxFiles: number;
  compress: boolean;
  timestamps: 'iso' | 'tai64n' | false;
  json: LogFields | undefined;
  onFull: 'wait' | 'drop';
}

const KNOWN: Readonly<Record<keyof CaptureOptions, true>> = {
  file: true,
  mode: true,
  maxSize: true,
  maxAge: true,
  maxFiles: true,
  compress: true,
  timestamps: true,
  json: true,
  onFull: true,
};

/** Whether a log is asked for that is captured: whether anything is said that needs a logger. */
export function isCaptured(value: object): value is CaptureOptions {
  return Object.keys(value).some((key) => key in KNOWN && key !== 'file' && key !== 'mode');
}

/**
 * Checks the options and fills in the defaults.
 * @param name of them, in errors: 'options.log'
 * @throws ERR_INVALID_ARG_TYPE, ERR_INVALID_ARG_VALUE, ERR_OUT_OF_RANGE; ENOTSUP elsewhere than on Linux
 */
export function checkCapture(value: CaptureOptions, name: string, cwd: string): CaptureSettings {
  refuseUnknown(value, Object.keys(KNOWN), name);
  if (process.platform !== 'linux') {
    const why = `${name} cannot be captured: the logger needs Linux; a path alone is written to straight`;
    throw posixError(-os.errno.ENOTSUP, 'pipe', undefined, why);
  }
  if (text(value.file, `${name}.file`) === '') throw outOfRange(`${name}.file`, 'a path', "''");
  const count = (key: 'maxSize' | 'maxAge' | 'maxFiles', fallback: number) =>
    integer(value[key] ?? fallback, `${name}.${key}`, 0);
  const { mode, compress = false, timestamps = false, json = false, onFull = 'wait' } = value;
  if (typeof compress !== 'boolean')
    throw invalidType(`${name}.compress`, 'of type boolean', compress);
  if (timestamps !== false && timestamps !== 'iso' && timestamps !== 'tai64n') {
    throw outOfRange(`${name}.timestamps`, "'iso', 'tai64n' or false", timestamps);
  }
  if (onFull !== 'wait' && onFull !== 'drop') {
    throw outOfRange(`${name}.onFull`, "'wait' or 'drop'", onFull);
  }
  return {
    file: resolve(cwd, value.file),
    mode: mode === undefined ? undefined : integer(mode, `${name}.mode`, 0, 0o7777),
    maxSize: count('maxSize', 0),
    maxAge: count('maxAge', 0),
    maxFiles: count('maxFiles', 10),
    compress,
    timestamps,
    json: json === false ? undefined : fields(json === true ? {} : json, `${name}.json`),
    onFull,
  };
}

/** As many bytes as all fields of a line may have, and as many of them: native/logger/ring.h, format.cc. */
const LONGEST_FIELDS = 800;
const MOST_FIELDS = 24;

function fields(value: LogFields, name: string): LogFields {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw invalidType(name, 'a boolean or an object of fields', value);
  }
  for (const [key, field] of Object.entries(value)) {
    const isScalar = typeof field === 'string' || typeof field === 'boolean';
    if (!isScalar && !Number.isFinite(field)) {
      throw invalidType(`${name}.${key}`, 'a string, a finite number or a boolean', field);
    }
  }
  const all = members(value);
  if (all.length > MOST_FIELDS || Buffer.byteLength(all.join('\n')) > LONGEST_FIELDS) {
    const most = `at most ${MOST_FIELDS} fields of ${LONGEST_FIELDS} bytes in all`;
    throw outOfRange(name, most, Buffer.byteLength(all.join('\n')));
  }
  return value;
}

/** Members of a JSON object. */
export function members(value: LogFields): string[] {
  return Object.entries(value).map(
    ([key, field]) => `${JSON.stringify(key)}:${JSON.stringify(field)}`,
  );
}
