// One event's passage through the policy.

import type {
  Action,
  Cause,
  Decision,
  Outcome,
  ProcessPhase,
  Resource,
  Slot,
  State,
  WorkerProcess,
} from './state.js';

/** What can happen to one process. */
export type ProcessEvent =
  | { type: 'arrived' }
  | { type: 'ready' }
  | { type: 'ping' }
  | { type: 'usage'; resource: Resource; value: number }
  /** Its phase has lasted too long. */
  | { type: 'overdue' }
  /** It is old enough to be replaced. */
  | { type: 'expired' }
  /** It is to end. */
  | { type: 'end'; cause: Cause }
  | { type: 'exited'; outcome: Outcome; random: number };

export type ProcessRule<E> = (t: Transition, slot: Slot, process: WorkerProcess, event: E) => void;

/** A rule for each event in each phase of a process. */
export type ProcessTable = {
  readonly [P in ProcessPhase]: {
    readonly [T in ProcessEvent['type']]: ProcessRule<Extract<ProcessEvent, { type: T }>>;
  };
};

/** Rules change its state, which is a copy, and note what is to be done. */
export class Transition {
  readonly state: State;
  readonly now: number;
  readonly actions: Action[] = [];
  readonly #table: ProcessTable;

  constructor(state: State, now: number, table: ProcessTable) {
    this.state = state;
    this.now = now;
    this.#table = table;
  }

  /** Applies the rule for a process in its phase. */
  happen(slot: Slot, process: WorkerProcess, event: ProcessEvent): void {
    // The table has a rule for exactly this type of event in this cell.
    const rule = this.#table[process.phase][event.type] as ProcessRule<ProcessEvent>;
    rule(this, slot, process, event);
  }

  act(action: Action): void {
    this.actions.push(action);
  }

  tell(decision: Decision): void {
    this.act({ type: 'tell', decision });
  }

  /** Asks for the next process of a worker. */
  fork(slot: Slot): void {
    slot.forking = true;
    slot.startAt = Number.POSITIVE_INFINITY;
    slot.generation++;
    const { id, generation, restarts } = slot;
    this.act({ type: 'fork', id, generation, restarts });
  }
}
