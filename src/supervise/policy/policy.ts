// What the supervisor does, and when: a pure function over two tables. Rows are phases, columns are
// events, and a cell names the rule; supervisor.ts only carries the actions out.

import { drawConsequences } from './consequences.js';
import { askToEnd, changeCause, exited, kill } from './ending.js';
import {
  giveUpOnRequest,
  haveWorkers,
  park,
  recycle,
  restartAll,
  restartOne,
  resume,
  scale,
  stopAtOnce,
  stopOnRequest,
} from './orders.js';
import { replaceForAge } from './replacements.js';
import { expiryOf } from './slot.js';
import { arrived, becameReady, forked, resetWatchdog, unforked } from './starting.js';
import type { Action, Event, Limits, State, SupervisorPhase } from './state.js';
import { type ProcessEvent, type ProcessTable, Transition } from './transition.js';
import { checkUsage } from './usage.js';

/** A supervisor that has not started anything yet; parked: another image is to serve. */
export function initial(limits: Limits, phase: 'running' | 'parked' = 'running'): State {
  return {
    limits,
    phase,
    slots: [],
    replacements: [],
    recycling: false,
    restarts: 0,
    announced: false,
    vacated: false,
    exitCode: 0,
  };
}

/** The next state and what is to be done, in order. The given state is left as it is. */
export function decide(state: State, event: Event): readonly [State, readonly Action[]] {
  if (state.phase === 'ended') return [state, []];
  const t = new Transition(copy(state), event.now, processTable);
  // The table has a rule for exactly this type of event in this cell.
  const rule = supervisorTable[state.phase][event.type] as Rule<Event>;
  rule(t, event);
  drawConsequences(t);
  return [t.state, t.actions];
}

/** When the policy wants its next tick; Infinity: when something happens. */
export function nextDeadline(state: State): number {
  let next = Number.POSITIVE_INFINITY;
  for (const slot of state.slots) {
    if (!slot.forking) next = Math.min(next, slot.startAt);
    for (const process of slot.processes) {
      next = Math.min(next, process.deadline, expiryOf(process));
    }
  }
  return next;
}

type Rule<E> = (t: Transition, event: E) => void;
type SupervisorRow = {
  readonly [T in Event['type']]: Rule<Extract<Event, { type: T }>>;
};

const ignore = (): void => {};

/** What processes do is the same in every phase. */
const everyPhase = {
  forked,
  unforked,
  arrived: toProcess,
  ready: toProcess,
  ping: toProcess,
  usage: toProcess,
  exited: toProcess,
  tick: timePassed,
  kill: stopAtOnce,
} satisfies Partial<SupervisorRow>;

/** In phase `ended` nothing happens any more. */
const supervisorTable: Readonly<Record<Exclude<SupervisorPhase, 'ended'>, SupervisorRow>> = {
  running: {
    ...everyPhase,
    start: haveWorkers,
    stop: stopOnRequest,
    restart: restartAll,
    'restart-one': restartOne,
    'give-up': giveUpOnRequest,
    recycle,
    scale,
    park,
    resume: ignore,
  },
  parked: {
    ...everyPhase,
    start: ignore,
    stop: stopOnRequest,
    restart: ignore,
    'restart-one': ignore,
    'give-up': ignore,
    recycle: ignore,
    scale: ignore,
    park: ignore,
    resume,
  },
  stopping: {
    ...everyPhase,
    start: ignore,
    stop: ignore,
    restart: ignore,
    'restart-one': ignore,
    'give-up': ignore,
    recycle: ignore,
    scale: ignore,
    park: ignore,
    resume: ignore,
  },
};

const processTable: ProcessTable = {
  starting: {
    arrived,
    ready: becameReady,
    ping: ignore,
    usage: ignore,
    overdue: (t, slot, process) => askToEnd(t, slot, process, 'not ready'),
    expired: ignore,
    end: (t, slot, process, { cause }) => askToEnd(t, slot, process, cause),
    exited,
  },
  ready: {
    arrived: ignore,
    ready: ignore,
    ping: resetWatchdog,
    usage: checkUsage,
    overdue: (t, slot, process) => askToEnd(t, slot, process, 'watchdog'),
    expired: replaceForAge,
    end: (t, slot, process, { cause }) => askToEnd(t, slot, process, cause),
    exited,
  },
  stopping: {
    arrived: ignore,
    ready: ignore,
    ping: ignore,
    usage: ignore,
    overdue: kill,
    expired: ignore,
    end: changeCause,
    exited,
  },
  killing: {
    arrived: ignore,
    ready: ignore,
    ping: ignore,
    usage: ignore,
    overdue: ignore,
    expired: ignore,
    end: changeCause,
    exited,
  },
};

function toProcess(t: Transition, event: { pid: number } & ProcessEvent): void {
  for (const slot of t.state.slots) {
    const process = slot.processes.find(({ pid }) => pid === event.pid);
    if (process !== undefined) t.happen(slot, process, event);
  }
}

/**
 * A supervisor that was stopped, or a machine that was, has not heard the pings of that time, so it is
 * not held against the workers.
 */
function timePassed(t: Transition, { late }: { late: number }): void {
  for (const slot of [...t.state.slots]) {
    for (const process of [...slot.processes]) {
      if (process.phase === 'ready') process.deadline += late;
      if (process.deadline <= t.now) t.happen(slot, process, { type: 'overdue' });
      if (expiryOf(process) <= t.now) t.happen(slot, process, { type: 'expired' });
    }
  }
}

function copy(state: State): State {
  return {
    ...state,
    slots: state.slots.map((slot) => ({
      ...slot,
      processes: slot.processes.map((process) => ({
        ...process,
        gauges: { ...process.gauges },
      })),
      failures: [...slot.failures],
    })),
    replacements: [...state.replacements],
  };
}
