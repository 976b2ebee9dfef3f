// What the supervisor does, and when: a pure function over two tables. Rows are phases, columns are
// events; the loop in supervisor.ts only carries the actions out.

import { constants } from 'node:os';
import type {
  Action,
  Cause,
  Decision,
  Event,
  Life,
  LifePhase,
  Limits,
  Outcome,
  Reason,
  Slot,
  State,
  SupervisorPhase,
} from './state.js';

/** A supervisor that has not started anything yet. */
export function initial(limits: Limits): State {
  return {
    limits,
    phase: 'running',
    slots: [],
    replacements: [],
    reloading: false,
    restarts: 0,
    announced: false,
    exitCode: 0,
  };
}

/** The next state and what is to be done, in order. The given state is left as it is. */
export function decide(state: State, event: Event): readonly [State, readonly Action[]] {
  const turn = new Turn(copy(state), event.now);
  // The table has a rule for exactly this type of event in this cell.
  const rule = supervisorTable[state.phase][event.type] as Rule<Event>;
  rule(turn, event);
  turn.settle();
  return [turn.state, turn.actions];
}

/** When the policy wants its next tick; Infinity: when something happens. */
export function nextDeadline(state: State): number {
  let next = Number.POSITIVE_INFINITY;
  for (const slot of state.slots) {
    if (!slot.forking) next = Math.min(next, slot.startAt);
    for (const life of slot.lives) next = Math.min(next, life.deadline, expiry(life));
  }
  return next;
}

type Rule<E> = (turn: Turn, event: E) => void;
type SupervisorTable = {
  readonly [P in SupervisorPhase]: {
    readonly [T in Event['type']]: Rule<Extract<Event, { type: T }>>;
  };
};

const never = Number.POSITIVE_INFINITY;

/** Without a limit failures are counted for the backoff only, which has grown to its end by then. */
const FAILURES_KEPT = 100;

/** The kernel would refuse it again at once, and again, with no time for anything else between. */
const LEAST_DELAY_OF_A_REFUSED_FORK = 100;

const ignore = (): void => {};

const supervisorTable: SupervisorTable = {
  running: {
    start: (turn, { workers }) => turn.resize(workers),
    forked: (turn, event) => turn.adopt(event),
    unforked: (turn, event) => turn.refused(event),
    arrived: toLife,
    ready: toLife,
    ping: toLife,
    memory: toLife,
    exited: toLife,
    tick: (turn, event) => turn.tick(event.late),
    stop: (turn, { by }) => turn.stop(by, 0),
    kill: (turn, { by }) => turn.stopAtOnce(by),
    restart: (turn) => turn.restartAll(),
    reload: (turn) => turn.reload(),
    scale: (turn, { workers }) => turn.scale(workers),
  },
  stopping: {
    start: ignore,
    forked: (turn, event) => turn.adopt(event),
    unforked: (turn, event) => turn.refused(event),
    arrived: toLife,
    ready: toLife,
    ping: toLife,
    memory: toLife,
    exited: toLife,
    tick: (turn, event) => turn.tick(event.late),
    stop: ignore,
    kill: (turn, { by }) => turn.stopAtOnce(by),
    restart: ignore,
    reload: ignore,
    scale: ignore,
  },
  ended: {
    start: ignore,
    forked: ignore,
    unforked: ignore,
    arrived: ignore,
    ready: ignore,
    ping: ignore,
    memory: ignore,
    exited: ignore,
    tick: ignore,
    stop: ignore,
    kill: ignore,
    restart: ignore,
    reload: ignore,
    scale: ignore,
  },
};

/** What happens to one process. */
type LifeEvent =
  | { type: 'arrived' }
  | { type: 'ready' }
  | { type: 'ping' }
  | { type: 'memory'; bytes: number }
  /** Its phase has lasted too long. */
  | { type: 'overdue' }
  /** It is old enough to be replaced. */
  | { type: 'expired' }
  | { type: 'end'; cause: Cause }
  | { type: 'exited'; outcome: Outcome; random: number };

type LifeRule<E> = (turn: Turn, slot: Slot, life: Life, event: E) => void;
type LifeTable = {
  readonly [P in LifePhase]: {
    readonly [T in LifeEvent['type']]: LifeRule<Extract<LifeEvent, { type: T }>>;
  };
};

