// What a version of the program leaves to the next one: values, and open descriptors by name.

import { constants, fstatSync, openSync, readSync, unlinkSync, writeSync } from '../builtin/fs.js';
import { tmpdir } from '../builtin/os.js';
import { join } from '../builtin/path.js';
import { bindMethods } from '../posix/bind.js';
import { close, setCloseOnExec } from '../posix/descriptor.js';
import { descriptor, integer, invalidType } from '../posix/errors.js';
import { refuseUnknown } from '../posix/known.js';
import { shared } from '../posix/shared.js';
import { decodeValue, encodeValue } from './clone.js';
import { type HandedOverData, handedOverData } from './handoff.js';

/** How long a value may be as structured clone has it, in bytes. */
const LONGEST_VALUE = 256 * 1024 * 1024;
/** What goes over a unix socket at once is 253: SCM_MAX_FD of the kernel. */
export const MOST_DESCRIPTORS = 64;

/** Options of {@link Handover.send}. */
export interface SendOptions {
  /** Open descriptors by name: files with their locks, sockets, pipes. At most 64. */
  fds?: Readonly<Record<string, number>>;
}

/** What one process of the version before has sent. */
export interface HandedOverValue {
  /** The `id` of the worker that has sent it; undefined: it is no worker, see {@link Daemon.handover}. */
  readonly worker: number | undefined;
  readonly value: unknown;
  /** Its descriptors, as this process has them. They are the program's, and stay open until it closes them. */
  readonly fds: Readonly<Record<string, number>>;
}

/** Asked when a successor is about to be started. */
interface Source {
  value: unknown;
  fds: Readonly<Record<string, number>>;
}

/** What this process would leave. A fork of it has it, too, and may send something else. */
const leaving = shared('handover', () => ({
  source: undefined as Source | undefined,
  /** Told of the first that is sent. */
  onSend: undefined as (() => void) | undefined,
  arrived: undefined as readonly HandedOverValue[] | undefined,
}));

class Handover {
  constructor() {
    bindMethods(this);
  }

  /**
   * Says what the next version is to have: caches, sessions, the path of a database; and descriptors. It is given
   * to the successor that a reload of `supervise()` or `daemon.handover()` starts. What is sent later takes the place of
   * what was sent before; `undefined`: nothing any more. Each worker sends its own.
   * @param value is cloned now; a function is called when a successor is about to be started, and what it returns, or
   * its promise resolves to, is cloned then. If that throws, cannot be cloned or takes longer than `readyTimeout`,
   * there is no successor: this version goes on, and the error is for whoever has asked for the reload
   * @throws ERR_INVALID_ARG_VALUE, with the place in the value, for what would not arrive as it is: functions, symbols,
   * instances of classes (but Map, Set, Date, RegExp, Error, buffers and typed arrays do), shared memory;
   * ERR_OUT_OF_RANGE for more than 256 MB; EBADF for a descriptor that is not open
   * @see structuredClone(), v8.serialize()
   */
  send(value: unknown, options: SendOptions = {}): void {
    refuseUnknown(options, ['fds'], 'options');
    const { fds = {} } = options;
    if (typeof fds !== 'object' || fds === null) {
      throw invalidType('options.fds', 'of type object', fds);
    }
    integer(Object.keys(fds).length, 'the number of options.fds', 0, MOST_DESCRIPTORS);
    for (const [name, fd] of Object.entries(fds)) fstatSync(descriptor(fd, `options.fds.${name}`));
    const isNothing = value === undefined && Object.keys(fds).length === 0;
    const clone = typeof value === 'function' ? value : encodeValue(value, 'value', LONGEST_VALUE);
    leaving.source = isNothing ? undefined : { value: clone, fds };
    if (!isNothing) leaving.onSend?.();
  }

  /**
   * What the version before has sent, in the order of its workers; empty: nothing, or there was none. It is there from
   * the start of the program, in every worker, also in one that is started again later.
   * @throws if another release of Node has written it, whose format this one does not know
   */
  get received(): readonly HandedOverValue[] {
    leaving.arrived ??= handedOverData().map(({ worker, data, fds }) => {
      const named = Object.fromEntries(fds.map(({ name, fd }) => [name, fd]));
      return { worker: worker ?? undefined, value: decodeValue(readAll(data)), fds: named };
    });
    return leaving.arrived;
  }
}

/** What this version of the program leaves to the next one, and has from the one before. */
export const handover: Handover = new Handover();
export type { Handover };

/** Whether there is something to leave. */
export const hasHandover = (): boolean => leaving.source !== undefined;

/** Has a function told when there is something to leave; at once if there is. */
export function onHandover(told: () => void): void {
  leaving.onSend = told;
  if (hasHandover()) told();
}

/**
 * Puts what is left into a file that has no name; undefined: nothing is. The descriptor is the caller's to close, the
 * others are the program's.
 * @throws what `send` does, and what the program's function throws
 */
export async function collectHandover(): Promise<
  { data: number; fds: Readonly<Record<string, number>> } | undefined
> {
  const { source } = leaving;
  if (source === undefined) return undefined;
  const { value, fds } = source;
  const bytes =
    typeof value === 'function'
      ? encodeValue(await (value as () => unknown)(), 'value', LONGEST_VALUE)
      : (value as Buffer);
  for (const [name, fd] of Object.entries(fds)) checkOpen(name, fd);
  return { data: fileOf(bytes), fds };
}

function checkOpen(name: string, fd: number): void {
  try {
    fstatSync(fd);
  } catch (cause) {
    throw Object.assign(new Error(`fds.${name} (${fd}) is not open any more`, { cause }), {
      code: (cause as NodeJS.ErrnoException).code,
    });
  }
}

function fileOf(bytes: Uint8Array): number {
  const path = join(tmpdir(), `doublefork-handover-${crypto.randomUUID()}`);
  const fd = openSync(path, constants.O_RDWR | constants.O_CREAT | constants.O_EXCL, 0o600);
  try {
    unlinkSync(path);
    setCloseOnExec(fd, true);
    for (let rest = bytes; rest.length > 0; ) rest = rest.subarray(writeSync(fd, rest));
    return fd;
  } catch (error) {
    close(fd);
    throw error;
  }
}

/** From its beginning: several processes share where they are in it. */
function readAll(fd: number): Buffer {
  const bytes = Buffer.allocUnsafe(fstatSync(fd).size);
  for (let at = 0; at < bytes.length; ) at += readSync(fd, bytes, at, bytes.length - at, at);
  return bytes;
}

/** As a successor is told of it. */
export function describeHandover(
  worker: number | null,
  data: number,
  fds: Readonly<Record<string, number>>,
): HandedOverData {
  const named = Object.entries(fds).map(([name, fd]) => {
    return { name, fd, inode: fstatSync(fd).ino };
  });
  return { worker, data, fds: named };
}
