// The engine under test. `exec` in DOUBLEFORK_ENGINE runs a suite with the exec engine; the programs
// of program.ts hand it to daemonize().

import { test } from 'vitest';

export const engine = process.env.DOUBLEFORK_ENGINE === 'exec' ? 'exec' : 'fork';

/**
 * A test of what the program did before daemonize() and finds again after it. Under the exec engine
 * it does so anew in the daemon, with other results.
 */
export const testContinuing = test.skipIf(engine === 'exec');
