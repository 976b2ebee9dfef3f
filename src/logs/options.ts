// What a captured log can be asked for: types, defaults, validation. Nothing here has an effect.

import { constants as os } from '../builtin/os.js';
import { basename, resolve } from '../builtin/path.js';
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

/** What syslog and the journal have in common. */
interface MessageOptions {
  /** What the lines come from, as receivers show and filter it. Default: the name of the script, less its suffix. */
  tag?: string;
  /** A name of syslog(3), such as `'daemon'` (default), `'user'` or `'local0'`. */
  facility?: Facility;
  /** Where the receiver listens: a unix socket of datagrams. Default: `/dev/log`, `/run/systemd/journal/socket`. */
  socket?: string;
  /** What each line has beside `pid`, and of a worker `worker` and `generation`: structured data, or fields. */
  fields?: LogFields;
  /**
   * What happens while the receiver does not take lines: the program waits, once its pipe is full (`'wait'`, default),
   * or what it writes is dropped, and counted (`'drop'`). In both cases a line tells of it later.
   */
  onFull?: 'wait' | 'drop';
}

/** The syslog of this machine. Of a line of JSON the `level` becomes its severity, of others a prefix such as `<4>`. */
export interface SyslogOptions extends MessageOptions {
  to: 'syslog';
  /** Default: RFC 5424; the local form of RFC 3164, as syslog(3) has it, where journald listens on `/dev/log`. */
  format?: 'rfc5424' | 'rfc3164';
}

/** The journal of systemd: each line is an entry, and of one of JSON each member a field. */
export interface JournalOptions extends MessageOptions {
  to: 'journal';
  /**
   * Have processes write straight to the journal, each line an entry as it is, with a prefix such as `<4>` for its
   * priority: no logger, but no fields either, and who prints waits for journald. `socket` is that of its streams then,
   * by default `/run/systemd/journal/stdout`. Of daemonize() alone. Default false.
   */
  stream?: boolean;
}

export type Facility = keyof typeof FACILITIES;

/** By the numbers of RFC 5424. */
const FACILITIES = {
  kern: 0,
  user: 1,
  mail: 2,
  daemon: 3,
  auth: 4,
  syslog: 5,
  lpr: 6,
  news: 7,
  uucp: 8,
  cron: 9,
  authpriv: 10,
  ftp: 11,
  local0: 16,
  local1: 17,
  local2: 18,
  local3: 19,
  local4: 20,
  local5: 21,
  local6: 22,
  local7: 23,
} as const;

/** What a logger is told, checked and with defaults. */
export type CaptureSettings = FileSettings | MessageSettings;

interface CommonSettings {
  /** What each line is given. */
  fields: LogFields;
  onFull: 'wait' | 'drop';
}

/** {@link CaptureOptions} */
export interface FileSettings extends CommonSettings {
  to: 'file';
  /** Absolute. */
  file: string;
  mode: number | undefined;
  maxSize: number;
  maxAge: number;
  maxFiles: number;
  compress: boolean;
  timestamps: 'iso' | 'tai64n' | false;
  json: boolean;
}

