// Which image of the program serves: this one, with which the service began, or one that was started
// later, by a reload. The process itself stays, whichever does: it is the keeper of the service's pid, of
// its pidfile, its listeners and its control socket.
//
//   reload    the next image is started. Once all its workers are ready it serves, and the workers of the
//             one before are told to end; that image is parked: it stays, without workers.
//   rollback  the parked image has workers again, and the other one is parked.
//
// An image that fails before it serves changes nothing. One that is killed while it serves is started
// again. There is one change at a time.
//
// With the option `keeper` the first image, too, is a process of its own: a copy of this one, which then
// has no workers from the start, and makes another copy if that one is killed.

import { dataAddress, type HandedOverData } from '../image/handoff.js';
import type { Image } from '../image/image.js';
import { listenerNamed } from '../listen/listen.js';
import type { PollRequest } from '../posix/descriptor.js';
import type { Requester } from './control.js';
import { closeData, DataSocket } from './data-socket.js';
import { killQuietly } from './family.js';
import { FileWatch } from './file-watch.js';
import type { Word } from './image-channel.js';
import { type CopiedImage, ImageProcess } from './image-process.js';
import type { Decision, Event, Outcome } from './policy/state.js';
import { describeOutcome } from './sentences.js';
import type { SignalAction } from './signals.js';
import type { SupervisorStatus } from './status.js';

/** What of the options concerns this. */
export interface ImageRules {
  /** How long an image may take until it serves, in ms; 0: any time. */
  readyTimeout: number;
  /** An image that serves for a shorter time has failed. */
  minUptime: number;
  /** Whether the one before is kept for a rollback. */
  keepPrevious: boolean;
  /** Whether that serves again by itself if its successor gives up within `minUptime`. */
  rollbackOnFailure: boolean;
  /** Files whose change is a reload. */
  watch: readonly string[];
  /** Whether the first image is a process of its own. */
  keeper: boolean;
}

/** The supervisor whose process this is. */
export interface KeeperHost {
  /** How the program is started; it is found anew each time. @throws ENOENT, EACCES, ENOTSUP */
  image(): Image;
  /** See Superior. */
  awaited: boolean;
  /** Whether it is on its way out. */
  stopping(): boolean;
  /** For the policy of this image. */
  push(event: Event): void;
  tell(decision: Decision): void;
  /** A line of the log of another image. */
  log(line: string): void;
  adopt(pid: number): void;
  kill(pid: number): void;
  /** Another image serves. Whoever waits for that is told the first time. */
  announce(): void;
  /** A reload or a rollback begins. */
  changing(): void;
  /** It is over: the last worker of the image before is gone; or it has failed, and why. */
  changed(error: string | undefined): void;
  /** The service is told to end. */
  ending(): void;
  /** The service is over. */
  exit(code: number, reason: string | undefined): never;
}

/** How far a change has come. */
export type ChangePhase =
  /** The workers of the image that serves are asked for what they leave to the next one (handover.send). */
  | { phase: 'collecting'; image: number; imagePid: number }
  /** The program of the next image runs; it has not come to supervise() yet. */
  | { phase: 'starting'; image: number; imagePid: number }
  /** It has come there; not all its workers are ready. */
  | { phase: 'arrived'; image: number; imagePid: number }
  /** The parked image has workers again, that are not ready yet. */
  | { phase: 'resuming'; image: number; imagePid: number }
  /** It serves; the image before answers its last requests. */
  | { phase: 'serves'; image: number; imagePid: number };

/** Whoever has asked for a change. */
export interface Asker {
  phase(phase: ChangePhase): void;
  /** It is over: undefined, or why it failed. */
  settle(error: string | undefined): void;
}

const NOBODY: Asker = { phase() {}, settle() {} };

type ChangeKind = 'reload' | 'rollback' | 'recovery';

/** An image; without a process it is the one of this process. */
interface Entry {
  number: number;
  process: ImageProcess | undefined;
  /** Whether that is a copy of this process. */
  isCopy: boolean;
  /** When it began to serve. */
  servesSince: number;
  failure: string | undefined;
}

interface Change {
  kind: ChangeKind;
  to: Entry;
  since: number;
  deadline: number;
  asker: Asker;
}

/** How often in this time, in ms, an image that was killed is started again. */
const RECOVERIES = 5;
const RECOVERY_WINDOW = 60_000;
/** The wait before the second one; each further one is twice as long. */
const RECOVERY_DELAY = 200;
const KILLED = 'the one before was killed';

