// The pipe from a worker to its supervisor: a letter and what belongs to it, in a line.

import { closeSync, readSync, writeSync } from '../builtin/fs.js';
import { pipe, setNonBlocking } from '../posix/descriptor.js';

/** What a worker says. */
export type Message =
  /** An image of the exec engine has reached supervise(). */
  | { type: 'arrived' }
  | { type: 'ready' }
  | { type: 'ping' }
  /** It asks for the next version of the program. */
  | { type: 'reload' }
  | { type: 'status'; text: string }
  /** JSON, as doublefork/health makes and reads it. */
  | { type: 'health'; text: string }
  /** By how many ms its event loop is late. */
  | { type: 'delay'; text: string }
  /** JSON: the generations that it has of what is published, by name. */
  | { type: 'taken'; text: string }
  | { type: 'error'; text: string };

const letters = {
  A: 'arrived',
  R: 'ready',
  P: 'ping',
  L: 'reload',
  S: 'status',
  H: 'health',
  D: 'delay',
  C: 'taken',
  E: 'error',
} as const;

const HAS_TEXT: ReadonlySet<Message['type']> = new Set([
  'status',
  'error',
  'health',
  'delay',
  'taken',
]);

/** Longest text that a worker may send; what is above is cut. */
const LONGEST_TEXT = 16_384;

/** One for all: a supervisor that lives for years must not make garbage with each message it reads. */
const buffer = Buffer.alloc(65_536);

/** Where messages of one process come from. */
export interface MessageSource extends Disposable {
  readonly fd: number;
  /** Whether nobody is left who could say anything. */
  readonly ended: boolean;
  /** What came since the last time. */
  read(): Message[];
  /** In a copy of the supervisor, which leaves all to that. */
  close(): void;
}

/** The two ends. Neither waits for the other: a supervisor or a worker that hangs does not spread. */
export function openWorkerPipe(): { reader: WorkerPipeReader; writer: WorkerPipeWriter } {
  const [read, write] = pipe();
  setNonBlocking(read, true);
  setNonBlocking(write, true);
  return { reader: new WorkerPipeReader(read), writer: new WorkerPipeWriter(write) };
}

/** The supervisor's end. */
export class WorkerPipeReader implements MessageSource {
  readonly fd: number;
  #rest = '';
  /** Whether the other end was closed, by the worker and all of its copies. */
  ended = false;

  constructor(fd: number) {
    this.fd = fd;
  }

  /** What came since the last time. */
  read(): Message[] {
    try {
      const size = readSync(this.fd, buffer);
      if (size === 0) this.ended = true;
      this.#rest += buffer.toString('utf8', 0, size);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') throw error;
    }
    const lines = this.#rest.split('\n');
    this.#rest = lines.pop()!;
    // Not a worker's doing, which ends its lines.
    if (this.#rest.length > 2 * LONGEST_TEXT) this.#rest = '';
    return lines.flatMap((line) => parse(line) ?? []);
  }

  close(): void {
    closeSync(this.fd);
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

function parse(line: string): Message | undefined {
  const type = letters[line[0] as keyof typeof letters];
  if (type === undefined) return undefined;
  if (!HAS_TEXT.has(type)) return { type } as Message;
  try {
    return { type, text: String(JSON.parse(line.slice(1))) } as Message;
  } catch {
    // Two that share a worker's end have written over each other.
    return undefined;
  }
}

/** The worker's end. */
export class WorkerPipeWriter implements Disposable {
  #fd: number | undefined;
  /** What did not fit into the pipe. Of each kind only the last counts. */
  readonly #waiting = new Map<Message['type'], string>();

  /** @param fd none for a worker that nobody listens to any more */
  constructor(fd?: number) {
    this.#fd = fd;
  }

  get fd(): number | undefined {
    return this.#fd;
  }

  arrived(): void {
    this.#send('arrived', 'A\n');
  }

  ready(): void {
    this.#send('ready', 'R\n');
  }

  /** Also tries again to send what did not fit. */
  ping(): void {
    this.#send('ping', 'P\n');
  }

  reload(): void {
    this.#send('reload', 'L\n');
  }

  status(text: string): void {
    this.#send('status', `S${JSON.stringify(text.slice(0, LONGEST_TEXT))}\n`);
  }

  health(text: string): void {
    this.#send('health', `H${JSON.stringify(text.slice(0, LONGEST_TEXT))}\n`);
  }

  delay(ms: number): void {
    this.#send('delay', `D${Math.round(ms)}\n`);
  }

  taken(text: string): void {
    this.#send('taken', `C${JSON.stringify(text)}\n`);
  }

  error(text: string): void {
    this.#send('error', `E${JSON.stringify(text.slice(0, LONGEST_TEXT))}\n`);
  }

  #send(type: Message['type'], line: string): void {
    this.#waiting.set(type, line);
    if (this.#fd === undefined) return;
    try {
      for (const [waiting, text] of this.#waiting) {
        writeSync(this.#fd, text);
        this.#waiting.delete(waiting);
      }
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      // A supervisor that is stopped reads later. One that was killed takes its workers with it.
      if (code !== 'EAGAIN' && code !== 'EPIPE') throw error;
    }
  }

  close(): void {
    if (this.#fd !== undefined) closeSync(this.#fd);
    this.#fd = undefined;
  }

  [Symbol.dispose](): void {
    this.close();
  }
}
