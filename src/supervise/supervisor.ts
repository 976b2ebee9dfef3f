// The supervisor's loop. After the first fork nothing of the program runs here any more: its other
// threads are stopped for good, its event loop does not turn. What is left waits in poll(2), asks the
// policy what to do, and does it.

import { COMMANDS } from '../detach/commands.js';
import { thisProcess } from '../detach/this-process.js';
import type { Image } from '../image/image.js';
import { openListeners } from '../listen/listen.js';
import { POLLIN, type PollRequest, poll } from '../posix/descriptor.js';
import { errorText } from '../posix/errors.js';
import { waitUntil } from '../posix/pause.js';
import { _exit } from '../posix/process.js';
import { trace } from '../posix/trace.js';
import { Alarms } from './alarms.js';
import { Companions } from './companions.js';
import type { Request, Requester, RequestSource } from './control.js';
import { answer, ControlRequests } from './control-requests.js';
import { garbageCollector } from './heap.js';
import type { CopiedImage } from './image-process.js';
import { type Asker, type ImageRules, Images } from './images.js';
import type { SupervisorSettings } from './options.js';
import { decide, initial, nextDeadline } from './policy/policy.js';
import type { Action, Decision, Event, State } from './policy/state.js';
import { enoughMemory } from './proc.js';
import { Publications, published } from './published.js';
import { Resources } from './resources.js';
import { Schedule } from './schedule.js';
import { actionOf, type SignalAction } from './signals.js';
import { Spares } from './spares.js';
import type { Spawner } from './spawner.js';
import { type ForkedWorker, type StartedProcess, Starter } from './starter.js';
import { statusOf } from './status.js';
import type { Superior } from './superior.js';
import { UsageWatch } from './usage.js';
import type { WorkerIdentity } from './worker.js';
import { Workers } from './workers.js';

/** So much later than asked for, poll(2) has not only been slow: the process was stopped. In ms. */
const LATE = 1000;
/** How long the end waits for what was killed. In ms. */
const CLEARING = 5000;
/** How long it waits for who is being told of an alarm. In ms. */
const TELLING = 10_000;
/** So much longer than the workers may take the service manager is told to wait. In ms. */
const LEEWAY = CLEARING + 1000;
/** After so many the supervisor collects its garbage. */
const FORKS_BETWEEN_COLLECTIONS = 200;
/** Exit code after an error of this program's own: EX_SOFTWARE of sysexits(3). */
const FAILED = 70;

/** How a supervisor comes by other images of its program. */
export interface ImageSource extends ImageRules {
  /** See KeeperHost. */
  image(): Image;
}

export class Supervisor {
  readonly #reportsTo: Superior;
  readonly #resources: Resources;
  readonly #starter: Starter;
  readonly #source: RequestSource | undefined;
  readonly #requests: ControlRequests | undefined;
  readonly #images: Images | undefined;
  readonly #companions: Companions | undefined;
  readonly #usage: UsageWatch;
  readonly #schedule: Schedule;
  readonly #alarms: Alarms | undefined;
  readonly #publications: Publications;
  readonly #workers: Workers;
  readonly #spares: Spares;
  readonly #queue: Event[] = [];
  readonly #limits: SupervisorSettings['limits'];
  readonly #collectGarbage = garbageCollector();
  /** What `reopen` is for this daemon. */
  readonly #reopenSignal = thisProcess.daemon?.reopenSignal ?? COMMANDS.reopen;
  #state: State;
  #forks = 0;
  #forksAtCollection = 0;
  #stopped = false;
  #announced = false;
  /** The first failure is the last one. */
  #isTrial: boolean;
  #nextPing: number;

