// In the copy: what was the parent's is stopped, so that nothing happens twice; then the function runs,
// and its answer goes to the parent.

import { fstatSync, readdirSync } from '../builtin/fs.js';
import { constants } from '../builtin/os.js';
import { renewOutput } from '../detach/streams.js';
import { addon } from '../posix/addon.js';
import { prctlIfKnown } from '../posix/attribute.js';
import { close, dup2, setNonBlocking } from '../posix/descriptor.js';
import { posixError } from '../posix/errors.js';
import { emptyRandomStocks } from '../posix/fork.js';
import { runChildHooks } from '../posix/fork-hooks.js';
import { openNull } from '../posix/null.js';
import { _exit, PR_SET_PDEATHSIG } from '../posix/process.js';
import { AF_UNIX, SOCK_DGRAM, socket } from '../posix/socket.js';
import { prepareToStopWorkers, stopWorkers } from '../posix/workers.js';
import { encode, type Kind, writeFrame } from './frames.js';

/** How a copy is to be. */
export interface CopySettings {
  /** 'inherit': fd 1 and 2 stay the parent's; 'ignore': they lead to /dev/null. fd 0 always does. */
  stdio: 'inherit' | 'ignore';
  /** process.title; undefined: the parent's. */
  title: string | undefined;
  /** The last number of async_hooks that was given out before the copy was made. */
  lastAsyncId: number;
  /** The parent, without which the copy is of no use. */
  parent: number;
  /** Where the answer goes. */
  answers: number;
  /** Where jobs come from; undefined: there is the one. */
  jobs?: number | undefined;
}

/** The copy's end of the pipe. The first answer is the last: the copy ends with it. */
export class Answer {
  readonly #fd: number;
  /** A process that the function has forked has this object, too, and no answer to give. */
  readonly #owner = process.pid;

  constructor(fd: number) {
    this.#fd = fd;
  }

  /** @throws DataCloneError for what cannot be cloned; ERR_JOB_FORKED in a child of the copy */
  send(kind: Kind, value: unknown): void {
    writeFrame(this.#fd, this.#encode(kind, value));
  }

  #encode(kind: Kind, value: unknown): Buffer {
    if (process.pid !== this.#owner) {
      if (kind !== 'message') _exit(0);
      throw Object.assign(
        new Error('send() is for the copy itself, not for a process that it has forked'),
        {
          code: 'ERR_JOB_FORKED',
        },
      );
    }
    return encode(kind, value);
  }

  /**
   * The parent goes on with the answer, and the kernel takes milliseconds to free this process: locks of flock(2),
   * and addresses must not be kept for so long by whoever does not need them any more. What libuv and V8 wake each
   * other by stays: their threads are there until the end.
   */
  #leaveAllElse(): void {
    for (const name of descriptorNames()) {
      const fd = Number(name);
      if (fd > 2 && fd !== this.#fd && isFileOrSocket(fd)) close(fd);
    }
  }