export class Images {
  readonly #rules: ImageRules;
  readonly #host: KeeperHost;
  readonly #files: FileWatch;
  readonly #data: DataSocket;
  readonly #own: Entry = entry(1, undefined);
  /** undefined: the one that served was killed. */
  #current: Entry | undefined = this.#own;
  #previous: Entry | undefined;
  /** Serves no more, and has workers left. */
  #leaving: { entry: Entry; asker: Asker } | undefined;
  #change: Change | undefined;
  /** A reload whose image is not started yet: it is to have what workers leave to it. */
  #collecting: Asker | undefined;
  readonly #others = new Map<number, Entry>();
  #count = 1;
  /** A reload was asked for that has to wait. */
  #again = false;
  /** Whether the image before would find its listeners. */
  #canGoBack = true;
  #stopping = false;
  #recoveries: number[] = [];
  #recoverAt = Number.POSITIVE_INFINITY;
  /** As what it is started again. */
  #recoverAsCopy = false;
  #copyDue = false;
  readonly #asked = new Map<number, Requester>();
  #lastId = 0;

  constructor(rules: ImageRules, host: KeeperHost) {
    this.#rules = rules;
    this.#host = host;
    this.#files = new FileWatch(rules.watch, performance.now());
    this.#data = new DataSocket();
    dataAddress.own = this.#data.addressFor(this.#own.number);
    if (!rules.keeper) return;
    this.#current = undefined;
    this.#count = 0;
    this.#copyDue = true;
  }

  /** Whether another image serves than that of this process, or is to. */
  get elsewhere(): boolean {
    return this.#current !== this.#own;
  }

  /** Whether there is another image to be asked. */
  get isAsked(): boolean {
    return this.#current?.process !== undefined;
  }

  /** Whether a copy of this process is to be made. */
  get copyDue(): boolean {
    return this.#copyDue;
  }

