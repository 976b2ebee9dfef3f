// What a worker prints, where a logger writes it: a pipe of its own, so that its lines can be told apart.

import { constants } from '../builtin/fs.js';
import type { Capture } from '../logs/capture.js';
import { openJournalStream } from '../logs/journal-stream.js';
import { JOURNAL_STREAM } from '../logs/options.js';
import { close, dup, dup2, O_CLOEXEC, open, pipe, setCloseOnExec } from '../posix/descriptor.js';
import { openNull } from '../posix/null.js';
import type { WorkerIdentity } from './worker.js';

export class WorkerOutput {
  readonly #capture: Capture;
  /** The supervisor's own fd 1 and 2. */
  readonly #own: readonly number[];
  #read: number | undefined;

  private constructor(capture: Capture, own: readonly number[], read: number | undefined) {
    this.#capture = capture;
    this.#own = own;
    this.#read = read;
  }

  /**
   * Puts the pipe onto fd 1 and 2 of this process, which whatever it starts now has from it, whichever engine does so.
   * @throws EMFILE, with nothing changed
   */
  static enter(capture: Capture): WorkerOutput {
    const [read, write] = openOutput(capture);
    try {
      const own = [1, 2].map((fd) => {
        const copy = dup(fd);
        setCloseOnExec(copy, true);
        return copy;
      });
      for (const fd of [1, 2]) dup2(write, fd);
      return new WorkerOutput(capture, own, read);
    } catch (error) {
      if (read !== undefined) close(read);
      throw error;
    } finally {
      close(write);
    }
  }

  /** In the supervisor: has its own fd 1 and 2 again. */
  leave(): void {
    for (const [index, copy] of this.#own.entries()) dup2(copy, index + 1);
    this.keep();
  }

  /** In the worker: keeps what it has. */
  keep(): void {
    for (const copy of this.#own) close(copy);
  }

  /** In the supervisor: leaves the reading to the logger. */
  attach({ id, generation }: WorkerIdentity, pid: number): void {
    if (this.#read === undefined) return;
    try {
      this.#capture.attach(this.#read, { pid, worker: id, generation });
    } catch (error) {
      // Both of its processes were killed, a moment ago.
      if ((error as NodeJS.ErrnoException).code !== 'EPIPE') throw error;
    }
    this.#read = undefined;
  }

  /** Nothing was started, or this is the worker. */
  discard(): void {
    if (this.#read !== undefined) close(this.#read);
    this.#read = undefined;
  }
}

/** Without a logger, of which both processes were killed, straight to its file or the journal; not to a syslog. */
function openOutput(capture: Capture): [read: number | undefined, write: number] {
  if (!capture.isGone()) return pipe();
  const { settings } = capture;
  if (settings.to === 'syslog') return [undefined, openNull()];
  if (settings.to !== 'file') return [undefined, openJournalStream(settings, JOURNAL_STREAM)];
  const { O_WRONLY, O_APPEND, O_CREAT, O_NOCTTY } = constants;
  const flags = O_WRONLY | O_APPEND | O_CREAT | O_NOCTTY | O_CLOEXEC;
  return [undefined, open(settings.file, flags, 0o640)];
}
