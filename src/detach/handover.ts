// daemon.handover(): this daemon starts the next version of itself, and ends once that has taken over. See
// predecessor.ts for what the two say to each other.

import { writeSync } from '../builtin/fs.js';
import { constants } from '../builtin/os.js';
import type { HandedOverData } from '../image/handoff.js';
import { collectHandover, describeHandover } from '../image/handover.js';
import type { Image } from '../image/image.js';
import { openListeners } from '../listen/listen.js';
import type { Capture } from '../logs/capture.js';
import type { Pidfile } from '../pidfile/pidfile.js';
import { isAlive } from '../pidfile/process.js';
import { addon, type ImageRequest } from '../posix/addon.js';
import { close } from '../posix/descriptor.js';
import { posixError } from '../posix/errors.js';
import { waitUntil } from '../posix/pause.js';
import { kill } from '../posix/process.js';
import { trace } from '../posix/trace.js';
import type { ServiceManager } from './manager.js';
import { startNextImage } from './next-image.js';
import type { SuccessorWord } from './predecessor.js';

/** What the daemon has that goes over, or changes hands. */
export interface Estate {
  image: Image;
  detached: boolean;
  pidfile: Pidfile | undefined;
  manager: ServiceManager | undefined;
  capture: Capture | undefined;
  /** In ms; 0: any time. */
  readyTimeout: number;
}

/** How long what was killed may take to be gone. In ms. */
const PATIENCE = 5000;

/** So much of what it writes to stderr on its way is kept. */
const LONGEST_TEXT = 16_384;

/**
 * Starts the successor and waits until it serves. The service is its from then on.
 * @throws with everything as it was: what the successor has said
 */
export async function handOver(estate: Estate): Promise<{ pid: number }> {
  const { manager, readyTimeout } = estate;
  manager?.reloading(readyTimeout);
  try {
    const limit = new Limit(readyTimeout);
    const data = await limit.within(collect(), 'handover.send has not handed over');
    const successor = start(estate, data);
    await limit
      .within(successor.takesOver(estate), 'the successor was not ready')
      .catch((error) => {
        successor.end(estate.pidfile);
        throw error;
      });
    return { pid: successor.pid };
  } catch (error) {
    manager?.reloaded(`Not reloaded: ${(error as Error).message} (pid ${process.pid})`);
    throw error;
  }
}

class Limit {
  readonly #ms: number;
  readonly #until: number;

  constructor(ms: number) {
    this.#ms = ms;
    this.#until = performance.now() + ms;
  }

  async within<T>(work: Promise<T>, what: string): Promise<T> {
    if (this.#ms === 0) return await work;
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      const why = `${what} within ${this.#ms / 1000} s`;
      timer = setTimeout(() => reject(new Error(why)), this.#until - performance.now());
    });
    try {
      return await Promise.race([work, late]);
    } finally {
      clearTimeout(timer);
    }
  }
}

/** What this process leaves, as a list; the first descriptor is this module's to close. */
async function collect(): Promise<HandedOverData[]> {
  const left = await collectHandover();
  return left === undefined ? [] : [describeHandover(null, left.data, left.fds)];
}

function start(
  { image, detached, pidfile, manager, capture }: Estate,
  data: readonly HandedOverData[],
): Successor {
  try {
    const { pid, words, orders, errors } = startNextImage(
      image,
      {
        calls: [{ call: 'daemonize image', detached }],
        pidfile: pidfile?.handedOver,
        logger: capture,
        manager: manager?.handedOver,
        data,
      },
      spawnOrphan,
    );
    trace?.('daemon', `has started its successor, pid ${pid}`);
    return new Successor(pid, words, orders, errors);
  } finally {
    for (const { data: fd } of data) close(fd);
  }
}

/** A child of init's from the start: systemd would not wait for the end of one that was this process's. */
function spawnOrphan(request: ImageRequest, words: number): number {
  const result = addon.spawnOrphan(request, words);
  if (typeof result === 'number') return result;
  const [errno, sentence, call] = result;
  const { path, cwd } = request;
  const place = call === 'execve' ? path : call === 'chdir' ? cwd : undefined;
  throw posixError(errno, call, place, sentence || undefined);
}