  /** Ends the copy with its answer. */
  finish(kind: 'result' | 'error', value: unknown): never {
    try {
      let frame: Buffer;
      try {
        frame = this.#encode(kind, value);
      } catch (error) {
        frame = this.#encode('error', error);
      }
      this.#leaveAllElse();
      writeFrame(this.#fd, frame);
      _exit(0);
    } catch {
      // Nobody reads: the parent is gone, or has given up.
      _exit(1);
    }
  }
}

/** None where there is no descriptor left to look with: what is open is free at the end, then. */
function descriptorNames(): string[] {
  try {
    return readdirSync('/proc/self/fd');
  } catch {
    return [];
  }
}

/** No for pipes, event descriptors and epoll; and for that of the list itself, which is closed already. */
function isFileOrSocket(fd: number): boolean {
  try {
    const file = fstatSync(fd);
    return file.isFile() || file.isSocket();
  } catch {
    return false;
  }
}

const nothing = (): void => {};

/**
 * Leaves the parent its own: Workers, sockets, watched files, listeners, standard input. Timers and the
 * like are only stopped by {@link silenceCallbacks}, when the event loop is to turn.
 */
export function becomeCopy(settings: CopySettings, answer: Answer): void {
  prctlIfKnown(PR_SET_PDEATHSIG, constants.signals.SIGKILL);
  // It ended before it could be asked for.
  if (process.ppid !== settings.parent) _exit(1);
  stopWorkers();
  addon.releaseThreads();
  removeListeners(answer);
  renewOutput();
  replaceDescriptors(settings.stdio);
  if (settings.title !== undefined) process.title = settings.title;
  runChildHooks({ moved: false });
}

const PR_GET_DUMPABLE = 3;

/**
 * In the parent, does without effect what each copy does first. V8 compiles a function when it is first
 * called: what has run here has not to be compiled in every copy anew.
 */
export function rehearse(): void {
  try {
    prepareToStopWorkers();
    emptyRandomStocks();
    prctlIfKnown(PR_GET_DUMPABLE, constants.signals.SIGKILL);
    void process.ppid;
    process.eventNames();
    process.removeAllListeners(Symbol('none'));
    addon.loopHandles();
    rehearseDescriptors();
  } catch {
    // No descriptor or no memory is left. Nothing is missing but what has not run.
  }
}

function rehearseDescriptors(): void {
  const opened: number[] = [];
  try {
    const inert = socket(AF_UNIX, SOCK_DGRAM);
    opened.push(inert);
    setNonBlocking(inert, true);
    const null_ = openNull();
    opened.push(null_);
    dup2(null_, inert);
    writeFrame(inert, encode('result', 0));
  } finally {
    for (const fd of opened) close(fd);
  }
}

/** Node's own: they are what makes `process.on('SIGTERM')` work, and print warnings. */
const NODES_OWN = new Set<string | symbol>(['newListener', 'removeListener', 'warning']);

function removeListeners(answer: Answer): void {
  for (const name of process.eventNames()) {
    if (!NODES_OWN.has(name as string)) process.removeAllListeners(name);
  }
  if (process.hasUncaughtExceptionCaptureCallback()) {
    process.setUncaughtExceptionCaptureCallback(null);
  }
  // Node would wait for Workers that do not run here.
  (process as unknown as { reallyExit: (code: number) => never }).reallyExit = (code) =>
    _exit(Number(code) & 0xff);
  process.on('uncaughtException', (error) => answer.finish('error', error));
}

/**
 * Under the numbers of the parent's sockets there is one from now on that never says anything and takes
 * nothing (ENOTCONN). So this process does not keep alive what the parent closes, either.
 */
function replaceDescriptors(stdio: 'inherit' | 'ignore'): void {
  const inert = socket(AF_UNIX, SOCK_DGRAM);
  setNonBlocking(inert, true);
  const null_ = openNull();
  addon.silenceLoop(inert, stdio === 'ignore' ? null_ : -1);
  dup2(null_, 0);
  if (stdio === 'ignore') for (const fd of [1, 2]) dup2(null_, fd);
  close(inert);
  close(null_);
}

/** The method of a port that Node calls with a message. */
const DISPATCH = Symbol.for('nodejs.internal.kHybridDispatch');

/** A resource of Node's, as async_hooks shows it. */
interface Resource {
  _onTimeout?: unknown;
  _repeat?: unknown;
  _onImmediate?: unknown;
  oncomplete?: unknown;
  promise?: unknown;
  [DISPATCH]?: unknown;
}

/** Whatever of these calls back is the copy's own doing: their descriptors are inert. */
const HANDLES = new Set([
  ...[
    'TCP',
    'Pipe',
    'TTY',
    'UDP',
    'TLSWrap',
    'JSStream',
    'HTTPParser',
    'Http2Session',
    'Http2Stream',
  ],
  ...['FSEvent', 'StatWatcher', 'Process', 'Signal', 'FileHandle'],
]);

/**
 * Takes the callbacks away that were due in the parent: timers, immediates and messages when they come,
 * requests (files, name look-ups) now. What cannot be taken away (the end of a Worker, work of an addon's
 * that waits for something outside) ends the copy, with its name, before it happens a second time.
 */
export function silenceCallbacks(lastAsyncId: number, answer: Answer): void {
  const { AsyncResource, createHook, executionAsyncResource } =
    process.getBuiltinModule('node:async_hooks');
  const silenced = new WeakSet<object>();
  const { _getActiveRequests: requests } = process as unknown as {
    _getActiveRequests?: () => Resource[];
  };
  for (const request of requests?.() ?? []) {
    silenced.add(request);
    request.oncomplete = nothing;
    // What fs.promises waits for: a promise that nobody has takes its place.
    if ('promise' in request) request.promise = new Promise(nothing);
  }
  createHook({
    before(id) {
      if (id > lastAsyncId) return;
      const resource = executionAsyncResource() as Resource;
      // One of JavaScript's is entered by a call of the copy's: AsyncResource.bind(), for example.
      if (
        silenced.has(resource) ||
        resource instanceof Promise ||
        resource instanceof AsyncResource
      )
        return;
      if ('_onTimeout' in resource) {
        resource._onTimeout = nothing;
        resource._repeat = null;
      } else if ('_onImmediate' in resource) {
        resource._onImmediate = nothing;
      } else if (resource instanceof MessagePort) {
        resource[DISPATCH] = nothing;
      } else if (!HANDLES.has(resource.constructor?.name)) {
        answer.finish('error', foreign(resource));
      }
    },
  }).enable();
}

function foreign(resource: object): Error {
  const name = resource.constructor?.name ?? 'unknown';
  return posixError(
    -constants.errno.EBUSY,
    'inFork',
    undefined,
    `work of the parent's (${name}) was under way when it was copied, and its callback would have run twice; ` +
      'a function that is not async needs no event loop, and is not concerned',
  );
}
