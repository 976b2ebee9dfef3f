// supervise(): one program, a supervisor and its workers.

import { constants } from '../builtin/os.js';
import { CONTROL_VARIABLE } from '../control/folders.js';
import { Redirection } from '../detach/redirect.js';
import { replaceStreams } from '../detach/streams.js';
import { thisProcess } from '../detach/this-process.js';
import { startDirectory } from '../image/directory.js';
import type { Handoff } from '../image/handoff.js';
import { type Image, imageByName, thisVersion } from '../image/image.js';
import { nextReplayedCall, recordCall } from '../image/replay.js';
import { Capture } from '../logs/capture.js';
import type { CaptureSettings } from '../logs/options.js';
import { close, dup, dup2, setCloseOnExec } from '../posix/descriptor.js';
import { errorText, outOfRange, posixError, sayFirst } from '../posix/errors.js';
import {
  type Child,
  childProcesses,
  forkSupport,
  refuseChildren,
  refuseWorkers,
} from '../posix/fork.js';
import { refuseRecordLocks } from '../posix/lock.js';
import { _exit } from '../posix/process.js';
import { trace } from '../posix/trace.js';
import { passedDescriptors } from '../systemd/environment.js';
import { companions } from './companions.js';
import { privateSocket } from './control.js';
import { leaveDataOf } from './data-client.js';
import type { CopiedImage } from './image-process.js';
import { KeeperSuperior } from './keeper.js';
import { checkOptions, type SuperviseOptions, type SupervisorSettings } from './options.js';
import { published } from './published.js';
import { SelfWatch } from './self-watch.js';
import { Spawner } from './spawner.js';
import type { ForkedWorker } from './starter.js';
import { findSuperior, type Superior } from './superior.js';
import { type ImageSource, Supervisor } from './supervisor.js';
import { followUpdates } from './updates.js';
import { Worker, type WorkerIdentity } from './worker.js';
import { WorkerPipeWriter } from './worker-pipe.js';

/** Whose process this is, once it is a worker's. */
let current: Worker | undefined;

/** See index.ts, which loads this when it is called. */
export function supervise(options: SuperviseOptions = {}): Worker {
  refuseWorkers('supervise');
  const replayed = nextReplayedCall('supervise');
  try {
    if (replayed === undefined) return start(options);
    const { call, handoff } = replayed;
    return call.call === 'supervise'
      ? resumeInNewImage(options, call, handoff)
      : startInNewImage(options, call.awaited, handoff!);
  } catch (error) {
    throw sayFirst(error);
  }
}

function start(options: SuperviseOptions): Worker {
  const reportsTo = findSuperior(current);
  const settings = withCompanions(check(options, reportsTo));
  if (settings.keeper) needFork();
  const spawner = chooseSpawner(settings);
  // What was passed to the service is for all of its images; another program is to find it itself.
  if (settings.exec === undefined) passedDescriptors();
  const output = captureOutput(settings);
  let forked: ReturnType<Supervisor['run']>;
  try {
    const supervisor = new Supervisor(settings, reportsTo, spawner, imagesFor(settings));
    // For this one alone, not for what the workers start.
    delete process.env[CONTROL_VARIABLE];
    forked = supervisor.run();
  } catch (error) {
    output?.undo();
    throw error;
  }
  output?.keep();
  if (forked.kind === 'copy') return superviseInCopy(settings, spawner, reportsTo, forked);
  return becomeWorker(forked, settings, reportsTo);
}

function becomeWorker(
  { identity, pipe, updates }: ForkedWorker,
  settings: SupervisorSettings,
  reportsTo: Superior,
): Worker {
  recordCall({ call: 'supervise', ...identity });
  return makeWorker(identity, pipe, updates, settings, reportsTo);
}

