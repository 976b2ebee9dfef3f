// The supervisor's loop. After the first fork nothing of the program runs here any more: its other
// threads are stopped for good, its event loop does not turn. What is left waits in poll(2), asks
// policy.ts what to do, and does it.

import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { become } from '../detach/become.js';
import { describe } from '../detach/readiness.js';
import { openListeners } from '../listen/listen.js';
import { POLLIN, type PollRequest, poll } from '../posix/descriptor.js';
import { forkProcess } from '../posix/fork.js';
import { runChildHooks } from '../posix/fork-hooks.js';
import { pause } from '../posix/pause.js';
import { _exit, PR_SET_PDEATHSIG, prctl, setpgid, type WaitResult } from '../posix/process.js';
import { SIG_SETMASK, sigprocmask } from '../posix/signal.js';
import { delegatedGroup, Groups, type WorkerGroup } from './cgroup.js';
import { type Client, ControlSocket, parseRequest } from './control.js';
import { describeExit, Journal } from './decisions.js';
import { Families, killQuietly } from './family.js';
import { blockSignals, Inbox } from './inbox.js';
import { type LinkReader, type LinkWriter, openLink } from './link.js';
import type { Plan } from './options.js';
import { decide, initial, nextDeadline } from './policy/policy.js';
import type { Action, Decision, Event, Exit, Outcome, State } from './policy/state.js';
import { outOfMemoryKills, residentMemory } from './proc.js';
import type { Spawner } from './spawner.js';
import { statusOf } from './status.js';
import type { Upstream } from './upstream.js';
import type { Identity } from './worker.js';

const SIGNALS = [
  'SIGCHLD',
  'SIGTERM',
  'SIGINT',
  'SIGQUIT',
  'SIGHUP',
  'SIGUSR1',
  'SIGUSR2',
] as const satisfies NodeJS.Signals[];

/** How often memory is looked at, in ms. */
const MEMORY_INTERVAL = 5000;
/** So much later than asked for, poll(2) has not only been slow: the process was stopped. In ms. */
const LATE = 1000;
/** How long the end waits for what was killed. In ms. */
const CLEARING = 5000;
/** After so many the supervisor collects its garbage. */
const FORKS_BETWEEN_COLLECTIONS = 200;
/** Exit code after an error of this program's own: EX_SOFTWARE of sysexits(3). */
const FAILED = 70;

/**
 * V8 doubles its young generation as objects survive, up to 48 MB. A supervisor makes so little garbage
 * that it has no use for that, but processes so long that it would get there. 2 is V8's default.
 */
const YOUNG_GROWTH = '--semi-space-growth-factor';

/** What run() returns, in a worker. */
export interface Born {
  identity: Identity;
  link: LinkWriter;
}

export class Supervisor {
  readonly #plan: Plan;
  readonly #upstream: Upstream;
  /** The exec engine; undefined: workers are forks. */
  readonly #spawner: Spawner | undefined;
  /** Images on their way to supervise(), and the program's own signals that came for them. */
  readonly #onTheirWay = new Map<number, Set<NodeJS.Signals>>();
  readonly #journal: Journal;
  readonly #control: ControlSocket | undefined;
  readonly #groups: Groups | undefined;
  readonly #inbox: Inbox;
  readonly #families = new Families();
  readonly #links = new Map<number, LinkReader>();
  /** What workers say that they do, and why they ended. */
  readonly #texts = new Map<number, string>();
  readonly #errors = new Map<number, string>();
  /** How the last process of each worker ended. */
  readonly #exits = new Map<number, string>();
  #lastError: string | undefined;
  readonly #queue: Event[] = [];
  readonly #collectGarbage = garbageCollector();
  readonly #since = performance.now();
  #state: State;
  #forked = false;
  #forks = 0;
  #stopped = false;
  #memoryKills = outOfMemoryKills();
  #nextSample = Number.POSITIVE_INFINITY;
  #nextPing = Number.POSITIVE_INFINITY;
  /** Clients that wait for the end of a reload. */
  #reloading: Client[] = [];