  /**
   * @param spawner the exec engine; undefined: workers are forks
   * @param images how to come by others of the program; or whoever keeps this one
   * @throws what opening the log, the control socket and the group does, with nothing changed
   */
  constructor(
    settings: SupervisorSettings,
    reportsTo: Superior,
    spawner: Spawner | undefined,
    images: ImageSource | RequestSource,
  ) {
    const since = performance.now();
    this.#reportsTo = reportsTo;
    this.#isTrial = reportsTo.isTrial === true;
    this.#schedule = new Schedule(settings.recycleAt, since);
    this.#resources = new Resources(settings, this.#reopenSignal);
    const { control, groups, channels, journal } = this.#resources;
    const program = settings.exec && { argv: settings.exec, channels: channels! };
    // Another program hears of nothing.
    this.#publications = new Publications(program === undefined ? published.values() : [], (it) =>
      this.#tell(it),
    );
    const inForce = this.#publications.isEmpty ? undefined : () => this.#publications.inForce;
    this.#starter = new Starter(spawner, groups, program, inForce);
    const { usage, interval } = settings.resources;
    this.#usage = new UsageWatch(usage, interval, since);
    this.#workers = new Workers(
      () => this.#usage.ranOut(),
      (pid) => this.#reload(`worker with pid ${pid}`),
      (pid, delay) => this.#usage.delayed(pid, delay, performance.now()),
      this.#publications,
    );
    this.#spares = new Spares(this.#starter.forks ? settings.spare : 0, (pid) =>
      this.#workers.attends(pid),
    );
    this.#alarms =
      settings.onAlarm &&
      new Alarms(
        settings.onAlarm,
        (pid) => this.#workers.adopt(pid),
        (decision) => this.#tell(decision),
      );
    const limits = { ...settings.limits, arrives: spawner?.arrives === true };
    const isKeeper = 'image' in images && images.keeper;
    this.#state = initial(limits, isKeeper ? 'parked' : 'running');
    const status = (now: number) => ({
      ...statusOf(this.#state, now, since, this.#workers.reports),
      spares: this.#spares.pids,
      config: this.#publications.status,
      ...this.#images?.status,
    });
    this.#source = 'image' in images ? control : images;
    this.#images = 'image' in images ? this.#keepImages(images) : undefined;
    // The keeper of images has them, not each image.
    if ('image' in images && settings.companions.length > 0) {
      this.#companions = new Companions(
        settings.companions,
        settings.control!.path,
        settings.exec === undefined,
        (pid) => this.#workers.adopt(pid),
        (decision) => this.#tell(decision),
      );
    }
    const reconfigure = (settle: (error: string | undefined) => void) => {
      if (this.#publications.ask(settle)) this.#spares.drop();
    };
    const handle = (client: Requester, request: Request, line: string) =>
      this.#askImages(client, request, line);
    this.#requests =
      this.#source &&
      new ControlRequests(this.#source, { status, journal, images: handle, reconfigure });
    this.#nextPing = reportsTo.pingEvery > 0 ? since : Number.POSITIVE_INFINITY;
    this.#queue.push({ type: 'start', now: since, workers: settings.workers });
    this.#limits = settings.limits;
    reportsTo.starting?.(settings.limits.readyTimeout);
  }

  #keepImages(source: ImageSource): Images {
    const { awaited } = this.#reportsTo;
    return new Images(source, {
      image: () => source.image(),
      awaited,
      stopping: () => this.#state.phase === 'stopping',
      push: (event) => void this.#queue.push(event),
      tell: (decision) => this.#tell(decision),
      log: (line) => {
        this.#resources.journal.keep(line);
        this.#requests?.log(line);
      },
      adopt: (pid) => this.#workers.adopt(pid),
      kill: (pid) => this.#workers.kill(pid),
      announce: () => {
        if (!this.#announced) this.#announce();
      },
      changing: () => {
        const { readyTimeout, stopTimeout } = this.#limits;
        const isLimited = readyTimeout > 0 && stopTimeout > 0;
        const timeout = isLimited ? readyTimeout + stopTimeout + LEEWAY : 0;
        this.#managerTold(this.#reportsTo.reloading?.(timeout));
      },
      ending: () => this.#ending(),
      changed: (error) => this.#managerTold(this.#reportsTo.reloaded?.(error)),
      exit: (code, reason) => {
        if (reason !== undefined) this.#workers.reports.fail(reason);
        return this.#exit(code);
      },
    });
  }

  /**
   * Starts workers and keeps them. Returns in each that is a fork, and in each image that is a copy of
   * this process; the supervisor's own process ends here.
   * @throws if the first fork cannot be made at all, with everything undone
   */
  run(): ForkedWorker | (CopiedImage & { isFirst: boolean }) {
    try {
      for (;;) {
        const forked = this.#decide() ?? this.#copyImage() ?? this.#makeSpare();
        if (forked !== undefined) return forked;
        this.#wait();
      }
    } catch (error) {
      if (this.#forks > 0) this.#fail(error);
      this.#images?.[Symbol.dispose]();
      this.#resources[Symbol.dispose]();
      throw error;
    }
  }

  /** @returns something in a worker that was forked meanwhile */
  #decide(): ForkedWorker | undefined {
    for (let event = this.#queue.shift(); event !== undefined; event = this.#queue.shift()) {
      const [state, actions] = decide(this.#state, event);
      this.#state = state;
      if (event.type === 'resume') this.#lookAtPublished(undefined);
      if (event.type === 'recycle' || event.type === 'restart') this.#spares.drop();
      trace?.('supervisor', `${JSON.stringify(event)} -> ${JSON.stringify(actions)}`);
      for (const action of actions) {
        const worker = this.#perform(action);
        if (worker !== undefined) return worker;
      }
    }
    return undefined;
  }

  /** In a parked image nobody would hear of it. @param now undefined: whether or not it is time */
  #lookAtPublished(now: number | undefined): void {
    if (now !== undefined && this.#state.phase !== 'running') return;
    if (this.#publications.look(now)) this.#spares.drop();
    if (now !== undefined) this.#publications.review(now);
  }

  /** If it is time. @returns something in one that was made, once it is named */
  #makeSpare(): ForkedWorker | undefined {
    const now = performance.now();
    this.#spares.review(this.#state, now);
    if (now < this.#spares.dueAt) return undefined;
    let spare: ReturnType<Starter['startSpare']>;
    try {
      if (!enoughMemory()) {
        this.#spares.refused(now);
        return undefined;
      }
      spare = this.#starter.startSpare(this.#workers.youngest, () => {
        this.#leave();
        this.#reportsTo.release();
      });
    } catch (error) {
      const { code = 'unknown' } = error as NodeJS.ErrnoException;
      trace?.('supervisor', `has no spare: ${code}`);
      this.#spares.refused(performance.now());
      return undefined;
    }
    if (spare.kind === 'forked') return spare;
    this.#forks++;
    this.#workers.attend(spare);
    this.#spares.add(spare);
    trace?.('supervisor', `has a spare, pid ${spare.pid}`);
    return undefined;
  }

  #wait(): void {
    if (this.#state.phase !== 'stopping') this.#companions?.startWhatIsDue(performance.now());
    const deadline = Math.min(
      this.#companions?.deadline ?? Number.POSITIVE_INFINITY,
      nextDeadline(this.#state),
      this.#spares.dueAt,
      this.#usage.next,
      this.#schedule.next,
      this.#nextPing,
      this.#images?.deadline ?? Number.POSITIVE_INFINITY,
      this.#state.phase === 'running' ? this.#publications.deadline : Number.POSITIVE_INFINITY,
    );
    this.#collect();
    const ready = readyAmong(this.#pollRequests(), timeoutUntil(deadline));
    const now = performance.now();
    // In this order: what workers have said while this process was stopped counts before the time
    // that has passed meanwhile.
    this.#queue.push(...this.#workers.read(ready, now));
    this.#images?.serve(ready);
    if (ready.has(this.#resources.signals.fd)) this.#takeSignals(now);
    if (this.#requests !== undefined) this.#queue.push(...this.#requests.serve(ready, now));
    this.#queue.push(...(this.#reportsTo.takeOrders?.(now) ?? []));
    if (now >= deadline) this.#timePassed(now, deadline);
  }

  #timePassed(now: number, deadline: number): void {
    const late = now - deadline > LATE ? now - deadline : 0;
    this.#queue.push({ type: 'tick', now, late });
    this.#queue.push(...this.#usage.sample(this.#pids(), now));
    if (this.#schedule.isDue(now)) this.#queue.push({ type: 'recycle', now });
    this.#images?.timePassed(now);
    this.#lookAtPublished(now);
    if (now < this.#nextPing) return;
    this.#managerTold(this.#reportsTo.ping());
    this.#nextPing = now + this.#reportsTo.pingEvery;
  }

  *#pids(): Generator<number> {
    for (const { processes } of this.#state.slots) for (const { pid } of processes) yield pid;
  }

  /** V8 would let garbage grow with the heap of the program, of which nothing moves here any more. */
  #collect(): void {
    if (this.#forks - this.#forksAtCollection < FORKS_BETWEEN_COLLECTIONS) return;
    this.#forksAtCollection = this.#forks;
    this.#collectGarbage();
  }

  #pollRequests(): PollRequest[] {
    return [
      { fd: this.#resources.signals.fd, events: POLLIN },
      ...this.#workers.pollRequests(),
      ...(this.#images?.pollRequests() ?? []),
      ...(this.#source?.requests() ?? []),
    ];
  }

  #takeSignals(now: number): void {
    for (const { signal, sender } of this.#resources.signals.take()) {
      const by = sender === 0 ? signal : `${signal} from pid ${sender}`;
      const action = actionOf(signal, this.#reopenSignal);
      if (action === 'reap') {
        for (const event of this.#workers.reap(now)) this.#childEvent(event);
      } else if (action === 'reload') {
        this.#reload(by);
      } else if (this.#images?.elsewhere) {
        this.#images.signal(signal, action);
        if (action === 'reopen') this.#reopenLogs();
      } else {
        this.#ownSignal(signal, action, by, now);
      }
    }
  }

  #childEvent(event: Event): void {
    const isOther =
      event.type === 'exited' &&
      (this.#images?.exited(event.pid, event.outcome) === true ||
        this.#companions?.exited(event.pid, event.outcome, event.now) === true ||
        this.#alarms?.exited(event.pid, event.outcome) === true);
    if (!isOther) this.#queue.push(event);
  }

  #reload(by: string): void {
    if (this.#reportsTo.reload !== undefined) this.#reportsTo.reload();
    else this.#images?.reload(by);
  }

  #ownSignal(signal: NodeJS.Signals, action: SignalAction, by: string, now: number): void {
    if (action === 'stop' || action === 'kill') {
      this.#queue.push({ type: action, now, by });
      return;
    }
    if (action === 'reopen') this.#reopenLogs();
    // What asks for logs to be opened again must not end a worker that writes to none.
    for (const pid of this.#pids()) this.#workers.passOn(pid, signal, action === 'reopen');
  }

  /** What people ask of images, or of one that serves elsewhere. @returns whether it is seen to */
  #askImages(client: Requester, request: Request, line: string): boolean {
    const images = this.#images;
    if (images === undefined) return false;
    switch (request.command) {
      case 'reload':
        images.reload('the control socket', askerFor(client, request));
        return true;
      case 'rollback':
        images.rollback(askerFor(client, request));
        return true;
      case 'log':
        return false;
      case 'stop':
      case 'kill':
        if (!images.elsewhere) return false;
        images.stop(request.command === 'kill' ? 'SIGQUIT' : 'SIGTERM');
        answer(client, { ok: true });
        return true;
      case 'status':
        // While nothing serves there is that to say.
        if (!images.isAsked) return false;
        images.forward(client, line);
        return true;
      default:
        if (!images.elsewhere) return false;
        images.forward(client, line);
        return true;
    }
  }

  #reopenLogs(): void {
    // They have the old files.
    this.#spares.drop();
    try {
      this.#resources.journal.reopen();
      this.#reportsTo.reopenLogs();
      thisProcess.capture?.reopen();
    } catch {
      // The old files stay in use; the workers will tell theirs.
    }
  }

  // What the policy wants.

  #perform(action: Action): ForkedWorker | undefined {
    switch (action.type) {
      case 'fork':
        return this.#fork(action);
      case 'signal':
        this.#workers.signal(action.pid, action.signal);
        return undefined;
      case 'kill':
        this.#workers.kill(action.pid);
        return undefined;
      case 'tell':
        this.#tell(action.decision);
        return undefined;
      case 'announce':
        this.#announce();
        this.#images?.ownReady();
        return undefined;
      case 'parked':
        this.#reportsTo.parked?.();
        this.#images?.ownParked();
        return undefined;
      case 'exit':
        return this.#exit(action.code);
    }
  }

  #announce(): void {
    this.#announced = true;
    this.#managerTold(this.#reportsTo.ready());
  }

  #ending(): void {
    const { stopTimeout } = this.#limits;
    this.#managerTold(this.#reportsTo.stopping?.(stopTimeout > 0 ? stopTimeout + LEEWAY : 0));
  }

  /** @param problem why it could not be, which is told once */
  #managerTold(problem: Error | undefined): void {
    if (problem !== undefined) this.#tell({ event: 'no-manager', error: problem.message });
  }

  #fork({ id, generation, restarts }: WorkerIdentity): ForkedWorker | undefined {
    const identity = { id, generation, restarts };
    let started: StartedProcess | ForkedWorker;
    try {
      started = this.#spares.take(identity) ?? this.#starter.start(identity, this.#leave);
    } catch (error) {
      this.#cannotFork(id, error as NodeJS.ErrnoException);
      return undefined;
    }
    if (started.kind === 'forked') return started;
    this.#forks++;
    this.#workers.add(started);
    const { pid } = started;
    this.#queue.unshift({ type: 'forked', now: performance.now(), id, pid, random: Math.random() });
    return undefined;
  }

  #copyImage(): (CopiedImage & { isFirst: boolean }) | undefined {
    if (this.#images?.copyDue !== true) return undefined;
    const copy = this.#images.makeCopy(this.#leave);
    if (copy === undefined) this.#forks++;
    return copy;
  }

  /** In a fork: undoes what makes this supervisor. */
  readonly #leave = (): void => {
    this.#resources.release();
    this.#workers.release();
    this.#spares.release();
    this.#images?.release();
  };

  /** For want of processes, memory or descriptors, which may come again; otherwise for good. */
  #cannotFork(id: number, error: NodeJS.ErrnoException): void {
    const { code = 'unknown' } = error;
    const mayComeAgain = ['EAGAIN', 'ENOMEM', 'EMFILE', 'ENFILE'].includes(code);
    if (this.#forks === 0 && !mayComeAgain) throw error;
    const now = performance.now();
    this.#queue.unshift({ type: 'unforked', now, id, code, random: Math.random() });
  }

  #tell(decision: Decision): void {
    const { reports } = this.#workers;
    if (decision.event === 'stop') {
      this.#stopped = true;
      this.#images?.ownStops();
      this.#ending();
    }
    const told = decision.event === 'exit' ? reports.exit(decision) : decision;
    const line = this.#resources.journal.tell(told);
    this.#requests?.tell(decision, line, reports.lastError);
    this.#alarms?.decided(decision);
    this.#reportsTo.log?.(line);
    if (decision.event === 'serving') this.#isTrial = false;
    if (told.event !== 'exit' || !this.#isTrial) return;
    this.#queue.push({
      type: 'kill',
      now: performance.now(),
      by: 'a worker failed before all served',
    });
  }

  /** An error of this program's own. It must not get as far as Node, which would wait for threads. */
  #fail(error: unknown): never {
    try {
      const text = errorText(error);
      this.#workers.reports.fail(text);
      this.#tell({ event: 'failed', error: text });
      this.#exit(FAILED);
    } catch {
      // The first error is told. The workers end with this process.
      _exit(FAILED);
    }
  }

  /** Whoever is being told of an alarm lives no longer than this process. */
  #awaitAlarms(): void {
    if (this.#alarms === undefined) return;
    const areTold = () => {
      for (const event of this.#workers.reap(performance.now())) this.#childEvent(event);
      return this.#alarms!.idle;
    };
    waitUntil(areTold, TELLING, 10);
  }

  #exit(code: number): never {
    this.#awaitAlarms();
    waitUntil(() => !this.#workers.clear(), CLEARING, 2);
    this.#resources.groups?.[Symbol.dispose]();
    this.#resources.channels?.[Symbol.dispose]();
    this.#images?.[Symbol.dispose]();
    if (!this.#reportsTo.isWorker) for (const listener of openListeners()) listener.close();
    this.#reportEnd(code);
    this.#resources.control?.[Symbol.dispose]();
    _exit(code);
  }

  #reportEnd(code: number): void {
    if (code !== 0) {
      this.#reportsTo.ended(code, this.#workers.reports.lastError);
    } else if (this.#stopped && !this.#announced) {
      const { lastError } = this.#workers.reports;
      const text = this.#isTrial ? lastError : undefined;
      this.#reportsTo.ended(1, text ?? 'doublefork: stopped before the workers were ready');
    } else {
      this.#reportsTo.ended(0, undefined);
    }
  }
}

function askerFor(client: Requester, { phases }: { phases?: boolean }): Asker {
  return {
    phase: (phase) => {
      if (phases) client.send(JSON.stringify(phase));
    },
    settle: (error) => answer(client, error === undefined ? { ok: true } : { ok: false, error }),
  };
}

/** In ms, as poll(2) wants it: -1 for ever, rounded up so that the time has come when it returns. */
function timeoutUntil(deadline: number): number {
  if (deadline === Number.POSITIVE_INFINITY) return -1;
  return Math.min(2 ** 31 - 1, Math.max(0, Math.ceil(deadline - performance.now())));
}

/** The descriptors that are ready, with their events. */
function readyAmong(requests: PollRequest[], timeout: number): Map<number, number> {
  const ready = new Map<number, number>();
  try {
    for (const [index, events] of poll(requests, timeout).entries()) {
      if (events !== 0) ready.set(requests[index]!.fd, events);
    }
  } catch (error) {
    // A signal: the self-pipe has it.
    if ((error as NodeJS.ErrnoException).code !== 'EINTR') throw error;
  }
  return ready;
}
