// The ways in which a program says that it is ready.

import { chmodSync, chownSync, readSync, rmSync } from '../builtin/fs.js';
import { join } from '../builtin/path.js';
import { close, dup2, pipe, setCloseOnExec } from '../posix/descriptor.js';
import { AF_UNIX, bind, MSG_DONTWAIT, recvmsg, SOCK_DGRAM, socket } from '../posix/socket.js';
import { readable } from '../posix/watch.js';
import { stateFolder } from './folders.js';

/** One of the ways. Made in the daemon before it forks the program. */
export interface Channel extends Disposable {
  /** To add to the environment of the program. */
  readonly env: Readonly<Record<string, string>>;
  /** In the program's process, before the execve(2). */
  attach(): void;
  /** In the daemon: waits until the program has said it. @throws Error with what it did instead */
  ready(signal: AbortSignal): Promise<void>;
}

const READY_FD = 3;

/** A newline on descriptor 3, as s6 has it. */
export class NewlineChannel implements Channel {
  readonly env = {};
  readonly #read: number;
  readonly #write: number;

  constructor() {
    [this.#read, this.#write] = pipe();
  }

  attach(): void {
    // dup2(2) onto itself would leave close-on-exec as it is.
    if (this.#write === READY_FD) setCloseOnExec(READY_FD, false);
    else dup2(this.#write, READY_FD);
  }

  async ready(signal: AbortSignal): Promise<void> {
    close(this.#write);
    const buffer = Buffer.alloc(512);
    for (;;) {
      await readable(this.#read, -1, signal);
      const got = readSync(this.#read, buffer);
      if (buffer.subarray(0, got).includes('\n')) return;
      if (got === 0) throw new Error('closed descriptor 3 without a newline');
    }
  }

  [Symbol.dispose](): void {
    close(this.#read);
  }
}

/** READY=1 on $NOTIFY_SOCKET. @see sd_notify(3) */
export class NotifyChannel implements Channel {
  readonly env: { NOTIFY_SOCKET: string };
  readonly #fd: number;

  /** @param uid who may write to it, beside root; null: this user */
  constructor(name: string, uid: number | null) {
    const path = join(stateFolder(), `${name}.notify`);
    this.env = { NOTIFY_SOCKET: path };
    rmSync(path, { force: true });
    this.#fd = socket(AF_UNIX, SOCK_DGRAM);
    bind(this.#fd, { path });
    chmodSync(path, 0o600);
    if (uid !== null) chownSync(path, uid, -1);
  }

  attach(): void {}

  async ready(signal: AbortSignal): Promise<void> {
    for (;;) {
      await readable(this.#fd, -1, signal);
      const { data } = recvmsg(this.#fd, { flags: MSG_DONTWAIT });
      const lines = data.toString('utf8').split('\n');
      if (lines.includes('READY=1')) return;
      const error = lines.find((line) => line.startsWith('ERRNO='));
      if (error !== undefined) throw new Error(`gave up with ${error}`);
    }
  }

  [Symbol.dispose](): void {
    close(this.#fd);
    rmSync(this.env.NOTIFY_SOCKET, { force: true });
  }
}
