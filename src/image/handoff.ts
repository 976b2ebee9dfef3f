// What a new image of the program is given by the process that starts it: descriptors that it
// inherits, and one variable in its environment that says what they are. It reads
// `inode:readyFd:{...}:pid`, see Description. The inode is that of the pipe `readyFd`, and pid the one
// process that is meant: in any other one, such as a child of it, the variable means nothing.

import { fstatSync } from '../builtin/fs.js';
import { close, setCloseOnExec } from '../posix/descriptor.js';
import { shared } from '../posix/shared.js';
import { trace } from '../posix/trace.js';

export const VARIABLE = 'DOUBLEFORK_HANDOFF';

/** A descriptor, and whether its file was created for the new image. */
export interface HandedOver {
  fd: number;
  created: boolean;
}

/** The socket of a logger, and its settings, which are not this image's to change. */
export interface HandedOverLogger {
  fd: number;
  settings: object;
}

/** A call that has returned, and as what. */
export type Call =
  | { call: 'daemonize'; detached: boolean }
  /** A call of daemonize(), too: the image is to take over from the daemon that has started it. */
  | { call: 'daemonize image'; detached: boolean }
  | { call: 'supervise'; id: number; generation: number; restarts: number }
  /** A call of supervise(), too: the image is to have workers of its own. `awaited`: see Superior. */
  | { call: 'supervise image'; awaited: boolean };

const KNOWN: ReadonlySet<string> = new Set([
  'daemonize',
  'daemonize image',
  'supervise',
  'supervise image',
] satisfies Call['call'][]);

/** What the call that made the new image finds there. */
export interface Handoff {
  /** The pipe on which the launcher, or the supervisor, waits to hear that the image is ready. */
  readyFd: number;
  /** What to put onto fd 0-2; null: leave it. */
  stdio: readonly (HandedOver | null)[];
  /** The locked pidfile, if there is one. */
  pidfile: HandedOver | null;
  /** The logger's socket, and what it was told; null: what is printed is not captured. */
  logger: HandedOverLogger | null;
  /**
   * The pipe with the orders of the process that keeps images, or of a predecessor; or with the updates of a worker's
   * supervisor. null: there is none.
   */
  orders: number | null;
  /** The service manager, which has told the predecessor where it listens; null: there is none. */
  manager: HandedOverManager | null;
}

/** How to tell a service manager something. */
export interface HandedOverManager {
  address: string;
  /** Within which time it wants to hear something, in ms; 0: it does not. */
  watchdog: number;
}

/** A descriptor that a service manager has passed to the service: see src/systemd/environment.ts. */
export interface PassedDescriptor {
  /** FileDescriptorName= of the unit, FDNAME= of what was stored; `'unknown'`: it has none. */
  name: string;
  fd: number;
  /** With it the number means one file for ever. */
  inode: number;
}

/** What one process of the version before leaves: see handover.ts. */
export interface HandedOverData {
  /** The worker; null: it is none. */
  worker: number | null;
  /** A file with the value. */
  data: number;
  fds: readonly PassedDescriptor[];
}

/** Where workers leave data for the next version, and as workers of which image: see supervise/data-socket.ts. */
export interface DataAddress {
  address: string;
  secret: string;
  image: number;
}

/** The part of the variable that is JSON. */
interface Description extends Omit<Handoff, 'readyFd'> {
  /** By name, the sockets of listen(). */
  listeners: Record<string, number>;
  /** What a service manager has passed, whether or not listen() has taken it. */
  passed?: readonly PassedDescriptor[];
  /** What the version before has sent. */
  data?: readonly HandedOverData[];
  dataAddress?: DataAddress | undefined;
  /** What had returned where the image was made, and at the end the call that made it: see replay.ts. */
  calls: Call[];
}

interface Received {
  handoff: Handoff | undefined;
  calls: Call[];
  /** What one copy of this module has taken is gone for the others. */
  listeners: Map<string, number>;
  passed: readonly PassedDescriptor[] | undefined;
  data: readonly HandedOverData[];
  dataAddress: DataAddress | undefined;
  descriptors: ReadonlySet<number>;
}

/** What this image was given. */
const received = shared('handoff', () => decode(process.env[VARIABLE]) ?? nothing());

if (process.env[VARIABLE] !== undefined) {
  const { handoff, calls, listeners } = received;
  const way = calls.map(({ call }) => `${call}()`).join(', ');
  const what = `was handed over: listeners [${[...listeners.keys()]}], calls to replay [${way}]`;
  trace?.('image', handoff === undefined ? `ignores a ${VARIABLE} that is not for it` : what);
}

// At once, not when a call comes: nothing of it may reach what the program starts before.
delete process.env[VARIABLE];

function nothing(): Received {
  return {
    handoff: undefined,
    calls: [],
    listeners: new Map(),
    passed: undefined,
    data: [],
    dataAddress: undefined,
    descriptors: new Set(),
  };
}

