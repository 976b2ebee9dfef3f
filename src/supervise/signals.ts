// What a signal means to the processes of a service that are no workers, as data: what takes signals
// asks here, and so do the docs.

/** What is done about a signal. */
export type SignalAction =
  /** The workers are told to end, then this process ends. */
  | 'stop'
  /** The workers are killed, then this process ends. */
  | 'kill'
  /** The next version of the program is started, and takes over. */
  | 'reload'
  /** The logs are opened again, and workers that listen for it hear of it. */
  | 'reopen'
  /** For the workers. */
  | 'pass-on'
  /** Children that have ended are waited for, and replaced. */
  | 'reap'
  /** Nothing: Node has it ignored. */
  | 'ignored'
  /** Nothing: the kernel does what it does for a process that has no handler, see signal(7). */
  | 'default';

/** What comes of a signal, for each process that may be sent it. */
export interface SignalMeaning {
  action: SignalAction;
  /** The service's process, where that is the supervisor of what serves. */
  supervisor: string;
  /** The service's process, where another image serves: after a reload, or with the option `keeper`. */
  keeper: string;
  /** The process of another image: the supervisor of its workers. */
  image: string;
  /** The process that was started by hand, while it waits until the daemon is ready. */
  launcher: string;
  /** A daemon that calls no supervise(). */
  daemon: string;
  worker: string;
}

/** In the order of the docs. */
export const SIGNALS = {
  SIGTERM: {
    action: 'stop',
    supervisor: 'sends `stopSignal` to the workers, and ends after the last one',
    keeper: 'passes it on, once, to the image that serves, and ends after it',
    image: 'sends `stopSignal` to the workers, and ends after the last one',
    launcher: 'ends, and the daemon that is not ready with it',
    daemon: 'aborts `daemon.signal`, or else ends',
    worker: 'aborts `worker.signal`, or else ends',
  },
  SIGINT: {
    action: 'stop',
    supervisor: 'as SIGTERM',
    keeper: 'as SIGTERM',
    image: 'as SIGTERM',
    launcher: 'ends, and the daemon that is not ready with it',
    daemon: 'aborts `daemon.signal`, or else ends',
    worker: 'aborts `worker.signal`, or else ends',
  },
  SIGQUIT: {
    action: 'kill',
    supervisor: 'ends the workers at once, then itself',
    keeper: 'passes it on to the image that serves, and ends after it',
    image: 'ends the workers at once, then itself',
    launcher: 'ends, and the daemon that is not ready with it',
    daemon: 'ends',
    worker: 'ends',
  },
  SIGHUP: {
    action: 'reload',
    supervisor: 'reload',
    keeper: 'reload',
    image: 'asks the keeper for a reload',
    launcher: 'ends, and the daemon that is not ready with it',
    daemon: "tells `on('reload')`, has `loadConfig()` look; else ends",
    worker: 'ends',
  },
  SIGUSR1: {
    action: 'pass-on',
    supervisor: 'passes it on to the workers that have a handler for it',
    keeper: 'passes it on to the image that serves',
    image: 'passes it on to the workers that have a handler for it',
    launcher: 'nothing',
    daemon: "opens Node's inspector",
    worker: "opens Node's inspector",
  },
  SIGUSR2: {
    action: 'reopen',
    supervisor: 'opens its logs again, and passes it on to the workers that have a handler for it',
    keeper: 'opens its logs again, and passes it on to the image that serves',
    image: 'opens its logs again, and passes it on to the workers that have a handler for it',
    launcher: 'ends, and the daemon that is not ready with it',
    daemon: "tells `on('reopen')`, or else ends",
    worker: 'ends',
  },
  SIGCHLD: {
    action: 'reap',
    supervisor: 'waits for children that have ended, also for orphans as process 1',
    keeper: 'waits for children that have ended, also for orphans as process 1',
    image: 'waits for children that have ended',
    launcher: 'nothing',
    daemon: 'nothing; as process 1 it waits for orphans',
    worker: 'nothing',
  },
  SIGPIPE: {
    action: 'ignored',
    supervisor: 'ignored',
    keeper: 'ignored',
    image: 'ignored',
    launcher: 'ignored',
    daemon: 'ignored',
    worker: 'ignored',
  },
  SIGWINCH: {
    action: 'default',
    supervisor: 'nothing',
    keeper: 'nothing',
    image: 'nothing',
    launcher: 'nothing',
    daemon: 'nothing',
    worker: 'nothing',
  },
  SIGCONT: {
    action: 'default',
    supervisor: 'goes on, if it was stopped',
    keeper: 'goes on, if it was stopped',
    image: 'goes on, if it was stopped',
    launcher: 'goes on, if it was stopped',
    daemon: 'goes on, if it was stopped',
    worker: 'goes on, if it was stopped',
  },
  SIGALRM: {
    action: 'default',
    supervisor: 'ends it, and its workers with it',
    keeper: 'ends it, and all images with it',
    image: 'ends it, and its workers with it; the keeper starts another one',
    launcher: 'ends, and the daemon that is not ready with it',
    daemon: 'ends',
    worker: 'ends',
  },
} as const satisfies Partial<Record<NodeJS.Signals, SignalMeaning>>;

/** Those that a supervisor takes. */
export function handledSignals(reopen: NodeJS.Signals): NodeJS.Signals[] {
  const names = Object.keys(SIGNALS) as (keyof typeof SIGNALS)[];
  const handled = names.filter((name) => !['ignored', 'default'].includes(SIGNALS[name].action));
  return [...new Set<NodeJS.Signals>([...handled, reopen])];
}

/** @param reopen what opens the logs of this daemon again, instead of SIGUSR2 */
export function actionOf(signal: NodeJS.Signals, reopen: NodeJS.Signals): SignalAction {
  if (signal === reopen) return 'reopen';
  const { action } = (SIGNALS as Partial<Record<NodeJS.Signals, SignalMeaning>>)[signal]!;
  return action === 'reopen' ? 'pass-on' : action;
}
