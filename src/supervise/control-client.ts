/**
 * `doublefork/control`: asks a supervisor how its workers are, and has it do something, over its
 * control socket.
 * @module
 */

import { connect, type Socket } from 'node:net';
import { createInterface } from 'node:readline';
import { bindMethods } from '../posix/bind.js';
import type { Request } from './control.js';
import type { ChangePhase } from './images.js';
import type { SupervisorStatus } from './status.js';

export type { ChangePhase } from './images.js';
export type { SupervisorStatus, WorkerStatus } from './status.js';

/** The answer to a request. */
type Answer = { ok: true } | { ok: false; error: string };

/** Answered when all is done. */
const TAKES_TIME: ReadonlySet<Request['command']> = new Set([
  'reload',
  'rollback',
  'recycle',
  'reconfigure',
]);

/** A connection to a supervisor. */
export class ControlClient implements AsyncDisposable {
  readonly #socket: Socket;
  readonly #lines: AsyncIterator<string>;
  readonly #timeout: number;
  #timedOut = false;
  /** Settles once the supervisor has ended, or has closed the connection. */
  readonly closed: Promise<void>;

  private constructor(socket: Socket, timeout: number) {
    this.#socket = socket;
    this.#timeout = timeout;
    const lines = createInterface({ input: socket });
    this.#lines = lines[Symbol.asyncIterator]();
    this.closed = new Promise((resolve) => {
      socket.once('close', () => {
        // It only knows of an end that came from the other side.
        lines.close();
        resolve();
      });
    });
    // The end of the connection tells as much.
    socket.on('error', () => {});
    bindMethods(this);
  }

  /**
   * @param path of the socket: the option `control` of supervise()
   * @param timeout how long an answer may take, in ms; 0 (default): any time. One to reload(),
   * rollback() and recycle(), which comes when all is done, always may. What is too late ends the connection.
   * @throws ENOENT, ECONNREFUSED if no supervisor listens there; EACCES if it is another user's
   */
  static connect(path: string, timeout = 0): Promise<ControlClient> {
    return new Promise((resolve, reject) => {
      const socket = connect(path);
      socket.once('error', reject);
      socket.once('connect', () => {
        socket.off('error', reject);
        resolve(new ControlClient(socket, timeout));
      });
    });
  }

  /** How it and its workers are. */
  async status(): Promise<SupervisorStatus> {
    const { ok, ...status } = await this.#ask({ command: 'status' });
    return status as unknown as SupervisorStatus;
  }

  /** Ends the workers, then the supervisor: `closed` tells when. */
  stop(): Promise<void> {
    return this.#order({ command: 'stop' });
  }

  /** The same with SIGKILL. */
  kill(): Promise<void> {
    return this.#order({ command: 'kill' });
  }

  /**
   * Ends all workers and starts them again.
   * @param worker the number of one, which alone is
   * @param error why: it is told in the log, and the worker counts as having failed
   */
  restart(worker?: number, error?: string): Promise<void> {
    return this.#order({
      command: 'restart',
      ...(worker === undefined ? {} : { worker }),
      ...(error === undefined ? {} : { error }),
    });
  }

  /**
   * Ends the workers, then the supervisor with the code of its option `onGiveUp`, and raises an alarm.
   * @param error why
   */
  giveUp(error: string): Promise<void> {
    return this.#order({ command: 'give-up', error });
  }

  /**
   * Has the program started anew, by the names of before, and serve; settles when it does, and the workers
   * of the version before are gone.
   * @param onPhase is told how far it has come
   * @throws if the new one fails before it serves, with what it has said; nothing has changed then
   */
  reload(onPhase?: (phase: ChangePhase) => void): Promise<void> {
    return this.#order({ command: 'reload', phases: onPhase !== undefined }, onPhase);
  }

  /**
   * Has the version before serve again, which has stayed in memory; settles as {@link reload}.
   * @throws if there is none
   */
  rollback(onPhase?: (phase: ChangePhase) => void): Promise<void> {
    return this.#order({ command: 'rollback', phases: onPhase !== undefined }, onPhase);
  }

  /**
   * Replaces the workers one by one by new ones of the same version; settles when all are.
   * @throws if a replacement fails, with its error; the old workers go on
   */
  recycle(): Promise<void> {
    return this.#order({ command: 'recycle' });
  }

  /**
   * Has what loadConfig() of doublefork/config has read looked at; settles when every worker has what is there.
   * @throws if it is refused, with the place and why, and the one before stays in force; if the program has
   * called no loadConfig(); if a worker does not take it over within 5 s
   */
  reconfigure(): Promise<void> {
    return this.#order({ command: 'reconfigure' });
  }

  /** Has so many workers. */
  scale(workers: number): Promise<void> {
    return this.#order({ command: 'scale', workers });
  }

  /**
   * The decisions so far, and with `follow` those to come, as lines of JSON. Ends the connection: use
   * another one for requests.
   */
  async *log(follow = false): AsyncGenerator<string> {
    this.#send({ command: 'log', follow });
    for (let next = await this.#lines.next(); !next.done; next = await this.#lines.next()) {
      yield next.value;
    }
  }

  async #order(request: Request, onPhase?: (phase: ChangePhase) => void): Promise<void> {
    await this.#ask(request, onPhase);
  }

  async #ask(request: Request, onPhase?: (phase: ChangePhase) => void): Promise<Answer> {
    this.#send(request);
    const deadline = this.#deadlineOf(request);
    let { value, done } = await this.#lines.next();
    while (!done && onPhase !== undefined) {
      const phase = phaseOf(value);
      if (phase === undefined) break;
      onPhase(phase);
      ({ value, done } = await this.#lines.next());
    }
    clearTimeout(deadline);
    if (this.#timedOut) {
      throw new Error(
        `the supervisor has not answered within ${this.#timeout / 1000} s; it may be stopped`,
      );
    }
    if (done) {
      throw new Error(
        `the supervisor ended, or refused this user, before it answered "${request.command}"`,
      );
    }
    const answer = parse(value, request);
    if (!answer.ok) throw new Error(answer.error);
    return answer;
  }

  #deadlineOf({ command }: Request): NodeJS.Timeout | undefined {
    if (this.#timeout === 0 || TAKES_TIME.has(command)) return undefined;
    return setTimeout(() => {
      this.#timedOut = true;
      this.close();
    }, this.#timeout);
  }

  #send(request: Request): void {
    this.#socket.write(`${JSON.stringify(request)}\n`);
  }

  close(): void {
    this.#socket.destroy();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.close();
    await this.closed;
  }
}

/** @returns undefined: it is the answer */
function phaseOf(line: string): ChangePhase | undefined {
  try {
    const said = JSON.parse(line) as ChangePhase | null;
    return typeof said?.phase === 'string' ? said : undefined;
  } catch {
    return undefined;
  }
}

/** @throws if it is not what a supervisor says: somebody else listens there */
function parse(line: string, { command }: Request): Answer {
  try {
    const answer = JSON.parse(line) as { ok?: unknown; workers?: unknown } | null;
    const complete = command !== 'status' || Array.isArray(answer?.workers);
    if (answer?.ok === false || (answer?.ok === true && complete)) return answer as Answer;
  } catch {
    // Told below.
  }
  throw new Error(`no supervisor, but something else answers: ${line.slice(0, 80)}`);
}
