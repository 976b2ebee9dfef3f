/**
 * doublefork turns a Node.js program into a real Unix daemon.
 * @module
 */

export {
  daemonStatus,
  findDaemon,
  restartDaemon,
  signalDaemon,
  stopDaemon,
} from './control/index.js';
export type { Step } from './control/schedule.js';
export type { SignalOptions } from './control/signal.js';
export type { StopOptions, Stopped } from './control/stop.js';
export type { DaemonStatus, FoundDaemon, Target } from './control/target.js';
export type { Commands } from './detach/commands.js';
export type { CrashReportOptions } from './detach/crash-reports.js';
export type { Daemon } from './detach/daemon.js';
export { daemonize } from './detach/daemonize.js';
export type { DaemonizeOptions, FileTarget, StdioTarget } from './detach/options.js';
export type { ServiceManagerSign } from './detach/recognize.js';
export {
  type HandedOverValue,
  type Handover,
  handover,
  type SendOptions,
} from './image/handover.js';
export type { Job, JobContext, JobOptions } from './jobs/in-fork.js';
export { createPool, inFork, jobs, snapshot } from './jobs/index.js';
export type { JobsOptions, Pool, PoolOptions, PoolStats, RunOptions } from './jobs/pool.js';
export type { Snapshot, SnapshotFile, SnapshotOptions } from './jobs/snapshot.js';
export { type Drained, type DrainOptions, drain } from './listen/drain.js';
export { type Listener, listen, type UdpListener } from './listen/listen.js';
export type { ListenOptions, UdpOptions } from './listen/options.js';
export type {
  CaptureOptions,
  Facility,
  JournalOptions,
  LogFields,
  SyslogOptions,
} from './logs/options.js';
export type { PidfileState } from './pidfile/inspect.js';
export type { AlreadyRunningError, PidfileOptions } from './pidfile/pidfile.js';
export { Pidfile } from './pidfile/pidfile.js';
export type { ProcessIdentity } from './pidfile/process.js';
export type { ForkOptions } from './posix/fork.js';
export { fork, forkSupport } from './posix/fork.js';
export { type ForkHooks, type NewProcess, onFork } from './posix/fork-hooks.js';
export { supervise } from './supervise/index.js';
export type { SuperviseOptions } from './supervise/options.js';
export type { Worker } from './supervise/worker.js';
