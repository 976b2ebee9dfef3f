// Where workers leave what the next version is to have (handover.send): a socket of the service's process, which asks
// those that have something when a successor is about to be started. Each worker of each image finds it by its address,
// whoever its supervisor is; whoever knows the secret is one.
//
//   worker -> keeper   {"secret","image","worker"}   once
//   keeper -> worker   {"id"}                        a successor is to be started
//   worker -> keeper   {"id","names":[...]} with descriptors: the value's file, then the named ones; or {"id","error"}, or
//                      {"id","nothing":true}: it has nothing any more

import { mkdtempSync, rmSync } from '../builtin/fs.js';
import { tmpdir } from '../builtin/os.js';
import { join } from '../builtin/path.js';
import type { DataAddress, HandedOverData } from '../image/handoff.js';
import { describeHandover, MOST_DESCRIPTORS } from '../image/handover.js';
import { close, POLLIN, type PollRequest, setNonBlocking } from '../posix/descriptor.js';
import {
  AF_UNIX,
  accept,
  bind,
  listen,
  MSG_DONTWAIT,
  recvmsg,
  SOCK_STREAM,
  sendmsg,
  socket,
} from '../posix/socket.js';

/** Of those that have not said yet who they are. */
const MOST_STRANGERS = 16;

/** What came of it: what workers leave, to be closed by whoever asked; or why there is no successor. */
export type Collected = { data: HandedOverData[] } | { error: string };

interface Answer {
  id?: number;
  names?: string[];
  error?: string;
  nothing?: boolean;
  secret?: string;
  image?: number;
  worker?: number;
}

/** A worker that has something to leave. */
class Member {
  readonly fd: number;
  image: number | undefined;
  worker = 0;
  #text = '';
  #fds: number[] = [];
  closed = false;

  constructor(fd: number) {
    this.fd = fd;
    setNonBlocking(fd, true);
  }

  /** What it has said, and the descriptors that came with that. */
  *read(): Generator<{ answer: Answer; fds: number[] }> {
    try {
      const { data, fds } = recvmsg(this.fd, { fds: MOST_DESCRIPTORS + 1, flags: MSG_DONTWAIT });
      this.#fds.push(...fds);
      if (data.length === 0) this.close();
      this.#text += data.toString('utf8');
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') this.close();
      return;
    }
    const lines = this.#text.split('\n');
    this.#text = lines.pop()!;
    for (const line of lines) {
      const fds = this.#fds.splice(0);
      try {
        yield { answer: JSON.parse(line) as Answer, fds };
      } catch {
        for (const fd of fds) close(fd);
        this.close();
      }
    }
  }

  ask(id: number): boolean {
    try {
      sendmsg(this.fd, { data: Buffer.from(`${JSON.stringify({ id })}\n`), flags: MSG_DONTWAIT });
      return true;
    } catch {
      // It has ended.
      this.close();
      return false;
    }
  }

  close(): void {
    if (this.closed) return;
    this.closed = true;
    for (const fd of this.#fds) close(fd);
    close(this.fd);
  }
}

interface Collection {
  id: number;
  deadline: number;
  asked: Set<Member>;
  data: HandedOverData[];
  settle(collected: Collected): void;
}

export class DataSocket implements Disposable {
  /** Undefined: this service must not use unix sockets; whoever would leave something is told so where he sends. */
  readonly #fd: number | undefined;
  readonly #directory: string | undefined;
  readonly #address: string;
  readonly #secret: string = crypto.randomUUID();
  #members: Member[] = [];
  #collection: Collection | undefined;
  #lastId = 0;

