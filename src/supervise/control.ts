// The control socket: who may, asks with a line of JSON and is answered with lines of JSON.
// Nothing here waits: a client that does not read is dropped.

import {
  closeSync,
  mkdtempSync,
  readSync,
  rmdirSync,
  unlinkSync,
  writeSync,
} from '../builtin/fs.js';
import { tmpdir } from '../builtin/os.js';
import { join } from '../builtin/path.js';
import { UnixSocket, whoListens } from '../listen/unix.js';
import { isAlive } from '../pidfile/process.js';
import { POLLIN, POLLOUT, type PollRequest, setNonBlocking } from '../posix/descriptor.js';
import { accept, peerCredentials } from '../posix/socket.js';
import { MOST_WORKERS } from './options.js';

/** What can be asked of a supervisor. */
export type Request =
  | { command: 'status' | 'stop' | 'kill' | 'recycle' | 'reconfigure' }
  /** `phases`: a line for each, see ChangePhase, comes before the answer. */
  | { command: 'reload' | 'rollback'; phases?: boolean }
  /** All, or one; `error`: because it fails its checks. */
  | { command: 'restart'; worker?: number; error?: string }
  | { command: 'give-up'; error: string }
  | { command: 'scale'; workers: number }
  | { command: 'log'; follow: boolean };

const MOST_CLIENTS = 32;
/** A request is short; an answer waits in memory for so long only. */
const LONGEST_REQUEST = 4096;
const MOST_WAITING = 1 << 20;

/** Somebody who has asked. */
export interface Requester {
  /** Wants each line of the log as it comes. */
  follows: boolean;
  /** Sends a line, now or when there is room. */
  send(line: string): void;
  /** Nothing more comes. */
  end(): void;
}

/** Where requests come from. */
export interface RequestSource {
  readonly clients: readonly Requester[];
  requests(): PollRequest[];
  /** Does what can be done now. @returns what clients ask for */
  serve(ready: ReadonlyMap<number, number>): Iterable<{ client: Requester; line: string }>;
}

/** Somebody at the other end. */
export class Client implements Requester {
  readonly fd: number;
  #input = '';
  #output = Buffer.alloc(0);
  #closing = false;
  closed = false;
  /** Wants each line of the log as it comes. */
  follows = false;

  constructor(fd: number) {
    this.fd = fd;
  }

  get waits(): boolean {
    return this.#output.length > 0;
  }