/** {@link SyslogOptions}, {@link JournalOptions} */
export interface MessageSettings extends CommonSettings {
  to: 'syslog' | 'journal';
  /** Absolute. */
  socket: string;
  tag: string;
  facility: number;
  /** Straight, without a logger. */
  stream: boolean;
  /** undefined: what the receiver reads. */
  format: 'rfc5424' | 'rfc3164' | undefined;
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

/** The words that stand for a log that is no file. */
export const isMessageLog = (value: unknown): value is 'syslog' | 'journal' =>
  value === 'syslog' || value === 'journal';

/** Whether it is said where to, other than to a file. */
export const isMessageOptions = (value: unknown): value is SyslogOptions | JournalOptions =>
  typeof value === 'object' && value !== null && 'to' in value;

/** Of what is written as a stream of lines: see StandardOutput= in systemd.exec(5). */
export const JOURNAL_STREAM = '/run/systemd/journal/stdout';
const SOCKETS = { syslog: '/dev/log', journal: '/run/systemd/journal/socket' } as const;

/**
 * Checks the options of a syslog or a journal, and fills in the defaults.
 * @param value the word alone, or its options
 * @param name of them, in errors: 'options.log'
 * @throws as {@link checkCapture} does
 */
export function checkMessages(
  value: 'syslog' | 'journal' | SyslogOptions | JournalOptions,
  name: string,
  cwd: string,
): MessageSettings {
  const options: SyslogOptions | JournalOptions = typeof value === 'string' ? { to: value } : value;
  const { to, tag = ownTag(), facility = 'daemon', onFull = 'wait' } = options;
  if (!isMessageLog(to)) throw outOfRange(`${name}.to`, "'syslog' or 'journal'", to);
  const common = ['to', 'tag', 'facility', 'socket', 'fields', 'onFull'];
  refuseUnknown(options, [...common, to === 'syslog' ? 'format' : 'stream'], name);
  refuseElsewhere(name);
  // RFC 5424, 6.2.5.
  if (!/^[!-~]{1,48}$/.test(text(tag, `${name}.tag`))) {
    throw outOfRange(`${name}.tag`, 'of 1 to 48 visible characters of ASCII', tag);
  }
  if (!Object.hasOwn(FACILITIES, facility)) {
    throw outOfRange(`${name}.facility`, `one of ${Object.keys(FACILITIES).join(', ')}`, facility);
  }
  checkOnFull(onFull, name);
  const format = options.to === 'syslog' ? options.format : undefined;
  if (format !== undefined && format !== 'rfc5424' && format !== 'rfc3164') {
    throw outOfRange(`${name}.format`, "'rfc5424' or 'rfc3164'", format);
  }
  const stream = options.to === 'journal' ? (options.stream ?? false) : false;
  if (typeof stream !== 'boolean') throw invalidType(`${name}.stream`, 'of type boolean', stream);
  const only = stream && [options.fields, options.onFull].some((it) => it !== undefined);
  if (only) throw outOfRange(`${name}.stream`, "false with 'fields' or 'onFull'", stream);
  const socket = options.socket ?? (stream ? JOURNAL_STREAM : SOCKETS[to]);
  return {
    to,
    tag,
    facility: FACILITIES[facility],
    stream,
    format,
    socket: resolve(cwd, text(socket, `${name}.socket`)),
    fields: fields(options.fields ?? {}, `${name}.fields`),
    onFull,
  };
}

/** What this program is called. */
function ownTag(): string {
  const name = basename(process.argv[1] ?? 'node').replace(/\.[cm]?[jt]s$/, '');
  return name.replaceAll(/[^!-~]/g, '_').slice(0, 48) || 'node';
}

function refuseElsewhere(name: string): void {
  if (process.platform === 'linux') return;
  const why = `${name} cannot be captured: the logger needs Linux; a path alone is written to straight`;
  throw posixError(-os.errno.ENOTSUP, 'pipe', undefined, why);
}

function checkOnFull(value: unknown, name: string): void {
  if (value !== 'wait' && value !== 'drop') {
    throw outOfRange(`${name}.onFull`, "'wait' or 'drop'", value);
  }
}

/**
 * Checks the options and fills in the defaults.
 * @param name of them, in errors: 'options.log'
 * @throws ERR_INVALID_ARG_TYPE, ERR_INVALID_ARG_VALUE, ERR_OUT_OF_RANGE; ENOTSUP elsewhere than on Linux
 */
export function checkCapture(value: CaptureOptions, name: string, cwd: string): FileSettings {
  refuseUnknown(value, Object.keys(KNOWN), name);
  refuseElsewhere(name);
  if (text(value.file, `${name}.file`) === '') throw outOfRange(`${name}.file`, 'a path', "''");
  const count = (key: 'maxSize' | 'maxAge' | 'maxFiles', fallback: number) =>
    integer(value[key] ?? fallback, `${name}.${key}`, 0);
  const { mode, compress = false, timestamps = false, json = false, onFull = 'wait' } = value;
  if (typeof compress !== 'boolean')
    throw invalidType(`${name}.compress`, 'of type boolean', compress);
  if (timestamps !== false && timestamps !== 'iso' && timestamps !== 'tai64n') {
    throw outOfRange(`${name}.timestamps`, "'iso', 'tai64n' or false", timestamps);
  }
  checkOnFull(onFull, name);
  return {
    to: 'file',
    file: resolve(cwd, value.file),
    mode: mode === undefined ? undefined : integer(mode, `${name}.mode`, 0, 0o7777),
    maxSize: count('maxSize', 0),
    maxAge: count('maxAge', 0),
    maxFiles: count('maxFiles', 10),
    compress,
    timestamps,
    json: json !== false,
    fields: json === false || json === true ? {} : fields(json, `${name}.json`),
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