const lifeTable: LifeTable = {
  starting: {
    arrived: (turn, slot, life) => turn.arrive(slot, life),
    ready: (turn, slot, life) => turn.serve(slot, life),
    ping: ignore,
    memory: ignore,
    overdue: (turn, slot, life) => turn.end(slot, life, 'not ready'),
    expired: ignore,
    end: (turn, slot, life, { cause }) => turn.end(slot, life, cause),
    exited: (turn, slot, life, event) => turn.bury(slot, life, event),
  },
  ready: {
    arrived: ignore,
    ready: ignore,
    ping: (turn, _slot, life) => turn.feed(life),
    memory: (turn, slot, life, { bytes }) => turn.weigh(slot, life, bytes),
    overdue: (turn, slot, life) => turn.end(slot, life, 'watchdog'),
    expired: (turn, slot, life) => turn.renew(slot, life),
    end: (turn, slot, life, { cause }) => turn.end(slot, life, cause),
    exited: (turn, slot, life, event) => turn.bury(slot, life, event),
  },
  stopping: {
    arrived: ignore,
    ready: ignore,
    ping: ignore,
    memory: ignore,
    overdue: (turn, slot, life) => turn.kill(slot, life),
    expired: ignore,
    end: changeCause,
    exited: (turn, slot, life, event) => turn.bury(slot, life, event),
  },
  killing: {
    arrived: ignore,
    ready: ignore,
    ping: ignore,
    memory: ignore,
    overdue: ignore,
    expired: ignore,
    end: changeCause,
    exited: (turn, slot, life, event) => turn.bury(slot, life, event),
  },
};

/** One that is being ended for a fault of its own is ended on request from now on. */
function changeCause(_turn: Turn, _slot: Slot, life: Life, { cause }: { cause: Cause }): void {
  life.cause = cause;
}

function happen(turn: Turn, slot: Slot, life: Life, event: LifeEvent): void {
  // The table has a rule for exactly this type of event in this cell.
  (lifeTable[life.phase][event.type] as LifeRule<LifeEvent>)(turn, slot, life, event);
}

function toLife(turn: Turn, event: { pid: number } & LifeEvent): void {
  for (const slot of turn.state.slots) {
    const life = slot.lives.find(({ pid }) => pid === event.pid);
    if (life !== undefined) happen(turn, slot, life, event);
  }
}

/** One event's passage through a state: rules change the copy and note what is to be done. */
class Turn {
  readonly state: State;
  readonly now: number;
  readonly actions: Action[] = [];

  constructor(state: State, now: number) {
    this.state = state;
    this.now = now;
  }

