// The words of the policy: its state, the events that change it, the actions that follow.
// Times are in ms on a clock that never jumps; `Infinity`: never.

/** How a process ended, as waitpid(2) tells. */
export interface Outcome {
  exitCode: number | null;
  signal: NodeJS.Signals | null;
  coreDumped: boolean;
  /** Killed by the kernel for want of memory. */
  outOfMemory: boolean;
}

/** When a worker is started again after it ended by itself. */
export type RestartRule = 'always' | 'on-failure' | 'never';

/** What is measured of each worker. */
export type Resource = 'memory' | 'cpu' | 'event-loop delay' | 'descriptors';

/** Memory in bytes, cpu in processors, event-loop delay in ms, descriptors as a part of their limit; 0: none. */
export interface UsageLimit {
  /** Above this an alarm is raised. */
  warn: number;
  /** Above this the worker is replaced. */
  replace: number;
}

/** How one resource of one process has been. */
export interface Gauge {
  /** How often in a row it was above the limit that warns, and above the one that replaces. */
  warned: number;
  exceeded: number;
  raised: boolean;
}

/** What the policy goes by. Times in ms, memory in bytes; 0 means without limit. */
export interface Limits {
  restart: RestartRule;
  maxRestarts: number;
  maxFailures: number;
  failureWindow: number;
  minUptime: number;
  backoff: { initial: number; factor: number; max: number; jitter: number };
  /** Whether a process has to run the program up to supervise() first. Its uptime counts from there. */
  arrives: boolean;
  /** Whether a worker says itself that it is ready. */
  manualReady: boolean;
  readyTimeout: number;
  stopSignal: NodeJS.Signals;
  stopTimeout: number;
  watchdog: number;
  usage: Readonly<Record<Resource, UsageLimit>>;
  maxLifetime: number;
  lifetimeJitter: number;
  giveUpCode: number;
}

/** Why a process is being ended. The last three are faults of its own. */
export type Cause =
  | 'stop'
  | 'restart'
  | 'scale'
  | 'replaced'
  | 'not ready'
  | 'watchdog'
  | 'unhealthy';

export type ProcessPhase = 'starting' | 'ready' | 'stopping' | 'killing';

/** One process of a worker. */
export interface WorkerProcess {
  pid: number;
  generation: number;
  phase: ProcessPhase;
  /** `main` is the worker; `successor` will be once it is ready; `retired` was. */
  role: 'main' | 'successor' | 'retired';
  since: number;
  wasReady: boolean;
  cause: Cause | undefined;
  /** When its phase has lasted too long. */
  deadline: number;
  /** When it is to be replaced for its age. */
  expires: number;
  gauges: Partial<Record<Resource, Gauge>>;
}

/** A worker: a place that one process after another fills. */
export interface Slot {
  id: number;
  /** Not any more, after the number of workers was reduced. */
  wanted: boolean;
  processes: WorkerProcess[];
  /** How many processes it has had. */
  generation: number;
  /** How often it was started again after it had ended by itself. */
  restarts: number;
  /** When it failed: in a row, or within the window. */
  failures: number[];
  /** When to start its next process. */
  startAt: number;
  /** A fork was asked for and has not been reported back. */
  forking: boolean;
  /** Forks that the kernel refused, in a row. */
  refusals: number;
  /** Before this time it is not replaced again for what it uses. */
  replaceAfter: number;
  lastExit: Outcome | undefined;
}

/** `parked`: another image of the program serves; this one has no workers, or lets them end. */
export type SupervisorPhase = 'running' | 'parked' | 'stopping' | 'ended';

/** Why a worker that serves is to be replaced. */
export type ReplacementReason = 'recycle' | 'lifetime' | Resource;

export interface State {
  limits: Limits;
  phase: SupervisorPhase;
  slots: Slot[];
  /** Workers to be replaced, one at a time, the first one now. */
  replacements: { id: number; reason: ReplacementReason }[];
  /** A recycle was asked for, and neither done nor given up. */
  recycling: boolean;
  restarts: number;
  /** Whether all workers were ready once. */
  announced: boolean;
  /** Whether it was told that it is parked and has no worker left. */
  vacated: boolean;
  exitCode: number;
}