  get current(): { number: number; pid: number } {
    return { number: this.#current?.number ?? 0, pid: this.#current?.process?.pid ?? process.pid };
  }

  get previous(): { number: number; pid: number } | null {
    const previous = this.#previous;
    return previous === undefined
      ? null
      : { number: previous.number, pid: previous.process?.pid ?? process.pid };
  }

  // What people ask for.

  /** Starts the next image. @param asker hears how it goes; without it, one that comes too early waits */
  reload(reason: string, asker?: Asker): void {
    const busy = this.#busy();
    if (busy === undefined) {
      this.#host.changing();
      this.#collect(reason, asker ?? NOBODY);
    } else if (asker !== undefined) asker.settle(busy);
    else if (!this.#stopping) this.#again = true;
  }

  /** The next image is to have what the workers of this one leave to it. */
  #collect(reason: string, asker: Asker): void {
    const { readyTimeout } = this.#rules;
    const limit = readyTimeout === 0 ? Number.POSITIVE_INFINITY : readyTimeout;
    const current = this.#current;
    this.#collecting = asker;
    if (current !== undefined) asker.phase({ phase: 'collecting', ...identify(current) });
    this.#data.collect(current?.number ?? 0, performance.now() + limit, (collected) => {
      this.#collecting = undefined;
      if ('error' in collected) {
        this.#cannotStart(asker, collected.error);
        return;
      }
      const started = this.#startNext(reason, asker, collected.data);
      closeData(collected.data);
      this.#begin('reload', started, asker);
    });
  }

  /** The image of this process, which serves, is told to end. */
  ownStops(): void {
    this.#stopCollecting('the supervisor is stopping');
  }

  #stopCollecting(error: string): void {
    const asker = this.#collecting;
    this.#collecting = undefined;
    this.#data.cancel();
    if (asker !== undefined) this.#cannotStart(asker, error);
  }

  /** Has the image before serve again. */
  rollback(asker: Asker): void {
    const previous = this.#previous;
    const busy = this.#busy();
    if (busy !== undefined) asker.settle(busy);
    else if (previous === undefined)
      asker.settle('there is no image before this one to go back to');
    else {
      this.#host.changing();
      this.#resume(previous);
      this.#begin('rollback', previous, asker);
    }
  }

  #busy(): string | undefined {
    if (this.#stopping || this.#host.stopping()) return 'the supervisor is stopping';
    if (this.#collecting !== undefined) return 'a reload is under way';
    if (this.#change !== undefined) return `a ${this.#change.kind} is under way`;
    if (this.#leaving !== undefined) {
      return `image ${this.#leaving.entry.number} still answers its last requests`;
    }
    return undefined;
  }

  /** Asks the image that serves, in another process, what a client has asked. */
  forward(client: Requester, line: string): void {
    const id = ++this.#lastId;
    if (this.#current?.process === undefined) {
      client.send(JSON.stringify({ ok: false, error: 'no image serves at the moment' }));
      return;
    }
    this.#asked.set(id, client);
    this.#current.process.send({ order: 'request', id, line });
  }

  /** A signal for whoever serves elsewhere. */
  signal(signal: NodeJS.Signals, action: SignalAction): void {
    if (action === 'stop' || action === 'kill') this.stop(signal);
    else if (this.#current?.process !== undefined) killQuietly(this.#current.process.pid, signal);
  }

  /** Ends the service by this signal. What is only on its way does not come to serve. */
  stop(signal: NodeJS.Signals): void {
    const first = !this.#stopping;
    this.#stopping = true;
    this.#host.ending();
    this.#again = false;
    this.#recoverAt = Number.POSITIVE_INFINITY;
    this.#stopCollecting('the supervisor is stopping');
    if (this.#change !== undefined) this.#fail(this.#change, 'the supervisor is stopping');
    const serving = this.#current?.process?.pid;
    if (serving !== undefined) {
      if (!first && signal !== 'SIGQUIT') return;
      killQuietly(serving, signal);
      killQuietly(serving, 'SIGCONT');
    }
    if (serving === undefined || this.#leaving?.entry === this.#own) this.#stopOwn(signal);
  }

  #stopOwn(by: string): void {
    const type = by === 'SIGQUIT' ? 'kill' : 'stop';
    this.#host.push({ type, now: performance.now(), by });
  }

  // What follows.

  #startNext(
    reason: string,
    asker: Asker,
    data: readonly HandedOverData[] = [],
  ): Entry | undefined {
    try {
      const left = { data, dataAddress: this.#data.addressFor(this.#count + 1) };
      const image = ImageProcess.start(this.#host.image(), this.#host.awaited, left);
      return this.#add(image, false, reason);
    } catch (error) {
      this.#cannotStart(asker, (error as Error).message);
      return undefined;
    }
  }

  #cannotStart(asker: Asker, error: string): void {
    this.#host.tell({ event: 'image-failed', image: this.#count + 1, imagePid: 0, error });
    asker.settle(error);
    this.#host.changed(error);
  }

  #add(image: ImageProcess, isCopy: boolean, reason: string): Entry {
    const started = entry(++this.#count, image, isCopy);
    this.#others.set(image.pid, started);
    this.#host.adopt(image.pid);
    const { number } = started;
    this.#host.tell({ event: 'image-start', image: number, imagePid: image.pid, reason });
    return started;
  }

  /**
   * Makes the copy of this process that is due. Returns in that, too.
   * @param leaveKeeper in the copy, undoes what makes a keeper
   * @throws if the first one cannot be made, with nothing changed
   */
  makeCopy(leaveKeeper: () => void): (CopiedImage & { isFirst: boolean }) | undefined {
    this.#copyDue = false;
    const isFirst = this.#count === 0;
    let image: ReturnType<typeof ImageProcess.copy>;
    dataAddress.own = this.#data.addressFor(this.#count + 1);
    try {
      image = ImageProcess.copy(leaveKeeper);
    } catch (error) {
      if (isFirst) throw error;
      this.#recover((error as Error).message, true);
      return undefined;
    }
    if ('kind' in image) return { ...image, isFirst };
    const reason = isFirst ? 'the service begins' : KILLED;
    const started = this.#add(image, true, reason);
    if (isFirst) this.#current = started;
    else this.#begin('recovery', started);
    return undefined;
  }

  #begin(kind: ChangeKind, to: Entry | undefined, asker = NOBODY): void {
    if (to === undefined) return;
    const since = performance.now();
    const { readyTimeout } = this.#rules;
    const deadline = readyTimeout === 0 ? Number.POSITIVE_INFINITY : since + readyTimeout;
    this.#change = { kind, to, since, deadline, asker };
    asker.phase({ phase: kind === 'rollback' ? 'resuming' : 'starting', ...identify(to) });
  }

  #resume(image: Entry): void {
    if (image.process === undefined) this.#host.push({ type: 'resume', now: performance.now() });
    else image.process.send({ order: 'resume' });
  }

  #park(image: Entry): void {
    if (image.process === undefined) this.#host.push({ type: 'park', now: performance.now() });
    else image.process.send({ order: 'park' });
  }

  #end({ process: image }: Entry): void {
    if (image !== undefined) this.#host.kill(image.pid);
  }

  /** All workers of the image of this process are ready. */
  ownReady(): void {
    if (this.#change?.to === this.#own) this.#takeOver(this.#change);
  }

  /** The last worker of the image of this process is gone. */
  ownParked(): void {
    this.#parked(this.#own);
  }

  #takeOver({ to, since, asker }: Change): void {
    const old = this.#current;
    const outdated = this.#previous;
    this.#change = undefined;
    this.#current = to;
    to.servesSince = performance.now();
    const after = Math.round(to.servesSince - since);
    const { number } = to;
    const { pid } = this.current;
    this.#host.tell({ event: 'image-serves', image: number, imagePid: pid, after });
    this.#host.announce();
    if (outdated !== undefined && outdated !== to && old !== undefined) this.#end(outdated);
    this.#previous = outdated === to ? undefined : outdated;
    if (old === undefined) {
      asker.settle(undefined);
      return;
    }
    this.#previous = old;
    this.#leaving = { entry: old, asker };
    asker.phase({ phase: 'serves', ...identify(to) });
    this.#park(old);
  }

  #parked(image: Entry): void {
    if (this.#leaving?.entry !== image) return;
    const imagePid = image.process?.pid ?? process.pid;
    if (this.#rules.keepPrevious && this.#canGoBack) {
      this.#host.tell({ event: 'image-parked', image: image.number, imagePid });
    } else {
      this.#previous = undefined;
      this.#end(image);
    }
    this.#canGoBack = true;
    this.#left();
  }

  #left(): void {
    if (this.#leaving !== undefined) {
      this.#leaving.asker.settle(undefined);
      this.#leaving = undefined;
      this.#host.changed(undefined);
    }
    if (!this.#again) return;
    this.#again = false;
    this.reload('asked for while another one was under way');
  }

  /** A change comes to nothing. */
  #fail(change: Change, error: string): void {
    const { to, asker, kind } = change;
    this.#change = undefined;
    const imagePid = to.process?.pid ?? process.pid;
    this.#host.tell({ event: 'image-failed', image: to.number, imagePid, error });
    // One that is only parked again is as good as before.
    if (kind === 'rollback') this.#park(to);
    else this.#end(to);
    asker.settle(error);
    if (this.#stopping) return;
    if (kind !== 'recovery') this.#host.changed(error);
    if (kind === 'rollback' && this.#current === undefined) this.#host.exit(1, error);
    if (kind === 'recovery') this.#recover(error, to.isCopy);
    else if (this.#again) this.#left();
  }

  // What the images say.

  pollRequests(): PollRequest[] {
    const images = [...this.#others.values()];
    return [
      ...this.#data.pollRequests(),
      ...images.flatMap(({ process }) => process?.pollRequests() ?? []),
    ];
  }

  serve(ready: ReadonlyMap<number, number>): void {
    this.#data.serve(ready);
    for (const image of this.#others.values()) {
      for (const word of image.process?.serve(ready) ?? []) this.#hear(image, word);
    }
  }

  #hear(image: Entry, said: Word): void {
    switch (said.word) {
      case 'ready':
        for (const name of said.unused ?? []) this.#close(name);
        if (this.#change?.to === image) this.#takeOver(this.#change);
        else if (image === this.#current) this.#host.announce();
        return;
      case 'parked':
        this.#parked(image);
        return;
      case 'failed':
        image.failure = said.text;
        return;
      case 'answer':
        this.#answer(said.id, said.line);
        return;
      case 'log':
        this.#host.log(said.line);
        return;
      case 'reload':
        if (image === this.#current) this.reload('the program');
        return;
      case 'arrived':
        if (this.#change?.to === image)
          this.#change.asker.phase({ phase: 'arrived', ...identify(image) });
        return;
      default:
      // Another release may say what this one does not know.
    }
  }

  /** Connections to it would wait for ever. Those who used it cannot serve again. */
  #close(name: string): void {
    const listener = listenerNamed(name);
    if (listener === undefined) return;
    listener.close();
    this.#canGoBack = false;
  }

  #answer(id: number, line: string): void {
    this.#asked.get(id)?.send(this.#asKeeper(line));
    this.#asked.delete(id);
  }

  /** The status of an image is that of the service, under the service's pid. */
  #asKeeper(line: string): string {
    const answer = JSON.parse(line) as { image?: unknown };
    return answer.image === undefined ? line : JSON.stringify({ ...answer, ...this.status });
  }

  /** What this adds to a status. */
  get status(): Pick<SupervisorStatus, 'pid' | 'image' | 'previous'> {
    return { pid: process.pid, image: this.current, previous: this.previous };
  }

  /** At the end of the service. */
  [Symbol.dispose](): void {
    this.#data[Symbol.dispose]();
  }

  /** In a worker: closes the copies of the supervisor's ends. */
  release(): void {
    this.#data.release();
    for (const { process } of this.#others.values()) process?.[Symbol.dispose]();
  }

  // Time and death.

  get deadline(): number {
    return Math.min(
      this.#change?.deadline ?? Number.POSITIVE_INFINITY,
      this.#recoverAt,
      this.#files.next,
      this.#data.deadline,
    );
  }

  timePassed(now: number): void {
    this.#data.timePassed(now);
    const change = this.#change;
    if (change !== undefined && now >= change.deadline) {
      const text = change.to.process?.text;
      const seconds = this.#rules.readyTimeout / 1000;
      const told = text ? `; it has said:\n${text}` : '';
      this.#fail(change, `it was not ready within ${seconds} s${told}`);
    }
    if (this.#files.changed(now)) this.reload('a watched file has changed');
    if (now < this.#recoverAt) return;
    this.#recoverAt = Number.POSITIVE_INFINITY;
    this.#copyDue = this.#recoverAsCopy;
    if (this.#copyDue) return;
    const started = this.#startNext(KILLED, NOBODY);
    if (started === undefined) this.#recover('it cannot be started', false);
    else this.#begin('recovery', started);
  }

  /** @returns whether the process was an image */
  exited(pid: number, outcome: Outcome): boolean {
    const image = this.#others.get(pid);
    if (image?.process === undefined) return false;
    for (const word of image.process.lastWords()) this.#hear(image, word);
    const text = image.failure ?? image.process.text;
    const how = describeOutcome(outcome);
    const error = text === '' ? `it ${how} before it served` : text;
    image.process[Symbol.dispose]();
    this.#others.delete(pid);
    if (this.#previous === image) this.#previous = undefined;
    if (this.#change?.to === image) {
      image.process = undefined;
      this.#failGone(this.#change, pid, error);
    } else if (this.#current === image) {
      this.#currentExited(image, outcome, text === '' ? how : `${how}: ${text}`);
    } else if (this.#leaving?.entry === image) {
      this.#left();
    }
    return true;
  }

  #failGone(change: Change, pid: number, error: string): void {
    const gone = { ...change, to: { ...change.to, process: undefined } };
    this.#change = undefined;
    this.#host.tell({ event: 'image-failed', image: gone.to.number, imagePid: pid, error });
    gone.asker.settle(error);
    if (gone.kind !== 'recovery') this.#host.changed(error);
    if (gone.kind === 'recovery') this.#recover(error, gone.to.isCopy);
    else if (this.#again) this.#left();
  }

  #currentExited(image: Entry, outcome: Outcome, error: string): void {
    for (const id of this.#asked.keys()) {
      this.#answer(id, JSON.stringify({ ok: false, error: `the image ended: ${error}` }));
    }
    this.#current = undefined;
    const { exitCode } = outcome;
    if (this.#stopping) {
      if (exitCode === 0 || exitCode === null) this.#stopOwn('the image that served has ended');
      else this.#host.exit(exitCode, undefined);
      return;
    }
    if (exitCode === 0) this.#host.exit(0, undefined);
    this.#host.tell({ event: 'image-exit', image: image.number, imagePid: 0, error });
    this.#stopCollecting(`the image that serves has ended: ${error}`);
    if (this.#change !== undefined) return;
    const uptime = performance.now() - image.servesSince;
    if (exitCode === null) this.#recover(error, image.isCopy);
    else if (this.#rules.rollbackOnFailure && uptime < this.#rules.minUptime)
      this.#goBack(exitCode, error);
    else this.#host.exit(exitCode, image.failure ?? error);
  }

  /** Starts it again, soon; not for ever. */
  #recover(error: string, asCopy: boolean): void {
    if (this.#stopping) return;
    this.#recoverAsCopy = asCopy;
    const now = performance.now();
    this.#recoveries = this.#recoveries.filter((at) => at > now - RECOVERY_WINDOW);
    const count = this.#recoveries.push(now);
    if (count > RECOVERIES) this.#goBack(1, error);
    else this.#recoverAt = count === 1 ? now : now + RECOVERY_DELAY * 2 ** (count - 2);
  }

  /** The image before serves again, if there is one. */
  #goBack(code: number, error: string): void {
    const previous = this.#previous;
    if (previous === undefined) this.#host.exit(code, error);
    this.#resume(previous);
    this.#begin('rollback', previous);
  }
}

function identify({ number, process: image }: Entry): { image: number; imagePid: number } {
  return { image: number, imagePid: image?.pid ?? process.pid };
}

function entry(number: number, process: ImageProcess | undefined, isCopy = false): Entry {
  return { number, process, isCopy, servesSince: 0, failure: undefined };
}
