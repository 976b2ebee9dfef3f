// The engine under test. `exec` in DOUBLEFORK_ENGINE runs a suite with the exec engine; the programs
// of program.ts hand it to daemonize(). The addon may have been built without the other one.

import { forkSupport } from 'doublefork';
import { test } from 'vitest';

export const hasFork = forkSupport().supported;
export const engine = process.env.DOUBLEFORK_ENGINE === 'exec' || !hasFork ? 'exec' : 'fork';

/** What a test of both engines is run for: the engine, and where the daemon is. */
export const variants = (
  [
    ['fork', 'always'],
    ['exec', 'always'],
    ['fork', 'never'],
  ] as const
).filter(([engine]) => hasFork || engine === 'exec');

/**
 * A test of what the program did before daemonize() and finds again after it. Under the exec engine
 * it does so anew in the daemon, with other results.
 */
export const testContinuing = test.skipIf(engine === 'exec');

/** A test of the fork engine. */
export const testFork = test.skipIf(!hasFork);