/** In a copy that the keeper has made of itself: the supervisor. Whatever it throws is the keeper's to tell. */
function superviseInCopy(
  settings: SupervisorSettings,
  spawner: Spawner | undefined,
  reportedTo: Superior,
  { orders, words, isFirst, unblockSignals }: CopiedImage & { isFirst: boolean },
): Worker {
  const keeper = new KeeperSuperior(orders, words, reportedTo.awaited, !isFirst);
  let forked: ReturnType<Supervisor['run']>;
  try {
    reportedTo.release();
    const supervisor = new Supervisor({ ...settings, control: undefined }, keeper, spawner, keeper);
    unblockSignals();
    forked = supervisor.run();
  } catch (error) {
    keeper.ended(1, errorText(error));
    _exit(1);
  }
  // It has no images of its own.
  return becomeWorker(forked as ForkedWorker, settings, keeper);
}

/** What is to run beside the workers asks the supervisor how they are. */
function withCompanions(settings: SupervisorSettings): SupervisorSettings {
  const wanted = [...companions.values()];
  if (wanted.length === 0) return settings;
  for (const { beforeSupervise } of wanted) beforeSupervise();
  return { ...settings, companions: wanted, control: settings.control ?? privateSocket() };
}

/** @throws EBUSY: what a supervisor cannot have, it does not begin with */
function chooseSpawner(settings: SupervisorSettings): Spawner | undefined {
  const children = childProcesses();
  const spawner = spawnerFor(settings, children);
  // They would be the supervisor's, which runs nothing that could hear of them.
  refuseChildren(
    'supervise',
    spawner === undefined || settings.keeper ? children : children.filter(({ worker }) => !worker),
  );
  // It keeps the locks, and runs nothing that would use what they protect.
  if (settings.recordLocks === 'refuse' && settings.exec === undefined)
    refuseRecordLocks('supervise');
  return spawner;
}

/** An image that a reload has started: a supervisor, too, whose predecessor keeps the service's pid. */
function startInNewImage(options: SuperviseOptions, awaited: boolean, handoff: Handoff): Worker {
  const keeper = new KeeperSuperior(handoff.orders!, handoff.readyFd, awaited);
  // The keeper has the control socket.
  const settings: SupervisorSettings = { ...check(options, keeper), control: undefined };
  delete process.env[CONTROL_VARIABLE];
  const spawner = chooseSpawner(settings);
  const supervisor = new Supervisor(settings, keeper, spawner, keeper);
  takeStreams(handoff);
  keeper.say({ word: 'arrived' });
  return becomeWorker(supervisor.run() as ForkedWorker, settings, keeper);
}

/** How to come by the next image; found out now, while the names lead to this one. */
function imagesFor({
  limits,
  keepPrevious,
  keeper,
  rollbackOnFailure,
  watch,
}: SupervisorSettings): ImageSource {
  let image: () => Image;
  try {
    image = imageByName('supervise');
  } catch (error) {
    // Told to whoever asks for one.
    image = () => {
      throw error;
    };
  }
  const { readyTimeout, minUptime } = limits;
  return { image, readyTimeout, minUptime, keepPrevious, keeper, rollbackOnFailure, watch };
}

/**
 * A worker of the exec engine: its program has run from the start to this call. Without a handoff the
 * call is not the one that made this image, but an earlier one: its worker supervises this one, or a
 * supervisor of this one.
 */
function resumeInNewImage(
  options: SuperviseOptions,
  identity: WorkerIdentity,
  handoff: Handoff | undefined,
): Worker {
  const reportsTo = findSuperior(current);
  const settings = check(options, reportsTo);
  const pipe = new WorkerPipeWriter(handoff?.readyFd);
  if (handoff !== undefined) takeStreams(handoff);
  const updates = handoff?.orders ?? undefined;
  const worker = makeWorker(identity, pipe, updates, settings, reportsTo);
  if (handoff === undefined) worker[Symbol.dispose]();
  else pipe.arrived();
  return worker;
}

/**
 * Has a logger write what this process and its workers print.
 * @returns how to undo it, and how to leave it at that; undefined: nobody wants it
 * @throws the error of open(2); ERR_OUT_OF_RANGE if daemonize() has captured it already
 */
