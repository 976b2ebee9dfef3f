// The pipe from a supervisor to a worker, on which it tells what it looks after for all of them: see
// published.ts. There is one only where there is something to tell.

import { closeSync, readSync, writeSync } from '../builtin/fs.js';
import { receivedCalls } from '../image/handoff.js';
import { isReplaying } from '../image/replay.js';
import { setNonBlocking } from '../posix/descriptor.js';
import { shared } from '../posix/shared.js';

/** What is told: of which value, and what it is now. */
export interface Update {
  name: string;
  text: string;
}

/** Stands behind what an image of the exec engine begins with. */
const BEGIN = { name: '', text: '' } as const satisfies Update;

/** The supervisor's end. It never waits; of each value only the last counts that did not fit. */
export class UpdateWriter implements Disposable {
  readonly fd: number;
  /** What is left of a line of which a part is sent. */
  #rest: Buffer = Buffer.alloc(0);
  readonly #waiting = new Map<string, Update>();
  #closed = false;

  constructor(fd: number) {
    this.fd = fd;
    setNonBlocking(fd, true);
  }

  get waits(): boolean {
    return !this.#closed && (this.#rest.length > 0 || this.#waiting.size > 0);
  }

  /** For an image that has to run the program up to supervise(): what is in force there. */
  begin(updates: Iterable<Update>): void {
    for (const update of updates) this.#waiting.set(update.name, update);
    this.send(BEGIN);
  }

  /** Sends it now, or when there is room. */
  send(update: Update): void {
    this.#waiting.set(update.name, update);
    this.flush();
  }

  flush(): void {
    try {
      while (this.waits) {
        if (this.#rest.length === 0) this.#rest = this.#takeNext();
        this.#rest = this.#rest.subarray(writeSync(this.fd, this.#rest));
      }
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === 'EAGAIN') return;
      if (code !== 'EPIPE') throw error;
      // It has ended, or listens to nobody: its end is seen elsewhere.
      this.#rest = Buffer.alloc(0);
      this.#waiting.clear();
    }
  }

  #takeNext(): Buffer {
    const [[name, update]] = this.#waiting as unknown as [[string, Update]];
    this.#waiting.delete(name);
    return Buffer.from(`${JSON.stringify(update)}\n`);
  }

  /** In a copy of the supervisor, too, which leaves all to that. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    closeSync(this.fd);
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

/** What such an image has read: what is in force, and what came behind that. */
const begun = shared('updates', () => ({
  values: undefined as Map<string, string> | undefined,
  rest: '',
}));

/**
 * In an image of the exec engine that is on its way to supervise(), as a worker: what its supervisor has in
 * force. Waits for that to be told, which has happened or is about to.
 * @returns undefined: this is no such image, or nothing is told of that
 */
export function valueInForce(name: string): string | undefined {
  const { calls, handoff } = receivedCalls();
  const isWorkerToBe = isReplaying() && calls.at(-1)?.call === 'supervise';
  if (!isWorkerToBe || handoff?.orders == null) return undefined;
  begun.values ??= readBeginning(handoff.orders);
  return begun.values.get(name);
}

function readBeginning(fd: number): Map<string, string> {
  const values = new Map<string, string>();
  const decoder = new TextDecoder();
  const buffer = Buffer.alloc(65_536);
  // At its end nobody is left who would tell.
  for (let size = readSync(fd, buffer); size > 0; size = readSync(fd, buffer)) {
    const lines = (begun.rest + decoder.decode(buffer.subarray(0, size), { stream: true })).split(
      '\n',
    );
    begun.rest = lines.pop()!;
    for (const [index, line] of lines.entries()) {
      const { name, text } = JSON.parse(line) as Update;
      if (name !== BEGIN.name) values.set(name, text);
      else {
        begun.rest = [...lines.slice(index + 1), begun.rest].join('\n');
        return values;
      }
    }
  }
  return values;
}

/** In a worker: calls back with each update, for as long as the process lives. */
export function followUpdates(fd: number, onUpdate: (update: Update) => void): Disposable {
  const { Socket } = process.getBuiltinModule('node:net');
  const socket = new Socket({ fd, readable: true, writable: false });
  let { rest } = begun;
  begun.rest = '';
  socket.setEncoding('utf8').on('data', (text: string) => {
    const lines = (rest + text).split('\n');
    rest = lines.pop()!;
    for (const line of lines) {
      const update = JSON.parse(line) as Update;
      if (update.name !== BEGIN.name) onUpdate(update);
    }
  });
  // The end of the supervisor is the worker's, too.
  socket.on('error', () => {});
  socket.unref();
  return { [Symbol.dispose]: () => void socket.destroy() };
}
