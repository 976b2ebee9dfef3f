// The command as the supervisor of a program: supervise({ exec }), which is loaded only for that.

import { isSupervised, supervisionOf } from '../config/app.js';
import type { App } from '../control/app.js';
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
    });
    throw new Error('supervise() has come back in a worker that runs another program');
  };
}

/** How often to look. In ms. */
const PAUSE = 50;

/**
 * Waits until the workers have lived for the time of `settle`.
 * @returns how the first one ended that did not; undefined: all live
 */
export async function firstEnd(app: App): Promise<string | undefined> {
  const { ControlClient } = await import('../supervise/control-client.js');
  const { setTimeout: sleep } = process.getBuiltinModule('node:timers/promises');
  const end = Date.now() + app.settle;
  for (;;) {
    let workers: { lastExit: string | null }[];
    try {
      await using client = await ControlClient.connect(controlFor(app.name), 2000);
      ({ workers } = await client.status());
    } catch {
      return 'has ended with its supervisor';
    }
    const ended = workers.find(({ lastExit }) => lastExit !== null)?.lastExit;
    if (ended !== undefined && ended !== null) return ended;
    if (Date.now() >= end) return undefined;
    await sleep(PAUSE);
  }
}
