// How to stop a process: which signals to send, and how long to wait after each.

import { signalOf } from '../detach/commands.js';

/** Send a signal, wait so many ms, or begin again here when the end is reached. */
export type Step = { signal: NodeJS.Signals | number } | { wait: number } | { forever: true };

/** The one that {@link stopDaemon} takes unless told otherwise. */
export const DEFAULT_SCHEDULE = 'TERM/10/KILL/5';

/**
 * Reads a schedule as start-stop-daemon(8) writes it: signals (`TERM`, `SIGTERM`, `-15`), seconds to
 * wait (`5`, `0.5`) and `forever`, separated by slashes. A number alone, `5`, is `TERM/5/KILL/5`.
 * @throws ERR_INVALID_ARG_VALUE, saying which part is wrong
 */
export function parseSchedule(text: string): Step[] {
  const words = text.split('/');
  if (words.length === 1 && isSeconds(text)) return parseSchedule(`TERM/${text}/KILL/${text}`);
  const steps = words.map((word) => parseStep(word, text));
  if (!steps.some((step) => 'signal' in step)) throw invalid(text, 'it sends no signal');
  const loop = steps.findIndex((step) => 'forever' in step);
  if (loop >= 0 && !steps.slice(loop).some((step) => 'wait' in step)) {
    throw invalid(text, 'what follows "forever" never waits');
  }
  return steps;
}

function isSeconds(word: string): boolean {
  // 010 may be meant as 8.
  return /^(0|[1-9]\d*)(\.\d+)?$/.test(word);
}

function parseStep(word: string, text: string): Step {
  if (word === 'forever') return { forever: true };
  if (isSeconds(word)) {
    const wait = Math.round(Number(word) * 1000);
    // The most that a timer can do; beyond that Node makes 1 ms of it.
    if (wait > 2 ** 31 - 1) throw invalid(text, `${word} s is too long`);
    return { wait };
  }
  try {
    return { signal: signalOf(word.replace(/^-/, '')) };
  } catch {
    throw invalid(text, `"${word}" is neither a signal nor a number of seconds`);
  }
}

function invalid(text: string, why: string): TypeError {
  return Object.assign(
    new TypeError(`The schedule "${text}" cannot be read: ${why}. An example: TERM/5/KILL/2`),
    { code: 'ERR_INVALID_ARG_VALUE' },
  );
}

/** Each step in turn; `forever` leads back to itself. */
export function* walk(steps: readonly Step[]): Generator<Exclude<Step, { forever: true }>> {
  const loop = steps.findIndex((step) => 'forever' in step);
  for (let at = 0; at < steps.length || loop >= 0; at++) {
    if (at >= steps.length) at = loop;
    const step = steps[at]!;
    if (!('forever' in step)) yield step;
  }
}
