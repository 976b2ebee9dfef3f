// What the daemon tells its launcher: that it is ready, or an exit code and the reason.
// native/detach/launcher.h has the other end.

import { closeSync, writeSync } from '../builtin/fs.js';
import { errorText } from '../posix/errors.js';
import { trace } from '../posix/trace.js';
import type { Predecessor } from './predecessor.js';

/** What fits is written to a pipe in one piece: pipe(7), and 512 at least on any system. */
const PIPE_BUF = process.platform === 'linux' ? 4096 : 512;

/** The daemon's end of the pipe to the launcher, on which it reports once. */
export class Readiness implements Disposable {
  #fd: number | undefined;
  /** The process whose death is to be told; a copy of it, made by fork(), may end as it likes. */
  #watched: number | undefined;
  #uncaught: unknown;
  readonly #predecessor: Predecessor | undefined;
  #delegate: { ready(): void; explain(reason: unknown): void } | undefined;

  /**
   * @param fd none if the launcher has been told, or somebody else tells it, see {@link delegate}
   * @param predecessor from which to take over before: it waits in place of a launcher
   */
  constructor(fd?: number, predecessor?: Predecessor) {
    this.#fd = fd;
    this.#predecessor = predecessor;
  }

  /** Whether the launcher still waits. */
  get pending(): boolean {
    return this.#fd !== undefined || this.#delegate !== undefined;
  }

  /** Whether this process reports to a supervisor: it is a worker. */
  get isDelegated(): boolean {
    return this.#delegate !== undefined;
  }

  /** Tells the launcher of a death that nobody saw coming: an exception, or an exit before ready. */
  watch(): void {
    this.#watched = process.pid;
    process.on('uncaughtExceptionMonitor', this.#noteException);
    process.on('exit', this.#reportExit);
  }

  readonly #noteException = (error: unknown): void => {
    this.#uncaught = error;
  };

  readonly #reportExit = (): void => {
    if (this.#watched !== process.pid) return;
    // Of an await that never ends the event's own argument does not tell. The kernel takes 8 bits.
    const code = Number(process.exitCode ?? 0) & 0xff;
    const reason =
      this.#uncaught === undefined
        ? `doublefork: the daemon (pid ${process.pid}) exited with code ${code} before it was ready`
        : errorText(this.#uncaught);
    this.failed(reason, code);
  };

  /**
   * In a worker, which does not report to the launcher: closes its end of the pipe, and reports to the
   * supervisor instead. That waits for each worker, whether or not the launcher still does.
   */
  delegate(to: { ready(): void; explain(reason: unknown): void }): void {
    if (this.#fd !== undefined) this.#release();
    this.#predecessor?.release();
    this.#delegate = to;
  }

  /** The launcher prints what it is to say, if anything, and exits with code 0. */
  ready(say = ''): void {
    this.#delegate?.ready();
    const fd = this.#fd;
    if (fd !== undefined) this.#predecessor?.takeOver((line) => this.#write(fd, line));
    this.#say(`0\n${say}`);
  }

  /** The launcher prints the reason and exits with the code, or with 1 if that is 0. */
  failed(reason: unknown, code: number): void {
    this.#delegate?.explain(reason);
    this.#say(`${code === 0 ? 1 : code}\n${errorText(reason)}\n`);
  }

  /**
   * The process is about to become another program: the launcher exits with code 0 once the execve(2)
   * has closed this pipe, unless the program dies at once.
   * @param settle how long it must live, in ms; see {@link ExecOptions}
   * @param say what the launcher prints then
   * @param log a file of which the launcher shows what the program has written, if it dies
   */
  becomes(settle: number, say: string, log: { path: string; offset: number } | undefined): void {
    if (this.#fd === undefined) return;
    const line = `>${settle} ${log?.offset ?? 0} ${Buffer.byteLength(say)} ${say}`;
    const announcement = `${line}${log?.path ?? ''}\n`;
    // A longer one would not be written in one piece. Without its texts the start works all the same.
    this.#write(
      this.#fd,
      Buffer.byteLength(announcement) <= PIPE_BUF ? announcement : `>${settle} 0 0 \n`,
    );
  }

  #say(word: string): void {
    if (this.#fd === undefined) return;
    trace?.('daemon', `tells the launcher: ${JSON.stringify(word)}`);
    try {
      this.#write(this.#fd, word);
    } finally {
      this.#release();
    }
  }

  #write(fd: number, word: string): void {
    try {
      // All of it: io_uring's work interrupts a write(2) that waits for room, after a part.
      for (let rest = Buffer.from(word); rest.length > 0; ) {
        rest = rest.subarray(writeSync(fd, rest));
      }
    } catch (error) {
      // The launcher was killed while it waited. The daemon is none the worse for it.
      if ((error as NodeJS.ErrnoException).code !== 'EPIPE') throw error;
    }
  }

  #release(): void {
    if (this.#watched !== undefined) {
      process.off('uncaughtExceptionMonitor', this.#noteException);
      process.off('exit', this.#reportExit);
    }
    closeSync(this.#fd!);
    this.#fd = undefined;
  }

  [Symbol.dispose](): void {
    this.ready();
  }
}
