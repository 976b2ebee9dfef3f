// The supervisor's decisions, told: a line of JSON each, with pino's field names.

import { closeSync, constants, writeSync } from '../builtin/fs.js';
import { hostname } from '../builtin/os.js';
import { O_CLOEXEC, open, POLLOUT, poll } from '../posix/descriptor.js';
import type { SupervisorSettings } from './options.js';
import type { Decision } from './policy/state.js';
import { type Level, levelOf, sentence } from './sentences.js';

/** pino's levels. */
const LEVELS: Readonly<Record<Level, number>> = { info: 30, warn: 40, error: 50 };

/** What can be written to a pipe in one piece, and without waiting if poll(2) says so. */
const LONGEST_LINE = 4096;

/** How many of the last lines are kept for those who ask. */
const KEPT = 200;

export class Journal implements Disposable {
  readonly #log: SupervisorSettings['log'];
  #fd: number | undefined;
  readonly #recent: string[] = [];
  #lost = 0;
  readonly #host = hostname();

  /** @throws the error of open(2) for a file */
  constructor(log: SupervisorSettings['log']) {
    this.#log = log;
    // Captured: that is where fd 2 leads.
    const isStderr = log.kind === 'stderr' || log.kind === 'captured';
    this.#fd = isStderr ? 2 : log.kind === 'file' ? openLog(log.path) : undefined;
  }

  /** The last lines, oldest first. */
  get recent(): readonly string[] {
    return this.#recent;
  }

  /** Writes a decision down, if that is possible without waiting. @returns its line */
  tell(decision: Decision): string {
    const line = this.#line(levelOf(decision), sentence(decision), fieldsOf(decision));
    this.keep(line);
    if (this.#fd === undefined) return line;
    if (!isWritable(this.#fd)) {
      this.#lost++;
      return line;
    }
    if (this.#lost > 0) {
      this.#write(this.#line('warn', `${this.#lost} lines were lost: nobody read them`, {}));
      this.#lost = 0;
    }
    this.#write(line);
    return line;
  }

  /** Keeps a line that somebody else has written down. */
  keep(line: string): void {
    this.#recent.push(line);
    if (this.#recent.length > KEPT) this.#recent.shift();
  }

  #line(level: Level, msg: string, fields: object): string {
    const { pid } = process;
    const head = { level: LEVELS[level], time: Date.now(), pid, hostname: this.#host };
    return JSON.stringify({ ...head, name: 'doublefork', ...fields, msg });
  }

  #write(line: string): void {
    try {
      writeSync(this.#fd!, `${line.slice(0, LONGEST_LINE - 1)}\n`);
    } catch {
      // The disk is full, the reader gone. The workers go on all the same; the line is in `recent`.
      this.#lost++;
    }
  }

  /** Opens the file again under its path, after it was moved away. */
  reopen(): void {
    if (this.#log.kind !== 'file') return;
    const fresh = openLog(this.#log.path);
    if (this.#fd !== undefined) closeSync(this.#fd);
    this.#fd = fresh;
  }

  /** In a worker, which has a copy. */
  [Symbol.dispose](): void {
    if (this.#log.kind === 'file' && this.#fd !== undefined) closeSync(this.#fd);
    this.#fd = undefined;
  }
}

function openLog(path: string): number {
  const { O_WRONLY, O_APPEND, O_CREAT, O_NOCTTY } = constants;
  return open(path, O_WRONLY | O_APPEND | O_CREAT | O_NOCTTY | O_CLOEXEC, 0o640);
}

function isWritable(fd: number): boolean {
  try {
    return poll([{ fd, events: POLLOUT }], 0)[0] === POLLOUT;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EINTR') throw error;
    return false;
  }
}

/** `pid` is the supervisor's, as in every line of pino's. */
function fieldsOf(decision: Decision): object {
  if (!('pid' in decision)) return decision;
  const { pid, ...rest } = decision;
  return { ...rest, workerPid: pid };
}
