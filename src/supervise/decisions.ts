// The supervisor's decisions, told: a line of JSON each, with pino's field names.

import { closeSync, constants, writeSync } from '../builtin/fs.js';
import { hostname } from '../builtin/os.js';
import { O_CLOEXEC, open, POLLOUT, poll } from '../posix/descriptor.js';
import type { Plan } from './options.js';
import type { Decision, Exit, Outcome } from './policy/state.js';

/** pino's levels. */
const LEVELS = { info: 30, warn: 40, error: 50 } as const;

/** What can be written to a pipe in one piece, and without waiting if poll(2) says so. */
const LONGEST_LINE = 4096;

/** How many of the last lines are kept for those who ask. */
const KEPT = 200;

export class Journal implements Disposable {
  readonly #log: Plan['log'];
  #fd: number | undefined;
  readonly #recent: string[] = [];
  #lost = 0;
  readonly #host = hostname();

  /** @throws the error of open(2) for a file */
  constructor(log: Plan['log']) {
    this.#log = log;
    this.#fd = log.kind === 'stderr' ? 2 : log.kind === 'file' ? openLog(log.path) : undefined;
  }

  /** The last lines, oldest first. */
  get recent(): readonly string[] {
    return this.#recent;
  }

  /** Writes a decision down, if that is possible without waiting. @returns its line */
  tell(decision: Decision): string {
    const line = this.#line(levelOf(decision), sentence(decision), fieldsOf(decision));
    this.#recent.push(line);
    if (this.#recent.length > KEPT) this.#recent.shift();
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

  #line(level: keyof typeof LEVELS, msg: string, fields: object): string {
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

function levelOf(decision: Decision): keyof typeof LEVELS {
  switch (decision.event) {
    case 'give-up':
    case 'failed':
      return 'error';
    case 'exit':
      return decision.cause === 'itself' && decision.exitCode !== 0 ? 'warn' : 'info';
    case 'end':
      return decision.cause === 'watchdog' || decision.cause === 'not ready' ? 'warn' : 'info';
    case 'backoff':
    case 'refused':
    case 'kill':
    case 'replacement-failed':
    case 'no-control':
    case 'no-cgroup':
      return 'warn';
    default:
      return 'info';
  }
}

/** How a process ended, and why: `exited with code 3: Error: no database`. */
export function describeExit(exit: Exit): string {
  const { cause, error } = exit;
  const told = cause === 'itself' ? '' : ` (${cause})`;
  // Of an error with its stack, what it is.
  const why = error === undefined ? '' : `: ${error.split('\n', 1)[0]}`;
  return `${describeOutcome(exit)}${told}${why}`;
}

function describeOutcome({ exitCode, signal, coreDumped, outOfMemory }: Outcome): string {
  if (outOfMemory) return 'out of memory';
  if (signal === null) return `exited with code ${exitCode}`;
  return `killed by ${signal}${coreDumped ? ', core dumped' : ''}`;
}

function sentence(decision: Decision): string {
  switch (decision.event) {
    case 'start':
      return `worker ${decision.worker} started with pid ${decision.pid}`;
    case 'ready':
      return `worker ${decision.worker} is ready after ${decision.after} ms`;
    case 'exit':
      return `worker ${decision.worker} ended after ${decision.uptime} ms: ${describeExit(decision)}`;
    case 'backoff':
      return `worker ${decision.worker} failed ${decision.failures} times; starting again in ${decision.delay} ms`;
    case 'refused':
      return `worker ${decision.worker} cannot be started (${decision.code}); trying again`;
    case 'done':
      return `worker ${decision.worker} is not started again`;
    case 'end':
      return `worker ${decision.worker} gets ${decision.signal}: ${decision.cause}`;
    case 'kill':
      return `worker ${decision.worker} did not end in time and is killed`;
    case 'replace':
      return `worker ${decision.worker} is being replaced: ${decision.reason}`;
    case 'replacement-failed':
      return `worker ${decision.worker} stays: its replacement failed (${decision.reason})`;
    case 'serving':
      return `all ${decision.workers} workers are ready`;
    case 'reloaded':
      return 'all workers were replaced';
    case 'scale':
      return `from ${decision.from} to ${decision.to} workers`;
    case 'no-control':
      return `nobody can ask how the workers are: ${decision.error}`;
    case 'no-cgroup':
      return `workers get no control groups of their own: ${decision.error}`;
    case 'give-up':
      return `worker ${decision.worker} failed ${decision.failures} times: giving up with code ${decision.code}`;
    case 'stop':
      return `stopping: ${decision.by}`;
    case 'stopped':
      return `ended with code ${decision.code}`;
    case 'failed':
      return 'the supervisor failed: please report this';
  }
}
