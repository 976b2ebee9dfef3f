// supervise(): one program, a supervisor and its workers.

import { constants } from 'node:os';
import { CONTROL_VARIABLE } from '../control/folders.js';
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

/** See index.ts, which loads this when it is called. */
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
    control: process.env[CONTROL_VARIABLE] ?? '',
    awaited: upstream.awaited,
  });
  refuseChildren();
  const supervisor = new Supervisor(plan, upstream);
  // For this one alone, not for what the workers start.
  delete process.env[CONTROL_VARIABLE];
  const { identity, link } = supervisor.run();
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