  /** The requests that came, as they are. */
  read(): string[] {
    const buffer = Buffer.allocUnsafe(LONGEST_REQUEST);
    const size = this.#try(() => readSync(this.fd, buffer));
    if (size === undefined) return [];
    if (size === 0) {
      // It will not ask again, but may wait for an answer.
      if (!this.follows && !this.waits) this.close();
      return [];
    }
    this.#input += buffer.toString('utf8', 0, size);
    const lines = this.#input.split('\n');
    this.#input = lines.pop()!;
    if (this.#input.length > LONGEST_REQUEST) this.close();
    return lines;
  }

  /** Sends a line, now or when there is room. */
  send(line: string): void {
    if (this.closed) return;
    this.#output = Buffer.concat([this.#output, Buffer.from(`${line}\n`)]);
    if (this.#output.length > MOST_WAITING) this.close();
    else this.flush();
  }

  flush(): void {
    if (this.closed || !this.waits) return;
    const size = this.#try(() => writeSync(this.fd, this.#output));
    if (size !== undefined) this.#output = this.#output.subarray(size);
    if (this.#closing && !this.waits) this.close();
  }

  /** Closes once everything is sent. */
  end(): void {
    this.#closing = true;
    if (!this.waits) this.close();
  }

  close(): void {
    if (this.closed) return;
    this.closed = true;
    closeSync(this.fd);
  }

  #try(call: () => number): number | undefined {
    try {
      return call();
    } catch (error) {
      // Anything else than "not now" means that it has gone.
      if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') this.close();
      return undefined;
    }
  }
}

/** A control socket for the family alone, in a directory that is made for it. */
export function privateSocket(): { path: string; offered: boolean; directory: string } {
  const directory = mkdtempSync(join(tmpdir(), 'doublefork-'));
  return { path: join(directory, 'control'), offered: false, directory };
}

export class ControlSocket implements RequestSource, Disposable {
  readonly #socket: UnixSocket;
  readonly #directory: string | undefined;
  #clients: Client[] = [];

  /**
   * @param directory is removed with it
   * @throws EADDRINUSE if another supervisor listens there; EACCES, ENOENT
   */
  constructor(path: string, directory?: string) {
    this.#directory = directory;
    removeOrphan(path);
    this.#socket = new UnixSocket(path, 0o600, 16);
    setNonBlocking(this.#socket.fd, true);
  }

  /** Every client that is there. */
  get clients(): readonly Client[] {
    return this.#clients;
  }

  requests(): PollRequest[] {
    const clients = this.#clients.map((client) => ({
      fd: client.fd,
      events: client.waits ? POLLIN | POLLOUT : POLLIN,
    }));
    return [{ fd: this.#socket.fd, events: POLLIN }, ...clients];
  }

  /** Does what can be done now. @returns what clients ask for */
  *serve(ready: ReadonlyMap<number, number>): Generator<{ client: Client; line: string }> {
    for (const client of this.#clients) {
      const events = ready.get(client.fd) ?? 0;
      if ((events & POLLOUT) !== 0) client.flush();
      if ((events & ~POLLOUT) === 0 || client.closed) continue;
      for (const line of client.read()) yield { client, line };
    }
    this.#clients = this.#clients.filter(({ closed }) => !closed);
    if (ready.has(this.#socket.fd)) this.#accept();
  }

  #accept(): void {
    let fd: number;
    try {
      fd = accept(this.#socket.fd);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      // It has gone already; or there is no descriptor left for it, and it must come again.
      if (code === 'EAGAIN' || code === 'ECONNABORTED' || code === 'EINTR' || code === 'EMFILE')
        return;
      throw error;
    }
    const { uid } = peerCredentials(fd);
    const mayAsk = uid === 0 || uid === process.geteuid?.();
    if (!mayAsk || this.#clients.length >= MOST_CLIENTS) {
      closeSync(fd);
      return;
    }
    setNonBlocking(fd, true);
    this.#clients.push(new Client(fd));
  }

  /** In a worker: closes the copies, and leaves the path to the supervisor. */
  release(): void {
    for (const client of this.#clients) client.close();
    this.#clients = [];
    closeSync(this.#socket.fd);
  }

  [Symbol.dispose](): void {
    try {
      // Before it is closed: see Listener.close().
      this.#socket.unlink();
      if (this.#directory !== undefined) rmdirSync(this.#directory);
    } finally {
      this.release();
    }
  }
}

/**
 * Removes the socket of a supervisor that was killed, though it still listens: a worker that was just
 * forked, and may be stopped, has not closed its copy yet.
 */
function removeOrphan(path: string): void {
  const found = whoListens(path);
  // What nobody listens on, or somebody who takes no connection, is UnixSocket's matter.
  if (found?.listening && found.pid !== undefined && !isAlive(found.pid)) unlinkSync(path);
}

/** A request, or why it is none. */
export function parseRequest(line: string): Request | string {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    return 'a request is one line of JSON';
  }
  const { command, workers, follow, phases, worker, error } = (value ?? {}) as Record<
    string,
    unknown
  >;
  switch (command) {
    case 'status':
    case 'stop':
    case 'kill':
    case 'recycle':
    case 'reconfigure':
      return { command };
    case 'reload':
    case 'rollback':
      return { command, phases: phases === true };
    case 'restart':
      if (worker === undefined) return { command };
      if (!Number.isInteger(worker) || Number(worker) < 1 || Number(worker) > MOST_WORKERS)
        return `"worker" must be an integer from 1 to ${MOST_WORKERS}`;
      return {
        command,
        worker: Number(worker),
        ...(typeof error === 'string' ? { error } : {}),
      };
    case 'give-up':
      return typeof error === 'string' ? { command, error } : '"error" must say why';
    case 'log':
      return { command, follow: follow === true };
    case 'scale':
      if (Number.isInteger(workers) && Number(workers) >= 0 && Number(workers) <= MOST_WORKERS) {
        return { command, workers: Number(workers) };
      }
      return `"workers" must be an integer from 0 to ${MOST_WORKERS}`;
    default:
      return `unknown command: ${JSON.stringify(command) ?? 'none'}`;
  }
}
