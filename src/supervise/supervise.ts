// supervise(): one program, a supervisor and its workers.

import { constants } from 'node:os';
import { CONTROL_VARIABLE } from '../control/folders.js';
import { sameImage } from '../detach/image.js';
import { Redirection } from '../detach/redirect.js';
import { role } from '../detach/role.js';
import { arriveAt, pass, type Stage } from '../detach/stage.js';
import { replaceStreams } from '../detach/streams.js';
import { posixError } from '../posix/errors.js';
import { forkSupport, refuseChildren, refuseWorkers } from '../posix/fork.js';
import { LinkWriter } from './link.js';
import { type Plan, plan as planFor, type SuperviseOptions } from './options.js';
import { Spawner } from './spawner.js';
import { Supervisor } from './supervisor.js';
import { findUpstream, type Upstream } from './upstream.js';
import { type Identity, Worker } from './worker.js';

/** Whose process this is, once it is a worker's. */
let current: Worker | undefined;

/** See index.ts, which loads this when it is called. */
export function supervise(options: SuperviseOptions = {}): Worker {
  refuseWorkers('supervise');
  const arrival = arriveAt('supervise');
  return arrival === undefined ? start(options) : arrive(options, arrival.step, arrival.stage);
}

function start(options: SuperviseOptions): Worker {
  const upstream = findUpstream(current);
  const plan = check(options, upstream);
  const spawner = spawnerFor(plan);
  // They would be the supervisor's, which runs nothing that could hear of them.
  refuseChildren('supervise');
  const supervisor = new Supervisor(plan, upstream, spawner);
  // For this one alone, not for what the workers start.
  delete process.env[CONTROL_VARIABLE];
  const { identity, link } = supervisor.run();
  pass({ call: 'supervise', ...identity });
  return become(identity, link, plan, upstream);
}

/**
 * The exec engine's worker: its program has run from the start to the call that made it; or to one
 * before that, whose worker is the supervisor of this one, or of those above.
 */
function arrive(options: SuperviseOptions, identity: Identity, stage: Stage | undefined): Worker {
  const upstream = findUpstream(current);
  const plan = check(options, upstream);
  const link = new LinkWriter(stage?.word);
  if (stage !== undefined) {
    replaceStreams(stage.stdio.map((it) => it !== null));
    Redirection.adopt(
      stage.stdio.map(() => ({ kind: 'keep' })),
      stage.stdio,
    ).apply();
  }
  const worker = become(identity, link, plan, upstream);
  if (stage === undefined) worker[Symbol.dispose]();
  else link.arrived();
  return worker;
}

function check(options: SuperviseOptions, { awaited }: Upstream): Plan {
  return planFor(options, {
    cwd: process.cwd(),
    path: process.env.PATH ?? '',
    control: process.env[CONTROL_VARIABLE] ?? '',
    awaited,
  });
}

/** From here on this is a worker. */
function become(identity: Identity, link: LinkWriter, plan: Plan, upstream: Upstream): Worker {
  const pingEvery = plan.automaticPing ? plan.limits.watchdog / 3 : 0;
  const worker = new Worker(identity, link, { stopSignal: plan.limits.stopSignal, pingEvery });
  upstream.handOver(worker);
  role.isWorker = true;
  current = worker;
  return worker;
}

/** @returns undefined: workers are forks */
function spawnerFor({ engine, exec }: Plan): Spawner | undefined {
  if (engine !== 'exec') {
    const support = forkSupport();
    if (support.supported) return undefined;
    if (engine === 'fork') {
      throw posixError(-constants.errno.ENOTSUP, 'supervise', undefined, support.reason);
    }
  }
  return new Spawner(exec ?? sameImage('supervise'));
}