  get #limits(): Limits {
    return this.state.limits;
  }

  #tell(decision: Decision): void {
    this.actions.push({ type: 'tell', decision });
  }

  // Processes come.

  adopt({ id, pid, random }: { id: number; pid: number; random: number }): void {
    const slot = this.state.slots.find((slot) => slot.id === id)!;
    const { arrives, readyTimeout, maxLifetime, lifetimeJitter } = this.#limits;
    const lifetime = maxLifetime * (1 + lifetimeJitter * (2 * random - 1));
    const life: Life = {
      pid,
      generation: slot.generation,
      phase: 'starting',
      role: mainOf(slot) === undefined ? 'main' : 'successor',
      since: this.now,
      wasReady: false,
      cause: undefined,
      deadline: after(this.now, readyTimeout),
      expires: maxLifetime === 0 ? never : this.now + lifetime,
    };
    slot.forking = false;
    slot.startAt = never;
    slot.refusals = 0;
    slot.lives.push(life);
    this.#tell({ event: 'start', worker: id, pid, generation: life.generation });
    // The wish may have changed between the request for it and this.
    if (this.state.phase === 'stopping') happen(this, slot, life, { type: 'end', cause: 'stop' });
    else if (!slot.wanted) happen(this, slot, life, { type: 'end', cause: 'scale' });
    else if (!arrives) this.arrive(slot, life);
  }

  arrive(slot: Slot, life: Life): void {
    life.since = this.now;
    if (!this.#limits.manualReady) happen(this, slot, life, { type: 'ready' });
  }

  refused({ id, code, random }: { id: number; code: string; random: number }): void {
    const slot = this.state.slots.find((slot) => slot.id === id)!;
    slot.forking = false;
    slot.refusals++;
    if (slot.refusals === 1) this.#tell({ event: 'refused', worker: id, code });
    if (mainOf(slot) !== undefined) this.#replacementFailed(slot);
    else if (this.state.phase === 'running' && slot.wanted) {
      const delay = this.#delay(slot.refusals, random);
      slot.startAt = this.now + Math.max(delay, LEAST_DELAY_OF_A_REFUSED_FORK);
    }
  }

  serve(slot: Slot, life: Life): void {
    const { watchdog } = this.#limits;
    life.phase = 'ready';
    life.wasReady = true;
    life.deadline = after(this.now, watchdog);
    const elapsed = Math.round(this.now - life.since);
    this.#tell({ event: 'ready', worker: slot.id, pid: life.pid, after: elapsed });
    if (life.role === 'successor') {
      const old = mainOf(slot)!;
      life.role = 'main';
      old.role = 'retired';
      happen(this, slot, old, { type: 'end', cause: 'replaced' });
      this.#replaced(slot);
    }
  }

  feed(life: Life): void {
    life.deadline = after(this.now, this.#limits.watchdog);
  }

  // Time passes.

  /**
   * A supervisor that was stopped, or a machine that was, has not heard the pings of that time, so it
   * is not held against the workers.
   */
  tick(late: number): void {
    for (const slot of [...this.state.slots]) {
      for (const life of [...slot.lives]) {
        if (life.phase === 'ready') life.deadline += late;
        if (life.deadline <= this.now) happen(this, slot, life, { type: 'overdue' });
        if (expiry(life) <= this.now) happen(this, slot, life, { type: 'expired' });
      }
    }
  }

  weigh(slot: Slot, life: Life, bytes: number): void {
    const { memoryLimit } = this.#limits;
    if (memoryLimit === 0 || bytes <= memoryLimit || life.role !== 'main') return;
    if (this.now >= slot.replaceAfter) this.#replace(slot, 'memory');
  }

  renew(slot: Slot, life: Life): void {
    life.expires = never;
    this.#replace(slot, 'lifetime');
  }

  // Processes go.

  end(slot: Slot, life: Life, cause: Cause): void {
    const signal = cause === 'watchdog' ? 'SIGABRT' : this.#limits.stopSignal;
    life.phase = 'stopping';
    life.cause = cause;
    life.deadline = after(this.now, this.#limits.stopTimeout);
    this.#tell({ event: 'end', worker: slot.id, pid: life.pid, cause, signal });
    this.actions.push({ type: 'signal', pid: life.pid, signal });
    if (life.role !== 'successor') return;
    life.role = 'retired';
    this.#replacementFailed(slot);
  }

  kill(slot: Slot, life: Life): void {
    life.phase = 'killing';
    life.deadline = never;
    this.#tell({ event: 'kill', worker: slot.id, pid: life.pid });
    this.actions.push({ type: 'kill', pid: life.pid });
  }

  bury(slot: Slot, life: Life, event: { outcome: Outcome; random: number }): void {
    const { outcome, random } = event;
    const uptime = Math.round(this.now - life.since);
    const cause = life.cause ?? 'itself';
    slot.lives.splice(slot.lives.indexOf(life), 1);
    this.#tell({ event: 'exit', worker: slot.id, pid: life.pid, uptime, cause, ...outcome });

    if (life.role === 'successor') this.#replacementFailed(slot);
    if (life.role !== 'main') return;
    slot.lastExit = outcome;
    if (this.state.phase !== 'running' || !slot.wanted) return;
    const successor = successorOf(slot);
    if (successor !== undefined) {
      successor.role = 'main';
      this.#replaced(slot);
    } else if (life.cause === 'restart') {
      slot.startAt = this.now;
    } else {
      this.#afterDeath(slot, uptime >= this.#limits.minUptime && life.wasReady, outcome, random);
    }
  }

  /** It ended by itself, or for a fault of its own. */
  #afterDeath(slot: Slot, healthy: boolean, outcome: Outcome, random: number): void {
    const { restart, maxRestarts, maxFailures } = this.#limits;
    const clean = outcome.exitCode === 0;
    this.#count(slot, healthy);
    const failures = slot.failures.length;
    if (restart === 'never' || (restart === 'on-failure' && clean)) {
      this.#done(slot);
    } else if (maxFailures > 0 && failures > maxFailures) {
      this.#giveUp(slot, failures);
    } else if (maxRestarts > 0 && this.state.restarts >= maxRestarts) {
      this.#done(slot);
    } else {
      this.#startAgain(slot, healthy ? 0 : this.#delay(failures, random));
    }
  }

  #startAgain(slot: Slot, delay: number): void {
    this.state.restarts++;
    slot.restarts++;
    slot.startAt = this.now + delay;
    if (delay === 0) return;
    this.#tell({ event: 'backoff', worker: slot.id, delay, failures: slot.failures.length });
  }

  #count(slot: Slot, healthy: boolean): void {
    const { failureWindow, maxFailures } = this.#limits;
    if (failureWindow > 0) {
      slot.failures = slot.failures.filter((at) => at > this.now - failureWindow);
    } else if (healthy) {
      slot.failures = [];
    }
    if (!healthy) slot.failures.push(this.now);
    const kept = maxFailures === 0 ? FAILURES_KEPT : maxFailures + 1;
    if (slot.failures.length > kept) slot.failures.shift();
  }

  #delay(failures: number, random: number): number {
    const { initial, factor, max, jitter } = this.#limits.backoff;
    const delay = initial === 0 ? 0 : Math.min(max, initial * factor ** (failures - 1));
    return Math.round(delay * (1 + jitter * (2 * random - 1)));
  }

  #done(slot: Slot): void {
    this.#tell({ event: 'done', worker: slot.id, restarts: slot.restarts });
  }

  #giveUp(slot: Slot, failures: number): void {
    const { giveUpCode } = this.#limits;
    this.#tell({ event: 'give-up', worker: slot.id, failures, code: giveUpCode });
    this.stop(undefined, giveUpCode);
  }

  // One process after another.

  #replace(slot: Slot, reason: Reason): void {
    if (this.state.replacements.some(({ id }) => id === slot.id)) return;
    this.state.replacements.push({ id: slot.id, reason });
  }

  #replaced(slot: Slot): void {
    const { replacements } = this.state;
    const done = replacements.find(({ id }) => id === slot.id);
    if (done === undefined) return;
    replacements.splice(replacements.indexOf(done), 1);
  }

  /** The old one goes on serving. What fails for one worker is not tried on the others. */
  #replacementFailed(slot: Slot): void {
    const failed = this.state.replacements.find(({ id }) => id === slot.id);
    if (failed === undefined) return;
    const { reason } = failed;
    this.state.replacements = this.state.replacements.filter(
      (other) => other !== failed && (reason !== 'reload' || other.reason !== 'reload'),
    );
    if (reason === 'reload') this.state.reloading = false;
    this.#tell({ event: 'replacement-failed', worker: slot.id, reason });
    slot.replaceAfter = this.now + this.#limits.backoff.max;
    const main = mainOf(slot);
    if (main !== undefined && reason === 'lifetime') main.expires = slot.replaceAfter;
  }

  #startReplacement(): void {
    for (;;) {
      const next = this.state.replacements[0];
      if (next === undefined) return;
      const slot = this.state.slots.find(({ id }) => id === next.id);
      const main = slot && mainOf(slot);
      if (slot === undefined || main === undefined || main.phase !== 'ready') {
        // Its next process is a new one anyway, or there is none to come.
        if (slot !== undefined && successorOf(slot) !== undefined) return;
        this.state.replacements.shift();
        continue;
      }
      if (slot.forking || successorOf(slot) !== undefined) return;
      this.#tell({ event: 'replace', worker: slot.id, pid: main.pid, reason: next.reason });
      this.#fork(slot);
      return;
    }
  }

  // Orders.

  /** @param by who wants it; undefined: it gives up */
  stop(by: string | undefined, code: number): void {
    this.state.phase = 'stopping';
    this.state.exitCode = code;
    this.state.replacements = [];
    this.state.reloading = false;
    if (by !== undefined) this.#tell({ event: 'stop', by });
    for (const slot of this.state.slots) {
      slot.startAt = never;
      this.#endLives(slot, 'stop');
    }
  }

  stopAtOnce(by: string): void {
    if (this.state.phase === 'running') this.stop(by, 0);
    for (const slot of this.state.slots) {
      for (const life of slot.lives) if (life.phase === 'stopping') this.kill(slot, life);
    }
  }

  restartAll(): void {
    this.state.replacements = [];
    for (const slot of this.state.slots) {
      slot.failures = [];
      if (mainOf(slot) === undefined) slot.startAt = this.now;
      this.#endLives(slot, 'restart');
    }
  }

  reload(): void {
    this.state.reloading = true;
    for (const slot of this.state.slots) this.#replace(slot, 'reload');
  }

  scale(workers: number): void {
    const from = this.state.slots.filter(({ wanted }) => wanted).length;
    this.#tell({ event: 'scale', from, to: workers });
    for (const slot of this.state.slots) {
      if (slot.id <= workers || !slot.wanted) continue;
      slot.wanted = false;
      this.state.replacements = this.state.replacements.filter(({ id }) => id !== slot.id);
      slot.startAt = never;
      this.#endLives(slot, 'scale');
    }
    this.resize(workers);
  }

  /** Has workers up to this number. One that was on its way out comes back as a new process. */
  resize(workers: number): void {
    for (let id = 1; id <= workers; id++) {
      const slot = this.state.slots.find((slot) => slot.id === id);
      if (slot === undefined) this.state.slots.push(emptySlot(id, this.now));
      else if (!slot.wanted) {
        slot.wanted = true;
        if (mainOf(slot) === undefined) slot.startAt = this.now;
        this.#endLives(slot, 'restart');
      }
    }
  }

  #endLives(slot: Slot, cause: Cause): void {
    for (const life of slot.lives) {
      if (life.role !== 'retired') happen(this, slot, life, { type: 'end', cause });
    }
  }

  #fork(slot: Slot): void {
    slot.forking = true;
    slot.startAt = never;
    slot.generation++;
    const { id, generation, restarts } = slot;
    this.actions.push({ type: 'fork', id, generation, restarts });
  }

  /** What follows from the state as it is now, whatever the event was. */
  settle(): void {
    const { state } = this;
    state.slots = state.slots.filter((slot) => slot.wanted || !isIdle(slot));
    if (state.phase === 'running') {
      for (const slot of state.slots) {
        if (slot.startAt <= this.now && !slot.forking) this.#fork(slot);
      }
      this.#startReplacement();
      this.#finishReload();
      this.#announce();
    }
    this.#finish();
  }

  #finishReload(): void {
    const { state } = this;
    if (!state.reloading || state.replacements.some(({ reason }) => reason === 'reload')) return;
    state.reloading = false;
    this.#tell({ event: 'reloaded' });
  }

  #announce(): void {
    const { state } = this;
    if (state.announced || state.slots.length === 0) return;
    if (!state.slots.every((slot) => mainOf(slot)?.phase === 'ready')) return;
    state.announced = true;
    this.#tell({ event: 'serving', workers: state.slots.length });
    this.actions.push({ type: 'announce' });
  }

  /** It is over when nothing runs and nothing will. Scaled to none, it waits for orders. */
  #finish(): void {
    const { state } = this;
    if (state.phase === 'ended' || !state.slots.every(isIdle)) return;
    if (state.phase === 'running') {
      if (state.slots.length === 0) return;
      state.exitCode = state.slots.map(lastCode).find((code) => code !== 0) ?? 0;
    }
    state.phase = 'ended';
    this.#tell({ event: 'stopped', code: state.exitCode });
    this.actions.push({ type: 'exit', code: state.exitCode });
  }
}

