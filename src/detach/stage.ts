// How the exec engine's new image learns what it is: descriptors that it inherited, told by one
// variable in its environment. It reads `inode:word:{...}:pid`, see Stage; the inode is that of the
// pipe `word`, and pid the one process that it is meant for.
//
// There is no counting of generations. In any other process, a child of that one for instance, the
// variable means nothing. What it tells is the way: the calls of daemonize() and supervise() that had
// returned in the process that made this image. The new image comes to the same calls, each of which
// returns at once as it did there, and the last of them with what was handed over.

import { fstatSync } from 'node:fs';
import { setCloseOnExec } from '../posix/descriptor.js';
import { shared } from '../posix/shared.js';
import type { HandedOver } from './redirect.js';

export const VARIABLE = 'DOUBLEFORK_STAGE';

/** A call that has returned, and as what. */
export type Step =
  | { call: 'daemonize'; detached: boolean }
  | { call: 'supervise'; id: number; generation: number; restarts: number };

type StepOf<C extends Step['call']> = Extract<Step, { call: C }>;

/** What is handed over to the last call. */
export interface Stage {
  /** The pipe to the launcher, or to the supervisor. */
  word: number;
  /** What to put onto fd 0-2; null: leave it. */
  stdio: readonly (HandedOver | null)[];
  /** The locked pidfile, if there is one. */
  pidfile: HandedOver | null;
}

interface Told extends Omit<Stage, 'word'> {
  /** By name, the sockets of listen(). */
  listeners: Record<string, number>;
  steps: Step[];
}

/** What one copy of this module has taken is gone for the others. */
interface Way {
  /** The process that is on it; a fork of that is not. */
  pid: number;
  passed: Step[];
  ahead: Step[];
  stage: Stage | undefined;
  listeners: Map<string, number>;
  /** Descriptors that came with the stage. */
  descriptors: ReadonlySet<number>;
}

const way = shared('way', () => ({ ...start(), ...read(process.env[VARIABLE]) }));

// At once, not when a call comes: nothing of it may reach what the program starts before.
delete process.env[VARIABLE];

function start(): Way {
  const nothing = { stage: undefined, listeners: new Map(), descriptors: new Set<number>() };
  return { pid: process.pid, passed: [], ahead: [], ...nothing };
}

function read(variable: string | undefined): Partial<Way> {
  if (variable === undefined) return {};
  const match = /^(\d+):(\d+):(.*):(\d+)$/s.exec(variable);
  const [, inode, word, text, pid] = match ?? [];
  const told =
    Number(pid) === process.pid && isPipe(Number(word), Number(inode)) ? parse(text!) : undefined;
  if (told === undefined) return {};
  const stage = { word: Number(word), stdio: told.stdio, pidfile: told.pidfile };
  const descriptors = new Set([stage.word, ...descriptorsOf(told)]);
  for (const fd of descriptors) setCloseOnExec(fd, true);
  const listeners = new Map(Object.entries(told.listeners));
  return { ahead: told.steps, stage, listeners, descriptors };
}

/** undefined: somebody else has written it. */
function parse(text: string): Told | undefined {
  try {
    const told = JSON.parse(text) as Told;
    const known = told.steps.every(({ call }) => call === 'daemonize' || call === 'supervise');
    for (const fd of descriptorsOf(told)) fstatSync(fd);
    return known && told.steps.length > 0 ? told : undefined;
  } catch {
    return undefined;
  }
}

function descriptorsOf({ stdio, pidfile, listeners }: Omit<Told, 'steps'>): number[] {
  const handedOver = [...stdio, pidfile].flatMap((it) => it?.fd ?? []);
  return [...handedOver, ...Object.values(listeners)];
}

function isPipe(fd: number, inode: number): boolean {
  try {
    const stat = fstatSync(fd);
    return stat.isFIFO() && stat.ino === inode;
  } catch {
    // Not open, or not a number that could be.
    return false;
  }
}

/**
 * The part of the variable that is known before there is a new process, and the descriptors that it
 * speaks of.
 * @param step what the call that makes the new image is to return as
 */
export function tell(
  step: Step,
  handedOver: { stdio: readonly (HandedOver | undefined)[]; pidfile?: HandedOver | undefined },
  listeners: readonly { name: string; fd: number }[],
): { stage: string; descriptors: number[] } {
  const told: Told = {
    stdio: handedOver.stdio.map((it) => it ?? null),
    pidfile: handedOver.pidfile ?? null,
    listeners: Object.fromEntries(listeners.map(({ name, fd }) => [name, fd])),
    steps: [...way.passed, step],
  };
  return { stage: JSON.stringify(told), descriptors: descriptorsOf(told) };
}

/** Whether this is a new image on its way: what must happen once, before the calls, is done. */
export function isSecondRun(): boolean {
  return way.pid === process.pid && way.ahead.length > 0;
}

/** Notes that a call has returned, and that this process is what that says. */
export function pass(step: Step): void {
  way.passed.push(step);
}

/**
 * What a call is to return as in this image; undefined: it is for the first time. With the stage it
 * is the one that has made the image.
 * @throws ERR_INVALID_STATE if the program has come to another call than the one before it
 */
export function arriveAt<C extends Step['call']>(
  call: C,
): { step: StepOf<C>; stage: Stage | undefined } | undefined {
  const step = isSecondRun() ? way.ahead.shift() : undefined;
  if (step === undefined) return undefined;
  if (step.call !== call) {
    const why = `${step.call}() comes first: with the exec engine a program must take the same way each time`;
    throw Object.assign(new Error(`${call}() cannot go on: ${why}`), { code: 'ERR_INVALID_STATE' });
  }
  pass(step);
  const stage = way.ahead.length === 0 ? way.stage : undefined;
  return { step: step as StepOf<C>, stage };
}

/** The inherited socket of this name, once. */
export function takeListener(name: string): number | undefined {
  const fd = way.listeners.get(name);
  way.listeners.delete(name);
  return fd;
}

/** Whether a descriptor came with the stage: for a purpose, unlike others that were inherited. */
export function cameWithStage(fd: number): boolean {
  return way.descriptors.has(fd);
}
