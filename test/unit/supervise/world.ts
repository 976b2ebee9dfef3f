// A world for the policy to act on: processes that come, obey signals or do not, and end.

import { decide, initial, nextDeadline } from '../../../src/supervise/policy/policy.js';
import type {
  Action,
  Decision,
  Event,
  Limits,
  Outcome,
  State,
  WorkerProcess,
} from '../../../src/supervise/policy/state.js';

export const limits: Limits = {
  restart: 'always',
  maxRestarts: 0,
  maxFailures: 0,
  failureWindow: 0,
  minUptime: 1000,
  backoff: { initial: 100, factor: 2, max: 30_000, jitter: 0 },
  arrives: false,
  manualReady: false,
  readyTimeout: 5000,
  stopSignal: 'SIGTERM',
  stopTimeout: 10_000,
  watchdog: 0,
  usage: {
    memory: { warn: 0, replace: 0 },
    cpu: { warn: 0, replace: 0 },
    'event-loop delay': { warn: 0, replace: 0 },
    descriptors: { warn: 0, replace: 0 },
  },
  maxLifetime: 0,
  lifetimeJitter: 0,
  giveUpCode: 1,
};

export const crash: Outcome = {
  exitCode: null,
  signal: 'SIGSEGV',
  coreDumped: false,
  outOfMemory: false,
};
export const exit = (exitCode: number): Outcome => ({ ...crash, signal: null, exitCode });

/** An event without its time and luck. */
type Untimed = Event extends infer E
  ? E extends Event
    ? Omit<E, 'now' | 'random'>
    : never
  : never;

export class World {
  state: State;
  now = 1_000_000;
  /** What the kernel knows to run. */
  readonly processes = new Map<
    number,
    { id: number; signals: NodeJS.Signals[]; killed: boolean }
  >();
  readonly decisions: Decision[] = [];
  readonly actions: Action[] = [];
  exitCode: number | undefined;
  refuseForks = false;
  random = 0.5;
  #pid = 100;

  constructor(changes: Partial<Limits> = {}, workers = 1) {
    this.state = initial({ ...limits, ...changes });
    if (workers > 0) this.send({ type: 'start', workers });
  }

  /** Another world that is as this one is now. What was told so far stays behind. */
  copy(): World {
    const world = new World({}, 0);
    for (const [pid, known] of this.processes) {
      world.processes.set(pid, { ...known, signals: [...known.signals] });
    }
    const { state, now, exitCode, refuseForks, random } = this;
    world.#pid = this.#pid;
    return Object.assign(world, { state, now, exitCode, refuseForks, random });
  }

  /** One event, and everything that follows from it at once. Checks what must always hold. */
  send(event: Untimed): void {
    const before = structuredClone(this.state);
    const full = { ...event, now: this.now, random: this.random } as Event;
    const [next, actions] = decide(this.state, full);
    if (JSON.stringify(this.state) !== JSON.stringify(before)) throw new Error('not pure');
    if (before.phase === 'ended' && actions.length > 0) throw new Error('it acts after its end');
    this.state = next;
    for (const action of actions) this.#perform(action, before);
    this.check();
  }

  #perform(action: Action, before: State): void {
    this.actions.push(action);
    switch (action.type) {
      case 'fork': {
        if (this.state.phase !== 'running') throw new Error('a fork after the stop');
        const { id } = action;
        if (this.refuseForks) {
          this.send({ type: 'unforked', id, code: 'EAGAIN' });
        } else {
          const pid = ++this.#pid;
          this.processes.set(pid, { id, signals: [], killed: false });
          this.send({ type: 'forked', id, pid });
        }
        return;
      }
      case 'signal': {
        const target = this.processes.get(action.pid);
        if (target === undefined) throw new Error(`a signal to ${action.pid}, which is gone`);
        target.signals.push(action.signal);
        return;
      }
      case 'kill': {
        const target = this.processes.get(action.pid);
        if (target === undefined) throw new Error(`a kill of ${action.pid}, which is gone`);
        target.killed = true;
        return;
      }
      case 'tell':
        this.decisions.push(action.decision);
        return;
      case 'exit':
        if (this.exitCode !== undefined) throw new Error('two exits');
        if (this.processes.size > 0) throw new Error('an exit with processes left');
        this.exitCode = action.code;
        return;
      case 'announce':
        if (
          !before.slots.every(({ processes }) => processes.length > 0 || this.processes.size > 0)
        ) {
          throw new Error('announced without workers');
        }
    }
  }

  /** What holds in every state. */
  check(): void {
    const { slots, phase, replacements } = this.state;
    const processes = slots.flatMap((slot) => slot.processes);
    const known = new Set(processes.map(({ pid }) => pid));
    const forking = slots.some((slot) => slot.forking);
    const fail = (what: string) => {
      throw new Error(`${what}: ${JSON.stringify(this.state)}`);
    };
    if (known.size !== processes.length) fail('a process in two places');
    if (known.size !== this.processes.size && !forking) fail('processes lost');
    for (const pid of known) if (!this.processes.has(pid)) fail('a process that is none');
    if (new Set(slots.map(({ id }) => id)).size !== slots.length) fail('two workers of one id');
    for (const slot of slots) {
      const count = (role: WorkerProcess['role']) =>
        slot.processes.filter((process) => process.role === role).length;
      if (count('main') > 1) fail('two processes for one worker');
      if (count('successor') > 1) fail('two successors');
      if (count('successor') === 1 && count('main') === 0) fail('a successor of nobody');
      for (const process of slot.processes) {
        if (process.role === 'retired' && !/stopping|killing/.test(process.phase))
          fail('retired, serves');
      }
    }
    const starting = processes.filter(
      (process) => process.role === 'successor' && process.phase === 'starting',
    );
    if (starting.length > 1) fail('two replacements at once');
    if (new Set(replacements.map(({ id }) => id)).size !== replacements.length)
      fail('twice in line');
    if (phase === 'ended' && processes.length > 0) fail('ended with processes');
    // It never falls asleep for good while it has something to do.
    const waits = phase === 'running' && slots.length > 0 && processes.length === 0 && !forking;
    if (waits && nextDeadline(this.state) === Number.POSITIVE_INFINITY) fail('asleep for ever');
  }

  /** Time passes until the policy's next deadline. */
  advance(): void {
    const next = nextDeadline(this.state);
    if (next !== Number.POSITIVE_INFINITY) this.now = Math.max(this.now, next);
    this.send({ type: 'tick', late: 0 });
  }

  pass(ms: number): void {
    this.now += ms;
    this.send({ type: 'tick', late: 0 });
  }

  exited(pid: number, outcome: Outcome): void {
    if (!this.processes.delete(pid)) throw new Error(`${pid} is no process`);
    this.send({ type: 'exited', pid, outcome });
  }

  /** The process that serves as a worker. */
  main(id = 1): WorkerProcess {
    const process = this.state.slots
      .find((slot) => slot.id === id)
      ?.processes.find(({ role }) => role === 'main');
    if (process === undefined) throw new Error(`worker ${id} has no process`);
    return process;
  }

  told(event: Decision['event']): Decision[] {
    return this.decisions.filter((decision) => decision.event === event);
  }
}
