// Has somebody told of what needs a person. A supervisor runs nothing of the program, and waits for nobody:
// each alarm is a short-lived program of its own (alarm-program.ts), which tells it.

import { join } from '../builtin/path.js';
import type { Decision, Outcome } from './policy/state.js';
import { describeOutcome, sentence } from './sentences.js';
import { startProgram } from './spawner.js';

/** Whom to tell. */
export type AlarmHook =
  | { kind: 'command'; argv: readonly string[] }
  /** Gets it by POST. */
  | { kind: 'http'; url: string }
  /** Its default export is called with it. */
  | { kind: 'module'; url: string };

/** What an alarm tells. */
export interface Alarm {
  /** As the supervisor's log has it. */
  event: string;
  /** The same as a sentence. */
  message: string;
  /** When, as in Date.prototype.toISOString(). */
  time: string;
  /** Of the supervisor. */
  pid: number;
  /** What else is known: worker, resource, value, limit, error. */
  [detail: string]: unknown;
}

/** What is worth waking somebody for. */
const ALARMS: ReadonlySet<Decision['event']> = new Set(['alarm', 'give-up', 'gave-up', 'failed']);

/** How many may be on their way at once: a hook that hangs must not fill the machine. */
const MOST = 8;
/** How long a hook may take, in ms. */
export const PATIENCE = 30_000;

export class Alarms {
  readonly #hook: AlarmHook;
  readonly #adopt: (pid: number) => void;
  readonly #tell: (decision: Decision) => void;
  readonly #running = new Set<number>();

  /** @param adopt hears of each process @param tell hears what went wrong */
  constructor(hook: AlarmHook, adopt: (pid: number) => void, tell: (decision: Decision) => void) {
    this.#hook = hook;
    this.#adopt = adopt;
    this.#tell = tell;
  }

  /** Whether nobody is being told of anything. */
  get idle(): boolean {
    return this.#running.size === 0;
  }

  /** A decision; of most nobody needs to be told. */
  decided(decision: Decision): void {
    if (!ALARMS.has(decision.event)) return;
    if (this.#running.size >= MOST) {
      this.#failed(`${MOST} hooks have not ended yet`);
      return;
    }
    const alarm: Alarm = {
      ...decision,
      message: sentence(decision),
      time: new Date().toISOString(),
      pid: process.pid,
    };
    const program = join(import.meta.dirname, 'alarm.js');
    // What a debugger or an agent has in NODE_OPTIONS is for the program.
    const node = ['/usr/bin/env', '-u', 'NODE_OPTIONS', process.execPath];
    try {
      const order = JSON.stringify({ hook: this.#hook, alarm });
      const { pid, error } = startProgram([...node, program, order], []);
      this.#running.add(pid);
      this.#adopt(pid);
      if (error !== undefined) this.#failed(error.message);
    } catch (error) {
      this.#failed((error as Error).message);
    }
  }

  /** @returns whether the process was one of these */
  exited(pid: number, outcome: Outcome): boolean {
    if (!this.#running.delete(pid)) return false;
    if (outcome.exitCode !== 0) this.#failed(`the hook ${describeOutcome(outcome)}`);
    return true;
  }

  #failed(error: string): void {
    this.#tell({ event: 'alarm-failed', error });
  }
}
