// An image of the program beside this one: a process that runs it from its start, or a copy of this one,
// with a supervisor and workers of its own. Seen by the supervisor that has started it, and keeps the
// service's pid.

import { readSync, writeSync } from '../builtin/fs.js';
import { startNextImage } from '../detach/next-image.js';
import { thisProcess } from '../detach/this-process.js';
import type { DataAddress, HandedOverData } from '../image/handoff.js';
import type { Image } from '../image/image.js';
import { callsUpTo } from '../image/replay.js';
import { blockSignals } from '../posix/block-signals.js';
import { close, POLLIN, type PollRequest, pipe, setNonBlocking } from '../posix/descriptor.js';
import { errorText } from '../posix/errors.js';
import { forkProcess } from '../posix/fork.js';
import { _exit, setpgid } from '../posix/process.js';
import { ImageChannel, type Order, type Word } from './image-channel.js';
import { spawn } from './spawner.js';
import { endWith, giveGroup } from './starter.js';

/** So much of what it writes to stderr on its way is kept, for whoever has asked for it. */
const LONGEST_TEXT = 16_384;

const buffer = Buffer.alloc(65_536);

/** An image that is a copy of its keeper, as it has itself: the ends of its channel. */
export interface CopiedImage {
  kind: 'copy';
  orders: number;
  words: number;
  /** To be called once it has handlers of its own. */
  unblockSignals(): void;
}

export class ImageProcess implements Disposable {
  readonly pid: number;
  readonly #channel: ImageChannel<Word, Order>;
  /** What it writes to stderr until it has come to supervise(); undefined: all is read. */
  #errors: number | undefined;
  #text = '';

  private constructor(pid: number, channel: ImageChannel<Word, Order>, errors: number | undefined) {
    this.pid = pid;
    this.#channel = channel;
    this.#errors = errors;
  }

  /**
   * Starts one, which inherits the listeners.
   * @param awaited what `ready` of its supervise() defaults to: see Superior
   * @param left what the image before leaves to it, and where it is to leave that itself
   * @throws ENOENT, EACCES: no such program, interpreter or directory any more; EAGAIN, ENOMEM, EMFILE
   */
  static start(
    image: Image,
    awaited: boolean,
    left: { data: readonly HandedOverData[]; dataAddress: DataAddress },
  ): ImageProcess {
    // What it prints before supervise() was printed by its first predecessor; an error is for
    // whoever waits for it, and is put where errors go by this process.
    const calls = callsUpTo({ call: 'supervise image', awaited });
    const { pid, words, orders, errors } = startNextImage(
      image,
      { calls, logger: thisProcess.capture, ...left },
      (request, its) => {
        const { pid, error } = spawn(request, its, -1);
        if (error !== undefined) writeSync(2, `${error.message}\n`);
        return pid;
      },
    );
    setNonBlocking(errors, true);
    return new ImageProcess(pid, new ImageChannel(words, orders), errors);
  }

  /**
   * Makes one as a copy of this process. Returns in the copy, too.
   * @param leaveKeeper in the copy, undoes what makes a keeper
   * @throws the error of fork(2) and of pipe(2), with nothing started
   */
  static copy(leaveKeeper: () => void): ImageProcess | CopiedImage {
    const keeper = process.pid;
    const opened: number[] = [];
    // Until the copy has its own handlers, no signal may reach ours in it.
    const unblockSignals = blockSignals();
    let pid: number;
    try {
      opened.push(...pipe());
      opened.push(...pipe());
      pid = forkProcess({ parent: 'main-thread', recordLocks: 'lose' });
    } catch (error) {
      for (const fd of opened) close(fd);
      unblockSignals();
      throw error;
    }
    const [ourWords, words, orders, ourOrders] = opened as [number, number, number, number];
    if (pid !== 0) {
      for (const fd of [words, orders]) close(fd);
      giveGroup(pid);
      unblockSignals();
      return new ImageProcess(pid, new ImageChannel(ourWords, ourOrders), undefined);
    }
    try {
      setpgid(0, 0);
      endWith(keeper);
      leaveKeeper();
      for (const fd of [ourWords, ourOrders]) close(fd);
    } catch (error) {
      writeSync(2, `${errorText(error)}\n`);
      _exit(127);
    }
    return { kind: 'copy', orders, words, unblockSignals };
  }

  pollRequests(): PollRequest[] {
    const requests = this.#channel.pollRequests();
    if (this.#errors !== undefined) requests.push({ fd: this.#errors, events: POLLIN });
    return requests;
  }

  serve(ready: ReadonlyMap<number, number>): Word[] {
    if (this.#errors !== undefined && ready.has(this.#errors)) this.#readErrors();
    return this.#channel.serve(ready);
  }

  /** All that it has said; what comes after its end is here by then. */
  lastWords(): Word[] {
    this.#readErrors();
    return this.#channel.read();
  }

  /** What it has written to stderr on its way. */
  get text(): string {
    return this.#text.trim();
  }

  #readErrors(): void {
    try {
      while (this.#errors !== undefined) {
        const size = readSync(this.#errors, buffer);
        if (size === 0) {
          close(this.#errors);
          this.#errors = undefined;
          return;
        }
        this.#text = (this.#text + buffer.toString('utf8', 0, size)).slice(-LONGEST_TEXT);
        writeSync(2, buffer, 0, size);
      }
    } catch (error) {
      // Nothing more now; or nobody reads what this process prints.
      const { code } = error as NodeJS.ErrnoException;
      if (code !== 'EAGAIN' && code !== 'EPIPE') throw error;
    }
  }

  send(order: Order): void {
    this.#channel.send(order);
  }

  [Symbol.dispose](): void {
    this.#channel[Symbol.dispose]();
    if (this.#errors !== undefined) close(this.#errors);
    this.#errors = undefined;
  }
}
