// What is said between the supervisor that keeps a service's pid and an image that it has started: lines
// of JSON, on a pipe for each direction. The other end may be another release of this package: what is
// not understood is ignored.

import { closeSync, readSync, writeSync } from '../builtin/fs.js';
import { POLLIN, POLLOUT, type PollRequest, setNonBlocking } from '../posix/descriptor.js';

/** What an image is told. */
export type Order =
  /** Its workers are to end, it stays. */
  | { order: 'park' }
  /** It is to serve again. */
  | { order: 'resume' }
  /** A line that came on the control socket, to be answered under this number. */
  | { order: 'request'; id: number; line: string };

/** What an image says. */
export type Word =
  /** The program has come to supervise(). */
  | { word: 'arrived' }
  /** All its workers serve. `unused`: listeners that it was given and has not asked for. */
  | { word: 'ready'; unused: readonly string[] }
  /** Its last worker is gone after `park`. */
  | { word: 'parked' }
  /** Why it is about to end. */
  | { word: 'failed'; text: string }
  | { word: 'answer'; id: number; line: string }
  /** A line of its log. */
  | { word: 'log'; line: string }
  /** Somebody in it asks for the next version. */
  | { word: 'reload' };

/** Each of them, for the documentation and for tests that walk them all. */
export const ORDERS: Readonly<Record<Order['order'], string>> = {
  park: 'its workers are to end, it stays',
  resume: 'it is to serve again',
  request: 'asked on the control socket',
};

export const WORDS: Readonly<Record<Word['word'], string>> = {
  arrived: 'the program has come to supervise()',
  ready: 'all workers serve; listeners that it was given and has not asked for',
  parked: 'its last worker is gone',
  failed: 'why it is about to end',
  answer: 'to a request',
  log: 'of its log',
  reload: 'somebody in it asks for the next version',
};

/** What waits for a reader that does not read, in bytes; beyond that lines of the log are left out. */
const MOST_WAITING = 1 << 20;

const buffer = Buffer.alloc(65_536);

/** One end: `In` comes, `Out` goes. */
export class ImageChannel<In, Out extends object> implements Disposable {
  readonly #input: number;
  readonly #output: number;
  #text = '';
  #waiting = Buffer.alloc(0);
  /** Whether the other end is closed. */
  ended = false;
  #closed = false;

  /** @param input a pipe to read from @param output one to write to; both are closed with this */
  constructor(input: number, output: number) {
    this.#input = input;
    this.#output = output;
    for (const fd of [input, output]) setNonBlocking(fd, true);
  }

  pollRequests(): PollRequest[] {
    const requests: PollRequest[] = [];
    if (!this.ended) requests.push({ fd: this.#input, events: POLLIN });
    if (this.#waiting.length > 0) requests.push({ fd: this.#output, events: POLLOUT });
    return requests;
  }

  /** What came, of what is ready; sends what waits. */
  serve(ready: ReadonlyMap<number, number>): In[] {
    if (ready.has(this.#output)) this.#flush();
    return ready.has(this.#input) ? this.read() : [];
  }

  /** All that has come. */
  read(): In[] {
    const found: In[] = [];
    while (!this.ended && !this.#closed && this.#fill()) {
      const lines = this.#text.split('\n');
      this.#text = lines.pop()!;
      for (const line of lines) found.push(...parse<In>(line));
    }
    return found;
  }

  #fill(): boolean {
    try {
      const size = readSync(this.#input, buffer);
      if (size === 0) this.ended = true;
      this.#text += buffer.toString('utf8', 0, size);
      return size > 0;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') throw error;
      return false;
    }
  }

  /** Sends it now, or when there is room. */
  send(message: Out): void {
    if (this.#closed) return;
    if (this.#waiting.length > MOST_WAITING && (message as { word?: string }).word === 'log')
      return;
    const line = Buffer.from(`${JSON.stringify({ v: 1, ...message })}\n`);
    this.#waiting = Buffer.concat([this.#waiting, line]);
    this.#flush();
  }

  #flush(): void {
    try {
      while (this.#waiting.length > 0) {
        this.#waiting = this.#waiting.subarray(writeSync(this.#output, this.#waiting));
      }
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === 'EAGAIN') return;
      // It has ended, and that is seen elsewhere.
      if (code !== 'EPIPE') throw error;
      this.#waiting = Buffer.alloc(0);
    }
  }

  [Symbol.dispose](): void {
    if (this.#closed) return;
    this.#closed = true;
    closeSync(this.#input);
    closeSync(this.#output);
  }
}

/** @returns none if it is not of this protocol */
function parse<T>(line: string): T[] {
  try {
    const message: unknown = JSON.parse(line);
    return typeof message === 'object' && message !== null ? [message as T] : [];
  } catch {
    return [];
  }
}
