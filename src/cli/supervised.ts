// The command as the supervisor of a program: supervise({ exec }), which is loaded only for that.

import { supervisionOf } from '../config/app.js';
import { type App, isSupervised } from '../control/app.js';
import { controlFor } from '../control/folders.js';
import type { Supervise } from '../control/start.js';

/** What makes the daemon a supervisor; undefined: it is to become the program. */
export async function superviseFor(app: App, foreground: boolean): Promise<Supervise | undefined> {
  if (!isSupervised(app) && !foreground) return undefined;
  const { supervise } = await import('../supervise/supervise.js');
  return (exec) => {
    supervise({
      exec,
      // In the foreground it ends with its program, as that would.
      ...(isSupervised(app) ? {} : { restart: 'never', maxFailures: 0, log: 'none' }),
      ...supervisionOf(app),
      ...(app.ready === 'none' ? {} : { ready: app.ready, readyTimeout: app.timeout }),
    });
    throw new Error('supervise() has come back in a worker that runs another program');
  };
}

/** How often to look. In ms. */
const PAUSE = 50;

/**
 * Looks how the workers are until they have lived for the time of `settle`.
 * @returns how the first one ended that did not; undefined: all live
 */
export async function firstEnd({ name, settle }: App): Promise<string | undefined> {
  const end = Date.now() + settle;
  return await firstAmong(name, () => Date.now() >= end, 'has ended with its supervisor');
}

/**
 * The same, until it is over: until all are ready, or the start has failed.
 * @param isOver told by who waits for the supervisor; that may not answer yet, or no more
 */
export async function firstEndBefore(
  { name }: App,
  isOver: () => boolean,
): Promise<string | undefined> {
  return await firstAmong(name, isOver, undefined);
}

async function firstAmong(
  name: string,
  isOver: () => boolean,
  withoutAnswer: string | undefined,
): Promise<string | undefined> {
  const { ControlClient } = await import('../supervise/control-client.js');
  const { setTimeout: sleep } = process.getBuiltinModule('node:timers/promises');
  for (;;) {
    let workers: { lastExit: string | null }[] = [];
    try {
      await using client = await ControlClient.connect(controlFor(name), 2000);
      ({ workers } = await client.status());
    } catch {
      if (withoutAnswer !== undefined) return withoutAnswer;
    }
    const ended = workers.find(({ lastExit }) => lastExit !== null)?.lastExit;
    // As a status says it: behind `the program` it needs a verb.
    if (ended) return ended.replace(/^killed/, 'was killed').replace(/^out of/, 'ran out of');
    if (isOver()) return undefined;
    await sleep(PAUSE);
  }
}
