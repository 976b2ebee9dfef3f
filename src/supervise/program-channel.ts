// How another program that a worker runs, which has no pipe to its supervisor, says how it fares:
// sd_notify(3) or a newline on descriptor 3.

import { chmodSync, closeSync, mkdtempSync, readdirSync, readSync, rmSync } from '../builtin/fs.js';
import { tmpdir } from '../builtin/os.js';
import { basename, dirname, join } from '../builtin/path.js';
import { dup2, pipe, setCloseOnExec, setNonBlocking } from '../posix/descriptor.js';
import { AF_UNIX, bind, MSG_DONTWAIT, recvmsg, SOCK_DGRAM, socket } from '../posix/socket.js';
import type { Message, MessageSource } from './worker-pipe.js';

/** What a program is to tell. */
export interface ProgramWords {
  /** That it is ready; `started`: nothing, it counts as ready at once. */
  ready: 'started' | 'notify' | 'fd';
  /** How often at least it has to send WATCHDOG=1, in ms; 0: never. */
  watchdog: number;
}

/** What the address of a unix socket has room for, and what of it a name in the directory takes. */
const LONGEST_PATH = process.platform === 'linux' ? 107 : 103;
const NAME_ROOM = 24;

/** What a service manager tells this process by: words for it alone, not for what it starts. */
export const MANAGER_VARIABLES = ['NOTIFY_SOCKET', 'WATCHDOG_USEC', 'WATCHDOG_PID'] as const;

/** The channels of a supervisor's programs, with a directory of their own for sockets. */
export class ProgramChannels implements Disposable {
  readonly #words: ProgramWords;
  readonly #directory: string | undefined;
  #count = 0;

  /**
   * @param control the path of the supervisor's control socket, beside which the directory is made; none: in
   * the one for temporary files
   * @param isFirst whether what others have left beside it is nobody's any more
   * @throws EACCES, ENOSPC and the like
   */
  constructor(words: ProgramWords, control: string | undefined, isFirst: boolean) {
    this.#words = words;
    const speaks = words.ready === 'notify' || words.watchdog > 0;
    this.#directory = speaks ? makeDirectory(control, isFirst) : undefined;
  }

  /** One for a process that is about to be made. @throws EMFILE, ENOSPC */
  add(): ProgramChannel {
    const directory = this.#directory;
    const path = directory === undefined ? undefined : join(directory, String(++this.#count));
    return new ProgramChannel(this.#words, path);
  }

  [Symbol.dispose](): void {
    if (this.#directory !== undefined) rmSync(this.#directory, { recursive: true, force: true });
  }
}

function makeDirectory(control: string | undefined, isFirst: boolean): string {
  const prefix = control === undefined ? undefined : `${control}.notify-`;
  if (prefix === undefined || Buffer.byteLength(prefix) + NAME_ROOM > LONGEST_PATH) {
    return mkdtempSync(join(tmpdir(), 'doublefork-notify-'));
  }
  // Whoever has the control socket is the only one. One that was killed has left its directory.
  if (isFirst) {
    for (const name of readdirSync(dirname(prefix))) {
      if (name.startsWith(basename(prefix)))
        rmSync(join(dirname(prefix), name), { recursive: true, force: true });
    }
  }
  return mkdtempSync(prefix);
}

/** Of one process. */
export class ProgramChannel implements Disposable {
  /** What to read in the supervisor. */
  readonly sources: readonly MessageSource[];
  /** For the environment of the program. */
  readonly env: Readonly<Record<string, string>>;
  /** The program's end of a pipe. */
  #write: number | undefined;

  constructor({ ready, watchdog }: ProgramWords, path: string | undefined) {
    const sources: MessageSource[] = [];
    try {
      if (path !== undefined) sources.push(new NotifySource(path));
      if (ready === 'fd') {
        const [read, write] = pipe();
        setNonBlocking(read, true);
        this.#write = write;
        sources.push(new NewlineSource(read));
      }
    } catch (error) {
      for (const source of sources) source[Symbol.dispose]();
      throw error;
    }
    this.sources = sources;
    // No WATCHDOG_PID: the one that pings may be behind a wrapper, such as npm.
    this.env = {
      ...(path === undefined ? {} : { NOTIFY_SOCKET: path }),
      ...(watchdog === 0 ? {} : { WATCHDOG_USEC: String(watchdog * 1000) }),
    };
  }

  /** In the process, before it becomes the program. */
  attach(): void {
    if (this.#write === undefined) return;
    // dup2(2) onto itself would leave close-on-exec as it is.
    if (this.#write === READY_FD) setCloseOnExec(READY_FD, false);
    else dup2(this.#write, READY_FD);
  }

  /** In the supervisor, once the process is made. */
  release(): void {
    if (this.#write !== undefined) closeSync(this.#write);
    this.#write = undefined;
  }

  /** As if it had never been. */
  [Symbol.dispose](): void {
    this.release();
    for (const source of this.sources) source[Symbol.dispose]();
  }
}

const READY_FD = 3;

/** As much as systemd takes (PIPE_BUF). */
const LONGEST_DATAGRAM = 4096;
/** So many at a time: whoever sends without end does not hold the supervisor up. */
const AT_ONCE = 64;

/** A socket that the program sends READY=1, WATCHDOG=1, STATUS= and ERRNO= to. @see sd_notify(3) */
class NotifySource implements MessageSource {
  readonly fd: number;
  readonly ended = false;
  readonly #path: string;

  /** @param path only this user may go there */
  constructor(path: string) {
    this.#path = path;
    this.fd = socket(AF_UNIX, SOCK_DGRAM);
    try {
      bind(this.fd, { path });
      chmodSync(path, 0o600);
    } catch (error) {
      closeSync(this.fd);
      throw error;
    }
  }

  read(): Message[] {
    const messages: Message[] = [];
    try {
      for (let count = 0; count < AT_ONCE; count++) {
        const { data } = recvmsg(this.fd, { length: LONGEST_DATAGRAM, flags: MSG_DONTWAIT });
        for (const line of data.toString('utf8').split('\n')) {
          const message = parse(line);
          if (message !== undefined) messages.push(message);
        }
      }
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') throw error;
    }
    return messages;
  }

  close(): void {
    closeSync(this.fd);
  }

  [Symbol.dispose](): void {
    this.close();
    rmSync(this.#path, { force: true });
  }
}

function parse(line: string): Message | undefined {
  if (line === 'READY=1') return { type: 'ready' };
  if (line === 'WATCHDOG=1') return { type: 'ping' };
  if (line.startsWith('STATUS=')) return { type: 'status', text: line.slice('STATUS='.length) };
  return line.startsWith('ERRNO=') ? { type: 'error', text: `it said ${line}` } : undefined;
}

/** A newline on descriptor 3, as s6 has it. */
class NewlineSource implements MessageSource {
  readonly fd: number;
  ended = false;

  constructor(fd: number) {
    this.fd = fd;
  }

  read(): Message[] {
    const buffer = Buffer.alloc(512);
    try {
      const size = readSync(this.fd, buffer);
      this.ended = size === 0;
      return buffer.subarray(0, size).includes('\n') ? [{ type: 'ready' }] : [];
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') throw error;
      return [];
    }
  }

  close(): void {
    closeSync(this.fd);
  }

  [Symbol.dispose](): void {
    this.close();
  }
}
