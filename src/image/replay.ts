// How a new image gets to the point where the process that made it was: it runs the program from its
// start, and each call of daemonize() and supervise() that had returned in that process returns at
// once, with the same. The last of them, the one that made the image, gets the handoff. Generations are
// not counted: what was recorded is replayed.

import { shared } from '../posix/shared.js';
import { trace } from '../posix/trace.js';
import { type Call, type Handoff, receivedCalls } from './handoff.js';

type CallOf<C extends string> = Extract<Call, { call: C }>;

interface Replay {
  /** The process that replays; a fork of it does not. */
  pid: number;
  /** The calls that have returned in this process. */
  recorded: Call[];
  /** Those that are still to be replayed. */
  ahead: Call[];
}

const replay = shared<Replay>('replay', () => ({
  pid: process.pid,
  recorded: [],
  ahead: [...receivedCalls().calls],
}));

/** Whether this image is still on its way: what must happen once, before the calls, is done. */
export function isReplaying(): boolean {
  return replay.pid === process.pid && replay.ahead.length > 0;
}

/** Records that a call has returned, and that this process is what that says. */
export function recordCall(call: Call): void {
  replay.recorded.push(call);
}

/** The calls that a new image has to replay; `last` is the one that makes it. */
export function callsUpTo(last: Call): readonly Call[] {
  return [...replay.recorded, last];
}

/**
 * What a call is to return as in this image; undefined: it is not replayed, but happens. The one that
 * has made the image comes with the handoff.
 * @throws ERR_INVALID_STATE if the program has come to another call than the one that was recorded
 */
export function nextReplayedCall<C extends 'daemonize' | 'supervise'>(
  name: C,
): { call: CallOf<C | `${C} image`>; handoff: Handoff | undefined } | undefined {
  const call = isReplaying() ? replay.ahead.shift() : undefined;
  if (call === undefined) return undefined;
  if (call.call !== name && call.call !== `${name} image`) {
    const why = `${call.call.split(' ', 1)[0]}() comes first: with the exec engine a program must make the same calls in the same order each time`;
    throw Object.assign(new Error(`${name}() cannot go on: ${why}`), { code: 'ERR_INVALID_STATE' });
  }
  trace?.('image', `${name}() returns as before: ${JSON.stringify(call)}`);
  // It returns in the workers of this image, each as its own; or has something to do first.
  if (!call.call.endsWith(' image')) recordCall(call);
  const handoff = replay.ahead.length === 0 ? receivedCalls().handoff : undefined;
  return { call: call as CallOf<C | `${C} image`>, handoff };
}