/** The process that was started, as its predecessor sees it. */
class Successor {
  readonly pid: number;
  readonly #orders: number;
  readonly #lines: AsyncIterator<string>;
  readonly #close: () => void;
  #text = '';
  /** Whether the pidfile may name it. */
  #hasPidfile = false;

  constructor(pid: number, words: number, orders: number, errors: number) {
    this.pid = pid;
    this.#orders = orders;
    const { Socket } = process.getBuiltinModule('node:net');
    const said = new Socket({ fd: words, readable: true, writable: false });
    const written = new Socket({ fd: errors, readable: true, writable: false });
    this.#lines = process
      .getBuiltinModule('node:readline')
      .createInterface({ input: said })
      [Symbol.asyncIterator]();
    // An error is for whoever waits for it, and is put where errors go by this process.
    written.on('data', (bytes: Buffer) => {
      this.#text = (this.#text + bytes.toString('utf8')).slice(-LONGEST_TEXT);
      process.stderr.write(bytes);
    });
    this.#close = () => {
      said.destroy();
      written.destroy();
      close(this.#orders);
    };
  }

  /** @throws what it has said, or how it has ended */
  async takesOver({ pidfile, manager }: Estate): Promise<void> {
    const { unused, samePidfile } = await this.#hear('ready');
    if (samePidfile) {
      this.#hasPidfile = true;
      pidfile?.release();
    }
    this.#order('take');
    await this.#hear('taken');
    manager?.succeededBy(this.pid);
    this.#order('go');
    const { value } = await this.#lines.next();
    if (value !== '0') {
      manager?.takeBack();
      throw new Error(this.#text.trim() || 'it ended while it took over');
    }
    for (const listener of openListeners()) {
      if (unused.includes(listener.name)) listener.close();
      else listener.leave();
    }
    this.#close();
    if (samePidfile) pidfile?.close();
  }

  async #hear<W extends SuccessorWord['word']>(
    word: W,
  ): Promise<Extract<SuccessorWord, { word: W }>> {
    const { value, done } = await this.#lines.next();
    if (done) throw new Error(this.#text.trim() || 'it ended before it was ready');
    if (value.startsWith('{')) {
      const said = JSON.parse(value) as SuccessorWord;
      if (said.word === word) return said as Extract<SuccessorWord, { word: W }>;
      throw new Error(`another release of doublefork is at the other end: it said ${value}`);
    }
    // A code, and the reason behind it.
    const reason: string[] = [];
    for (let next = await this.#lines.next(); !next.done; next = await this.#lines.next()) {
      reason.push(next.value);
    }
    throw new Error(reason.join('\n') || `it ended with code ${value} before it was ready`);
  }

  #order(order: string): void {
    try {
      writeSync(this.#orders, `${order}\n`);
    } catch (error) {
      // It has ended, and that is seen by what it says no more.
      if ((error as NodeJS.ErrnoException).code !== 'EPIPE') throw error;
    }
  }

  /** Ends it with all that it has started; this process has what it had. */
  end(pidfile: Pidfile | undefined): void {
    this.#close();
    // It leads a group; what it has supervised ends with it.
    for (const target of [-this.pid, this.pid]) killIfThere(target);
    waitUntil(() => !isAlive(this.pid), PATIENCE, 2);
    if (this.#hasPidfile) pidfile?.write();
  }
}

function killIfThere(pid: number): void {
  try {
    kill(pid, 'SIGKILL');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

/** Why a daemon cannot have a successor of its own; undefined: it can. */
export function whyNoSuccessor(
  detached: boolean,
  isWorker: boolean,
  manager: ServiceManager | undefined,
): Error | undefined {
  const refuse = (why: string) => posixError(-constants.errno.ENOTSUP, 'handover', undefined, why);
  if (isWorker)
    return refuse('handover() is for a daemon without supervise(): use worker.reload()');
  if (detached || manager?.canBeToldMainPid) return undefined;
  const why =
    'whoever has started this process waits for it, and would take its end for the end of the service';
  return refuse(`handover() changes the pid, but ${why}. To keep the pid use supervise()`);
}