/** @returns undefined unless it was written for this process */
function decode(variable: string | undefined): Received | undefined {
  const match = /^(\d+):(\d+):(.*):(\d+)$/s.exec(variable ?? '');
  if (match === null) return undefined;
  const [inode, readyFd, pid] = [match[1], match[2], match[4]].map(Number) as [
    number,
    number,
    number,
  ];
  if (pid !== process.pid || !isPipe(readyFd, inode)) return undefined;
  const description = parse(match[3]!);
  if (description === undefined) return undefined;
  const { stdio, pidfile, orders, listeners, passed, calls, logger, data } = description;
  const descriptors = new Set([readyFd, ...descriptorsOf(description)]);
  for (const fd of descriptors) setCloseOnExec(fd, true);
  return {
    handoff: {
      readyFd,
      stdio,
      pidfile,
      orders: orders ?? null,
      logger: logger ?? null,
      manager: description.manager ?? null,
    },
    calls,
    listeners: new Map(Object.entries(listeners)),
    passed: passed ?? [],
    data: data ?? [],
    dataAddress: description.dataAddress,
    descriptors,
  };
}

/** @returns undefined if somebody else has written it */
function parse(json: string): Description | undefined {
  try {
    const description = JSON.parse(json) as Description;
    const { calls } = description;
    const known = calls.every(({ call }) => KNOWN.has(call));
    for (const fd of descriptorsOf(description)) fstatSync(fd);
    return known && calls.length > 0 ? description : undefined;
  } catch {
    return undefined;
  }
}

function descriptorsOf({
  stdio,
  pidfile,
  orders,
  logger,
  listeners,
  passed = [],
  data = [],
}: Omit<Description, 'calls'>): number[] {
  const handedOver = [...stdio, pidfile].flatMap((it) => it?.fd ?? []);
  return [
    ...handedOver,
    ...(logger == null ? [] : [logger.fd]),
    ...(typeof orders === 'number' ? [orders] : []),
    ...Object.values(listeners),
    ...passed.map(({ fd }) => fd),
    ...data.flatMap(({ data, fds }) => [data, ...fds.map(({ fd }) => fd)]),
  ];
}

function isPipe(fd: number, inode: number): boolean {
  try {
    const stat = fstatSync(fd);
    return stat.isFIFO() && stat.ino === inode;
  } catch {
    // Not open, or not a number that could be.
    return false;
  }
}

/**
 * Describes what a new image is given.
 * @returns the part of the variable that is known before there is a new process, and the descriptors
 * that it speaks of
 */
export function encodeHandoff(given: {
  calls: readonly Call[];
  stdio: readonly (HandedOver | undefined)[];
  pidfile?: HandedOver | undefined;
  orders?: number;
  logger?: HandedOverLogger | undefined;
  listeners: readonly { name: string; fd: number }[];
  manager?: HandedOverManager | undefined;
  /** Default: what this image was given, for another process of the same version. */
  data?: readonly HandedOverData[];
  dataAddress?: DataAddress | undefined;
}): { text: string; descriptors: number[] } {
  const description: Description = {
    stdio: given.stdio.map((it) => it ?? null),
    pidfile: given.pidfile ?? null,
    orders: given.orders ?? null,
    logger: given.logger ?? null,
    manager: given.manager ?? null,
    listeners: Object.fromEntries(given.listeners.map(({ name, fd }) => [name, fd])),
    passed: (passedOn.all ?? []).filter(isStillOpen),
    data: given.data ?? received.data.map(withoutClosed),
    dataAddress: given.dataAddress ?? dataAddress.own,
    calls: [...given.calls],
  };
  return { text: JSON.stringify(description), descriptors: descriptorsOf(description) };
}

/** The program may have closed what is its own. */
function withoutClosed({ fds, ...it }: HandedOverData): HandedOverData {
  return { ...it, fds: fds.filter(isStillOpen) };
}

/** Whether the program has not closed it, and used the number for something else. */
export function isStillOpen({ fd, inode }: Pick<PassedDescriptor, 'fd' | 'inode'>): boolean {
  try {
    return fstatSync(fd).ino === inode;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EBADF') throw error;
    return false;
  }
}

/**
 * What a service manager has passed to this process, or to the one that started this image: every image
 * of the service has it. undefined: it was not looked for yet.
 */
export const passedOn = shared('passed-descriptors', () => ({ all: received.passed }));

/** What the version before has sent. */
export function handedOverData(): readonly HandedOverData[] {
  return received.data;
}

/** Where this process, or its workers, leave data for the next version; undefined: nowhere. */
export const dataAddress = shared('data-address', () => ({ own: received.dataAddress }));

/** The calls that this image has to replay, and what was handed over to the last of them. */
export function receivedCalls(): { calls: readonly Call[]; handoff: Handoff | undefined } {
  return received;
}

/** The inherited socket of this name, once; one that is not wanted is as if it were not asked for. */
export function takeListener(name: string, isWanted: (fd: number) => boolean): number | undefined {
  const fd = received.listeners.get(name);
  if (fd === undefined || !isWanted(fd)) return undefined;
  received.listeners.delete(name);
  return fd;
}

/** Whether this image is another version than the one that it inherits from, and may want other sockets. */
export function isSuccessor(): boolean {
  return received.calls.at(-1)?.call.endsWith(' image') === true;
}

/** Closes the sockets that were not taken. @returns their names */
export function closeListenersNotTaken(): string[] {
  const names = [...received.listeners.keys()];
  for (const fd of received.listeners.values()) close(fd);
  received.listeners.clear();
  return names;
}

/** Whether a descriptor was handed over: for a purpose, unlike others that were inherited. */
export function wasHandedOver(fd: number): boolean {
  return received.descriptors.has(fd);
}