  /** @throws EMFILE and the like */
  constructor() {
    // A name that is in no file system goes with the socket.
    this.#directory =
      process.platform === 'linux' ? undefined : mkdtempSync(join(tmpdir(), 'doublefork-data-'));
    this.#address =
      this.#directory === undefined
        ? `\0doublefork-${crypto.randomUUID()}`
        : join(this.#directory, 'data');
    this.#fd = unixSocket();
    if (this.#fd === undefined) return;
    try {
      bind(this.#fd, { path: this.#address });
      listen(this.#fd);
      setNonBlocking(this.#fd, true);
    } catch (error) {
      close(this.#fd);
      throw error;
    }
  }

  /** For the workers of an image. */
  addressFor(image: number): DataAddress {
    return { address: this.#address, secret: this.#secret, image };
  }

  get deadline(): number {
    return this.#collection?.deadline ?? Number.POSITIVE_INFINITY;
  }

  pollRequests(): PollRequest[] {
    const own = this.#fd === undefined ? [] : [this.#fd];
    const fds = [...own, ...this.#members.map(({ fd }) => fd)];
    return fds.map((fd) => ({ fd, events: POLLIN }));
  }

  serve(ready: ReadonlyMap<number, number>): void {
    // What one has left that has ended since is read before that.
    for (const member of this.#members) {
      if (!ready.has(member.fd)) continue;
      for (const { answer, fds } of member.read()) this.#hear(member, answer, fds);
    }
    this.#leaveOutClosed();
    if (this.#fd !== undefined && ready.has(this.#fd)) this.#accept(this.#fd);
  }

  #accept(listener: number): void {
    let fd: number;
    try {
      fd = accept(listener);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      // It has gone already; or there is no descriptor left for it, and it must come again.
      if (code === 'EAGAIN' || code === 'ECONNABORTED' || code === 'EINTR' || code === 'EMFILE')
        return;
      throw error;
    }
    const strangers = this.#members.filter(({ image }) => image === undefined);
    if (strangers.length >= MOST_STRANGERS) strangers[0]!.close();
    this.#members.push(new Member(fd));
    this.#leaveOutClosed();
  }

  #hear(member: Member, answer: Answer, fds: number[]): void {
    if (member.image !== undefined && this.#take(member, answer, fds)) return;
    for (const fd of fds) close(fd);
    if (member.image !== undefined) return;
    if (answer.secret !== this.#secret) member.close();
    member.image = answer.image ?? 0;
    member.worker = answer.worker ?? 0;
  }

  /** @returns whether the descriptors are kept */
  #take(member: Member, { id, names = [], error, nothing }: Answer, fds: number[]): boolean {
    const collection = this.#collection;
    if (collection?.id !== id || !collection!.asked.delete(member)) return false;
    const [data, ...named] = fds;
    const lost = 'its descriptors have not arrived: too many are open';
    const isWhole = nothing === true || (data !== undefined && named.length === names.length);
    const problem = error ?? (isWhole ? undefined : lost);
    if (problem !== undefined) {
      this.#settle({ error: `worker ${member.worker} cannot hand over: ${problem}` });
      return false;
    }
    if (data !== undefined) {
      const byName = Object.fromEntries(named.map((fd, index) => [names[index]!, fd]));
      collection!.data.push(describeHandover(member.worker, data, byName));
    }
    this.#settleIfAll();
    return data !== undefined;
  }

  #leaveOutClosed(): void {
    this.#members = this.#members.filter(({ closed }) => !closed);
    const { asked } = this.#collection ?? {};
    // Who has ended has nothing to leave; its supervisor starts another one, which may.
    for (const member of asked ?? []) if (member.closed) asked!.delete(member);
    this.#settleIfAll();
  }

  #settleIfAll(): void {
    const collection = this.#collection;
    if (collection === undefined || collection.asked.size > 0) return;
    this.#settle({ data: collection.data.sort((a, b) => (a.worker ?? 0) - (b.worker ?? 0)) });
  }

  #settle(collected: Collected): void {
    const collection = this.#collection;
    this.#collection = undefined;
    if ('error' in collected) closeData(collection?.data ?? []);
    collection?.settle(collected);
  }

  /**
   * Asks the workers of an image for what they leave.
   * @param deadline by `performance.now()`
   * @param settle is called once; at once, if nobody has anything
   */
  collect(image: number, deadline: number, settle: (collected: Collected) => void): void {
    const id = ++this.#lastId;
    const asked = this.#members.filter((member) => member.image === image && member.ask(id));
    this.#collection = { id, deadline, asked: new Set(asked), data: [], settle };
    this.#leaveOutClosed();
  }

  /** Nobody wants it any more. */
  cancel(): void {
    closeData(this.#collection?.data ?? []);
    this.#collection = undefined;
  }

  timePassed(now: number): void {
    const collection = this.#collection;
    if (collection === undefined || now < collection.deadline) return;
    const slow = [...collection.asked].map(({ worker }) => worker).sort((a, b) => a - b);
    const who = `worker${slow.length === 1 ? '' : 's'} ${slow.join(', ')}`;
    this.#settle({ error: `${who} did not hand over in time (readyTimeout)` });
  }

  /** In a fork: closes the copies. */
  release(): void {
    for (const member of this.#members) member.close();
    this.#members = [];
    if (this.#fd !== undefined) close(this.#fd);
  }

  [Symbol.dispose](): void {
    this.cancel();
    this.release();
    if (this.#directory !== undefined) rmSync(this.#directory, { recursive: true, force: true });
  }
}

/** Undefined where systemd's `RestrictAddressFamilies=`, or another filter, has no AF_UNIX. */
function unixSocket(): number | undefined {
  try {
    return socket(AF_UNIX, SOCK_STREAM);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EAFNOSUPPORT') throw error;
    return undefined;
  }
}

/** Once the successor has them, or there is none. */
export function closeData(all: readonly HandedOverData[]): void {
  for (const { data, fds } of all) for (const fd of [data, ...fds.map(({ fd }) => fd)]) close(fd);
}