  /** @throws what opening the log, the control socket and the group does, with nothing changed */
  constructor(plan: Plan, upstream: Upstream, spawner: Spawner | undefined) {
    this.#plan = plan;
    this.#upstream = upstream;
    this.#spawner = spawner;
    this.#state = initial({ ...plan.limits, arrives: spawner?.arrives === true });
    this.#journal = new Journal(plan.log);
    try {
      this.#control = this.#openControl();
      this.#groups = this.#openGroups();
      this.#inbox = new Inbox(SIGNALS);
    } catch (error) {
      this.#groups?.[Symbol.dispose]();
      this.#control?.[Symbol.dispose]();
      this.#journal[Symbol.dispose]();
      throw error;
    }
    setFlagsFromString(`${YOUNG_GROWTH}=1`);
    if (plan.limits.memoryLimit > 0) this.#nextSample = this.#since + MEMORY_INTERVAL;
    if (upstream.pingEvery > 0) this.#nextPing = this.#since;
  }

  /** One that was offered and cannot be had, as when another supervisor has it, need not be. */
  #openControl(): ControlSocket | undefined {
    const { control } = this.#plan;
    if (control === undefined) return undefined;
    try {
      return new ControlSocket(control.path);
    } catch (error) {
      if (!control.offered) throw error;
      this.#journal.tell({ event: 'no-control', error: (error as Error).message });
      return undefined;
    }
  }

  #openGroups(): Groups | undefined {
    const { cgroup } = this.#plan;
    if (cgroup === 'none') return undefined;
    if (cgroup !== 'auto') return new Groups(cgroup);
    const own = delegatedGroup();
    if (own === undefined) return undefined;
    try {
      return new Groups(own);
    } catch (error) {
      this.#journal.tell({ event: 'no-cgroup', error: (error as Error).message });
      return undefined;
    }
  }

  /**
   * Starts workers and keeps them. Returns in each of them; the supervisor's own process ends here.
   * @throws if the first fork cannot be made at all, with everything undone
   */
  run(): Born {
    const { workers } = this.#plan;
    this.#queue.push({ type: 'start', now: performance.now(), workers });
    try {
      for (;;) {
        const born = this.#decide();
        if (born !== undefined) return born;
        this.#wait();
      }
    } catch (error) {
      if (this.#forked) this.#fail(error);
      this.#undo();
      throw error;
    }
  }

  /** An error of this program's own. It must not get as far as Node, which would wait for threads. */
  #fail(error: unknown): never {
    try {
      this.#lastError = describe(error);
      this.#tell({ event: 'failed', error: this.#lastError });
      this.#exit(FAILED);
    } catch {
      // The first error is told. The workers end with this process.
      _exit(FAILED);
    }
  }

  /** @returns something in a worker that was forked meanwhile */
  #decide(): Born | undefined {
    for (let event = this.#queue.shift(); event !== undefined; event = this.#queue.shift()) {
      const [state, actions] = decide(this.#state, event);
      this.#state = state;
      for (const action of actions) {
        const born = this.#perform(action);
        if (born !== undefined) return born;
      }
    }
    return undefined;
  }

  #wait(): void {
    const deadline = Math.min(nextDeadline(this.#state), this.#nextSample, this.#nextPing);
    this.#collect();
    const requests = this.#requests();
    const ready = readyAmong(requests, timeoutUntil(deadline));
    const now = performance.now();
    // In this order: what workers have said while this process was stopped counts before the time
    // that has passed meanwhile.
    this.#readLinks(ready, now);
    if (ready.has(this.#inbox.fd)) this.#readInbox(now);
    this.#serve(ready, now);
    if (now < deadline) return;
    const late = now - deadline > LATE ? now - deadline : 0;
    this.#queue.push({ type: 'tick', now, late });
    this.#sample(now);
    if (now >= this.#nextPing) {
      this.#upstream.ping();
      this.#nextPing = now + this.#upstream.pingEvery;
    }
  }

  /** V8 would let garbage grow with the heap of the program, of which nothing moves here any more. */
  #collect(): void {
    if (this.#forks < FORKS_BETWEEN_COLLECTIONS) return;
    this.#forks = 0;
    this.#collectGarbage();
  }

  #requests(): PollRequest[] {
    const requests = [{ fd: this.#inbox.fd, events: POLLIN }];
    for (const link of this.#links.values()) {
      if (!link.ended) requests.push({ fd: link.fd, events: POLLIN });
    }
    return this.#control === undefined ? requests : requests.concat(this.#control.requests());
  }

  #readLinks(ready: ReadonlyMap<number, number>, now: number): void {
    for (const [pid, link] of this.#links) if (ready.has(link.fd)) this.#readLink(pid, link, now);
  }

  #readLink(pid: number, link: LinkReader, now: number): void {
    for (const message of link.read()) {
      if (message.type === 'status') this.#texts.set(pid, message.text);
      else if (message.type === 'error') this.#errors.set(pid, message.text);
      else if (message.type === 'arrived') this.#arrived(pid, now);
      else this.#queue.push({ type: message.type, now, pid });
    }
  }

  #arrived(pid: number, now: number): void {
    const signals = this.#onTheirWay.get(pid) ?? [];
    this.#onTheirWay.delete(pid);
    for (const signal of signals) killQuietly(pid, signal);
    this.#queue.push({ type: 'arrived', now, pid });
  }

  #readInbox(now: number): void {
    for (const { signal, sender } of this.#inbox.take()) {
      const by = sender === 0 ? signal : `${signal} from pid ${sender}`;
      switch (signal) {
        case 'SIGCHLD':
          for (const result of this.#families.reap()) this.#buried(result, now);
          break;
        case 'SIGTERM':
        case 'SIGINT':
          this.#queue.push({ type: 'stop', now, by });
          break;
        case 'SIGQUIT':
          this.#queue.push({ type: 'kill', now, by });
          break;
        case 'SIGHUP':
          this.#queue.push({ type: 'reload', now });
          break;
        default:
          this.#passOn(signal);
      }
    }
  }

  #buried({ pid, exitCode, signal, coreDumped }: WaitResult, now: number): void {
    const link = this.#links.get(pid);
    if (link !== undefined) {
      // Its last words, and that it was ready, come before its end.
      this.#readLink(pid, link, now);
      link[Symbol.dispose]();
      this.#links.delete(pid);
    }
    this.#texts.delete(pid);
    this.#onTheirWay.delete(pid);
    const outOfMemory = signal === 'SIGKILL' && this.#memoryRanOut();
    const outcome: Outcome = { exitCode, signal, coreDumped, outOfMemory };
    this.#queue.push({ type: 'exited', now, pid, outcome, random: Math.random() });
  }

  #memoryRanOut(): boolean {
    const before = this.#memoryKills;
    this.#memoryKills = outOfMemoryKills();
    return this.#memoryKills > before;
  }

  /** Signals whose meaning is the program's. SIGUSR1 opens the logs again, here too. */
  #passOn(signal: NodeJS.Signals): void {
    if (signal === 'SIGUSR1') {
      try {
        this.#journal.reopen();
        this.#upstream.reopenLogs();
      } catch {
        // The old files stay in use; the workers will tell theirs.
      }
    }
    for (const { processes } of this.#state.slots) {
      for (const { pid } of processes) {
        // It has none of the program's handlers, and would end, or start a debugger.
        const kept = this.#onTheirWay.get(pid);
        if (kept === undefined) killQuietly(pid, signal);
        else kept.add(signal);
      }
    }
  }

  #sample(now: number): void {
    if (now < this.#nextSample) return;
    this.#nextSample = now + MEMORY_INTERVAL;
    for (const { processes } of this.#state.slots) {
      for (const { pid } of processes) {
        const bytes = residentMemory(pid);
        if (bytes !== undefined) this.#queue.push({ type: 'memory', now, pid, bytes });
      }
    }
  }

  // What clients of the control socket ask for.

  #serve(ready: ReadonlyMap<number, number>, now: number): void {
    if (this.#control === undefined) return;
    for (const { client, line } of this.#control.serve(ready)) {
      const request = parseRequest(line);
      if (typeof request === 'string') {
        client.send(JSON.stringify({ ok: false, error: request }));
        continue;
      }
      switch (request.command) {
        case 'status': {
          const words = { texts: this.#texts, exits: this.#exits };
          const status = statusOf(this.#state, now, this.#since, words);
          client.send(JSON.stringify({ ok: true, ...status }));
          break;
        }
        case 'log':
          for (const line of this.#journal.recent) client.send(line);
          if (request.follow) client.follows = true;
          else client.end();
          break;
        case 'reload':
          // Answered when it is known how it went.
          this.#reloading.push(client);
          this.#queue.push({ type: 'reload', now });
          break;
        case 'scale':
          this.#queue.push({ type: 'scale', now, workers: request.workers });
          client.send(JSON.stringify({ ok: true }));
          break;
        case 'restart':
          this.#queue.push({ type: 'restart', now });
          client.send(JSON.stringify({ ok: true }));
          break;
        default:
          this.#queue.push({ type: request.command, now, by: 'the control socket' });
          client.send(JSON.stringify({ ok: true }));
      }
    }
  }

  #answerReload(decision: Decision): void {
    const failed =
      decision.event === 'stop' ||
      (decision.event === 'replacement-failed' && decision.reason === 'reload');
    if (!failed && decision.event !== 'reloaded') return;
    const error = this.#lastError ?? 'the replacement failed; the old workers go on';
    const answer = JSON.stringify(failed ? { ok: false, error } : { ok: true });
    for (const client of this.#reloading) client.send(answer);
    this.#reloading = [];
  }

  // What the policy wants.

  #perform(action: Action): Born | undefined {
    switch (action.type) {
      case 'fork':
        return this.#fork(action);
      case 'signal':
        // What it has started would be nobody's once it has ended.
        this.#families.note(action.pid);
        killQuietly(action.pid, action.signal);
        // One that is stopped takes no other signal.
        killQuietly(action.pid, 'SIGCONT');
        return undefined;
      case 'kill':
        this.#families.kill(action.pid);
        return undefined;
      case 'tell':
        this.#tell(action.decision);
        return undefined;
      case 'announce':
        this.#upstream.ready();
        return undefined;
      case 'exit':
        return this.#exit(action.code);
    }
  }

  #tell(decision: Decision): void {
    if (decision.event === 'stop') this.#stopped = true;
    const told = decision.event === 'exit' ? this.#explained(decision) : decision;
    const line = this.#journal.tell(told);
    for (const client of this.#control?.clients ?? []) if (client.follows) client.send(line);
    this.#answerReload(decision);
  }

  /** An exit with what the worker has told of it. */
  #explained(exit: Exit): Exit {
    const error = this.#errors.get(exit.pid);
    this.#errors.delete(exit.pid);
    this.#lastError = error ?? this.#lastError;
    const told = error === undefined ? exit : { ...exit, error };
    this.#exits.set(exit.worker, describeExit(told));
    return told;
  }

  #fork(identity: Identity): Born | undefined {
    const { id } = identity;
    const parent = process.pid;
    // Until the child has its own handlers, no signal may reach ours in it.
    const unblockSignals = blockSignals();
    let link: ReturnType<typeof openLink> | undefined;
    let group: WorkerGroup | undefined;
    let pid: number;
    try {
      link = openLink();
      group = this.#groups?.add();
      pid =
        this.#spawner === undefined
          ? forkProcess({ parent: 'alone' })
          : this.#spawn(identity, link, group);
    } catch (error) {
      group?.close();
      group?.remove();
      link?.reader[Symbol.dispose]();
      link?.writer.close();
      unblockSignals();
      this.#cannotFork(id, error as NodeJS.ErrnoException);
      return undefined;
    }
    const { reader, writer } = link;
    this.#forked = true;
    this.#forks++;
    if (pid === 0) {
      try {
        this.#becomeWorker(parent, reader, group);
        unblockSignals();
        if (this.#plan.exec !== undefined) runProgram(this.#plan.exec);
        runChildHooks({ moved: false });
      } catch (error) {
        writer.error(describe(error));
        _exit(127);
      }
      return { identity, link: writer };
    }
    writer.close();
    group?.close();
    this.#links.set(pid, reader);
    this.#families.add(pid, group);
    try {
      // Both do it: whoever comes first, nobody sees it in the wrong group.
      setpgid(pid, pid);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      // It has exec'ed another program already, or ended.
      if (code !== 'EACCES' && code !== 'ESRCH') throw error;
    }
    unblockSignals();
    this.#queue.unshift({ type: 'forked', now: performance.now(), id, pid, random: Math.random() });
    return undefined;
  }

  #spawn(
    identity: Identity,
    { writer }: { writer: LinkWriter },
    group: WorkerGroup | undefined,
  ): number {
    const { pid, error } = this.#spawner!.start(identity, writer, group);
    if (error !== undefined) this.#errors.set(pid, error.message);
    else if (this.#spawner!.arrives) this.#onTheirWay.set(pid, new Set());
    return pid;
  }

  /** For want of processes, memory or descriptors, which may come again; otherwise for good. */
  #cannotFork(id: number, error: NodeJS.ErrnoException): void {
    const { code = 'unknown' } = error;
    if (!this.#forked && !['EAGAIN', 'ENOMEM', 'EMFILE', 'ENFILE'].includes(code)) throw error;
    this.#queue.unshift({
      type: 'unforked',
      now: performance.now(),
      id,
      code,
      random: Math.random(),
    });
  }

  #undo(): void {
    setFlagsFromString(`${YOUNG_GROWTH}=2`);
    this.#inbox.close();
    this.#groups?.[Symbol.dispose]();
    this.#control?.[Symbol.dispose]();
    this.#journal[Symbol.dispose]();
  }

  /** Undoes in the child what makes a supervisor, signals blocked. */
  #becomeWorker(parent: number, own: LinkReader, group: WorkerGroup | undefined): void {
    setpgid(0, 0);
    endWith(parent);
    group?.enter();
    this.#groups?.release();
    setFlagsFromString(`${YOUNG_GROWTH}=2`);
    this.#inbox.close();
    this.#control?.release();
    this.#journal[Symbol.dispose]();
    own[Symbol.dispose]();
    for (const link of this.#links.values()) link[Symbol.dispose]();
  }

  #exit(code: number): never {
    const deadline = performance.now() + CLEARING;
    while (this.#families.clear() && performance.now() < deadline) pause(2);
    this.#groups?.[Symbol.dispose]();
    const { announced } = this.#state;
    const stopped = !announced && code === 0 && this.#stopped;
    const reason = stopped ? 'doublefork: stopped before the workers were ready' : this.#lastError;
    if (!this.#upstream.isWorker) for (const listener of openListeners()) listener.close();
    this.#upstream.ended(stopped ? 1 : code, code === 0 && !stopped ? undefined : reason);
    this.#control?.[Symbol.dispose]();
    _exit(code);
  }
}

/** V8's own, which it shows to contexts made after the flag was set. */
function garbageCollector(): () => void {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  setFlagsFromString('--no-expose-gc');
  return collect;
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
    // A signal: the inbox has it.
    if ((error as NodeJS.ErrnoException).code !== 'EINTR') throw error;
  }
  return ready;
}

/** A worker must not outlive its supervisor, however that ends. */
function endWith(parent: number): void {
  try {
    prctl(PR_SET_PDEATHSIG, 9);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOSYS') throw error;
  }
  // It may have ended before that.
  if (process.ppid !== parent) _exit(1);
}

function runProgram(argv: readonly string[]): never {
  sigprocmask(SIG_SETMASK, []);
  become({ path: argv[0]!, argv }, process.env);
}