function captureOutput({ log }: SupervisorSettings): { undo(): void; keep(): void } | undefined {
  if (log.kind !== 'captured') return undefined;
  if (thisProcess.capture !== undefined) {
    const once = "a path, 'stderr' or 'none' where daemonize() has captured the log";
    throw outOfRange('options.log', once, log.log);
  }
  const redirection = Redirection.open([{ kind: 'keep' }, log, log], process.umask());
  const own = [1, 2].map((fd) => {
    const copy = dup(fd);
    setCloseOnExec(copy, true);
    return copy;
  });
  replaceStreams([false, true, true], true);
  redirection.apply();
  thisProcess.capture = redirection.capture;
  const keep = () => {
    for (const copy of own) close(copy);
  };
  const undo = () => {
    for (const [index, copy] of own.entries()) dup2(copy, index + 1);
    thisProcess.capture = undefined;
    redirection.capture?.close();
    keep();
  };
  return { undo, keep };
}

function takeStreams({ stdio, logger }: Handoff): void {
  if (logger !== null) {
    thisProcess.capture = new Capture(logger.settings as CaptureSettings, logger.fd);
  }
  replaceStreams(
    stdio.map((it) => it !== null),
    logger !== null,
  );
  Redirection.adopt(
    stdio.map(() => ({ kind: 'keep' })),
    stdio,
  ).apply();
}

function check(options: SuperviseOptions, { awaited }: Superior): SupervisorSettings {
  return checkOptions(options, {
    cwd: startDirectory(),
    path: process.env.PATH ?? '',
    control: process.env[CONTROL_VARIABLE] ?? '',
    awaited,
  });
}

/** From here on this is a worker. */
function makeWorker(
  identity: WorkerIdentity,
  pipe: WorkerPipeWriter,
  updates: number | undefined,
  settings: SupervisorSettings,
  reportsTo: Superior,
): Worker {
  const pingEvery = settings.automaticPing ? settings.limits.watchdog / 3 : 0;
  const { stopSignal } = settings.limits;
  const watch = SelfWatch.start(settings.resources, pipe, identity.id);
  const worker = new Worker(identity, pipe, { stopSignal, pingEvery, watch });
  trace?.('worker', `is worker ${identity.id}, generation ${identity.generation}`);
  reportsTo.handOver(worker);
  thisProcess.isWorker = true;
  thisProcess.worker = worker;
  current = worker;
  leaveDataOf(identity.id);
  if (updates !== undefined) hearOf(updates, worker);
  return worker;
}

/** What the supervisor looks after for its workers. */
function hearOf(updates: number, worker: Worker): void {
  const tellWhatIsTaken = () => {
    const all = [...published.values()].map(({ name, generation }) => [name, generation]);
    worker.taken(JSON.stringify(Object.fromEntries(all)));
  };
  const following = followUpdates(updates, ({ name, text }) => {
    published.get(name)?.receive(text);
    tellWhatIsTaken();
  });
  worker.follow(following);
  tellWhatIsTaken();
}

/** @throws ENOTSUP */
function needFork(): void {
  const support = forkSupport();
  if (!support.supported)
    throw posixError(-constants.errno.ENOTSUP, 'supervise', undefined, support.reason);
}

/** @returns undefined: workers are forks */
function spawnerFor(
  { engine, exec, words }: SupervisorSettings,
  children: readonly Child[],
): Spawner | undefined {
  // Copies of a Worker would all speak to the one child that it has, such as a loader's compiler.
  const isImage = engine === 'exec' || (engine === 'auto' && children.some(({ worker }) => worker));
  if (!isImage) {
    if (forkSupport().supported) return undefined;
    if (engine === 'fork') needFork();
  }
  if (words.ready === 'fd') {
    // Descriptor 3 is this process's own; only a fork of it can have another one.
    const why = "ready: 'fd' needs the fork engine; ready: 'notify' does not";
    throw posixError(-constants.errno.ENOTSUP, 'supervise', undefined, why);
  }
  return new Spawner(exec ?? thisVersion('supervise'));
}
