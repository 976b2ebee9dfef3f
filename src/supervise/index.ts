// The face of supervise(): what is behind it takes milliseconds to load, and most programs only
// daemonize.

import { refuseTestRunner } from '../detach/test-runner.js';
import { requirePart } from '../posix/parts.js';
import type { SuperviseOptions } from './options.js';
import type { Worker } from './worker.js';

/**
 * Makes this process a supervisor, and returns only in the workers that it forks: copies of the
 * program as it is now, everything loaded. A worker that ends is forked again from the same image, by
 * the rules in the options. The supervisor itself runs nothing of the program any more. With the exec
 * engine workers are fresh images instead, which run the program from its start until this call.
 *
 * It ends when it is told to (SIGTERM, SIGINT; SIGQUIT does not wait for the workers), when it gives
 * up, or when no worker is left to start again. SIGHUP starts the program anew, and the new version takes
 * over below the same pid; SIGUSR1 and SIGUSR2 are passed on to the workers.
 * @throws with nothing changed: ERR_INVALID_ARG_TYPE, ERR_INVALID_ARG_VALUE and ERR_OUT_OF_RANGE for
 * wrong options; EADDRINUSE and others for the control socket; the error of open(2) for the log;
 * EBUSY if child processes are running or a thread does not come to rest; ENOTSUP where the engine
 * asked for cannot work; ERR_NOT_MAIN_THREAD from a Worker; ERR_IN_TEST_RUNNER where a test runner runs
 * its tests in this process
 */
export function supervise(options: SuperviseOptions = {}): Worker {
  refuseTestRunner('supervise', 'Start the program in a process of its own');
  return requirePart<typeof import('./supervise.js')>('supervise.js').supervise(options);
}
