// Whether the command `doublefork start` has started this process: then it is in the background
// already, and known by its pid.

import { shared } from '../posix/shared.js';

/** Names the one process that is meant; in any other one, such as a child of it, it means nothing. */
export const START_VARIABLE = 'DOUBLEFORK_START';

const started = shared('start', () => ({ pid: process.env[START_VARIABLE] }));

// At once: nothing of it may reach what the program starts.
delete process.env[START_VARIABLE];

export function isStartedByCommand(): boolean {
  return started.pid === String(process.pid);
}