function emptySlot(id: number, startAt: number): Slot {
  return {
    id,
    wanted: true,
    lives: [],
    generation: 0,
    restarts: 0,
    failures: [],
    startAt,
    forking: false,
    refusals: 0,
    replaceAfter: 0,
    lastExit: undefined,
  };
}

function after(now: number, span: number): number {
  return span === 0 ? never : now + span;
}

function mainOf(slot: Slot): Life | undefined {
  return slot.lives.find(({ role }) => role === 'main');
}

/** Only who serves is replaced for its age. */
function expiry(life: Life): number {
  return life.phase === 'ready' && life.role === 'main' ? life.expires : never;
}

function successorOf(slot: Slot): Life | undefined {
  return slot.lives.find(({ role }) => role === 'successor');
}

/** Nothing of it runs and nothing will. */
function isIdle({ lives, forking, startAt }: Slot): boolean {
  return lives.length === 0 && !forking && startAt === never;
}

/** How its last process ended, as a shell tells it. */
function lastCode({ lastExit }: Slot): number {
  if (lastExit === undefined) return 0;
  const { exitCode, signal } = lastExit;
  return exitCode ?? 128 + (constants.signals[signal!] ?? 0);
}

function copy(state: State): State {
  return {
    ...state,
    slots: state.slots.map((slot) => ({
      ...slot,
      lives: slot.lives.map((life) => ({ ...life })),
      failures: [...slot.failures],
    })),
    replacements: [...state.replacements],
  };
}
