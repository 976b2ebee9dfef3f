// supervise(): one program, a supervisor and its workers.

import { constants } from 'node:os';
import { stayInForeground } from '../detach/daemonize.js';
import { addon } from '../posix/addon.js';
import { posixError } from '../posix/errors.js';
import { forkSupport, refuseWorkers } from '../posix/fork.js';
import { plan as planFor, type SuperviseOptions } from './options.js';
import { Supervisor } from './supervisor.js';
import { findUpstream } from './upstream.js';
import { Worker } from './worker.js';

/** Whose process this is, once it is a worker's. */
let current: Worker | undefined;

/**
 * Makes this process a supervisor, and returns only in the workers that it forks: copies of the
 * program as it is now, everything loaded. A worker that ends is forked again from the same image, by
 * the rules in the options. The supervisor itself runs nothing of the program any more.
 *
 * It ends when it is told to (SIGTERM, SIGINT; SIGQUIT does not wait for the workers), when it gives
 * up, or when no worker is left to start again. SIGHUP replaces the workers one by one; SIGUSR1 and
 * SIGUSR2 are passed on to them.
 * @throws with nothing changed: ERR_INVALID_ARG_TYPE, ERR_INVALID_ARG_VALUE and ERR_OUT_OF_RANGE for
 * wrong options; EADDRINUSE and others for the control socket; the error of open(2) for the log;
 * EBUSY if child processes are running or a thread does not come to rest; ENOTSUP where fork() is;
 * ERR_NOT_MAIN_THREAD from a Worker
 */
export function supervise(options: SuperviseOptions = {}): Worker {
  refuseWorkers('supervise');
  const support = forkSupport();
  if (!support.supported) {
    throw posixError(-constants.errno.ENOTSUP, 'supervise', undefined, support.reason);
  }
  const upstream = findUpstream(current);
  const plan = planFor(options, {
    cwd: process.cwd(),
    path: process.env.PATH ?? '',
    awaited: upstream.awaited,
  });
  refuseChildren();
  const { identity, link } = new Supervisor(plan, upstream).run();
  const pingEvery = plan.automaticPing ? plan.limits.watchdog / 3 : 0;
  const worker = new Worker(identity, link, { stopSignal: plan.limits.stopSignal, pingEvery });
  upstream.handOver(worker);
  stayInForeground();
  current = worker;
  return worker;
}

/** They would be the supervisor's, which runs nothing that could hear of them. */
function refuseChildren(): void {
  const { children } = addon.loopHandles();
  if (children.length === 0) return;
  const pids = children.join(', ');
  const detail = `child processes are running (pid ${pids}); start them after supervise()`;
  throw posixError(-constants.errno.EBUSY, 'supervise', undefined, detail);
}