/** `random` is a number in [0, 1), for jitter. */
export type Event = { now: number } & (
  | { type: 'start'; workers: number }
  | { type: 'forked'; id: number; pid: number; random: number }
  | { type: 'unforked'; id: number; code: string; random: number }
  | { type: 'arrived'; pid: number }
  | { type: 'ready'; pid: number }
  | { type: 'ping'; pid: number }
  | { type: 'usage'; pid: number; resource: Resource; value: number }
  | { type: 'exited'; pid: number; outcome: Outcome; random: number }
  /** Time has passed; `late`: by how much more than was asked for. */
  | { type: 'tick'; late: number }
  | { type: 'stop'; by: string }
  | { type: 'kill'; by: string }
  | { type: 'restart' }
  /** One worker, on request; `error`: because it fails its checks. */
  | { type: 'restart-one'; id: number; error: string | undefined }
  /** Nothing helps any more. */
  | { type: 'give-up'; error: string }
  | { type: 'recycle' }
  | { type: 'scale'; workers: number }
  /** Another image of the program serves from now on. */
  | { type: 'park' }
  /** This one is to serve again. */
  | { type: 'resume' }
);

export type Action =
  | { type: 'fork'; id: number; generation: number; restarts: number }
  | { type: 'signal'; pid: number; signal: NodeJS.Signals }
  /** SIGKILL for the process and everything that it has started. */
  | { type: 'kill'; pid: number }
  | { type: 'tell'; decision: Decision }
  /** Every worker is ready for the first time. */
  | { type: 'announce' }
  /** The last worker of a parked image is gone. */
  | { type: 'parked' }
  | { type: 'exit'; code: number };

/** The end of a process. */
export interface Exit extends Outcome {
  event: 'exit';
  worker: number;
  pid: number;
  uptime: number;
  cause: Cause | 'itself';
  /** What it has told of why, if it has. */
  error?: string;
}

/** What is worth a line in the log. */
export type Decision =
  | { event: 'start'; worker: number; pid: number; generation: number }
  | { event: 'ready'; worker: number; pid: number; after: number }
  | Exit
  | { event: 'backoff'; worker: number; delay: number; failures: number }
  | { event: 'refused'; worker: number; code: string }
  | { event: 'done'; worker: number; restarts: number }
  | { event: 'end'; worker: number; pid: number; cause: Cause; signal: NodeJS.Signals }
  | { event: 'kill'; worker: number; pid: number }
  | { event: 'replace'; worker: number; pid: number; reason: ReplacementReason }
  | { event: 'replacement-failed'; worker: number; reason: ReplacementReason }
  | { event: 'unhealthy'; worker: number; pid: number; error: string }
  /** A limit of a worker, passed, and kept again. */
  | {
      event: 'alarm' | 'alarm-over';
      worker: number;
      pid: number;
      resource: Resource;
      value: number;
      limit: number;
    }
  /** Nobody could be told of an alarm. */
  | { event: 'alarm-failed'; error: string }
  /** Limits that the kernel does not enforce here. */
  | { event: 'no-limits'; error: string }
  | { event: 'schedule'; next: string }
  | { event: 'gave-up'; error: string; code: number }
  | { event: 'serving'; workers: number }
  | { event: 'recycled' }
  | { event: 'scale'; from: number; to: number }
  | { event: 'give-up'; worker: number; failures: number; code: number }
  | { event: 'stop'; by: string }
  | { event: 'stopped'; code: number }
  /** There is no control socket where one was offered. */
  | { event: 'no-control'; error: string }
  /** The supervisor's group was delegated to it, and yet cannot be divided. */
  | { event: 'no-cgroup'; error: string }
  | { event: 'no-manager'; error: string }
  /** Images of the program, by number: the first one is 1. */
  | { event: 'image-start'; image: number; imagePid: number; reason: string }
  | { event: 'image-serves'; image: number; imagePid: number; after: number }
  | { event: 'image-parked'; image: number; imagePid: number }
  | { event: 'image-failed'; image: number; imagePid: number; error: string }
  | { event: 'image-exit'; image: number; imagePid: number; error: string }
  /** The configuration that is in force, by its generation, and what of it is new. */
  | { event: 'config'; file: string; config: number; changed: string[] }
  | { event: 'config-refused'; file: string; error: string }
  /** A program beside the workers: see companions.ts. */
  | { event: 'companion-exit'; companion: string; delay: number; error: string }
  /** The supervisor itself. */
  | { event: 'failed'; error: string };
