// What daemonize() returns.

import { fstatSync, statSync } from '../builtin/fs.js';
import { constants as os } from '../builtin/os.js';
import { type Image, imageByName } from '../image/image.js';
import type { Capture } from '../logs/capture.js';
import type { Pidfile } from '../pidfile/pidfile.js';
import { bindMethods } from '../posix/bind.js';
import {
  errorText,
  integer,
  isError,
  outOfRange,
  posixError,
  sentenceOf,
} from '../posix/errors.js';
import { refuseUnknown } from '../posix/known.js';
import { requirePart } from '../posix/parts.js';
import { COMMANDS, type Commands } from './commands.js';
import { execInto } from './exec-into.js';
import type { ServiceManager } from './manager.js';
import type { DaemonSettings, StreamTarget } from './options.js';
import type { Readiness } from './readiness.js';
import type { ServiceManagerSign } from './recognize.js';
import { reopen } from './redirect.js';

const STOP_SIGNALS = ['SIGTERM', 'SIGINT'] as const;

/** A second signal this soon is the first once more: a supervisor and its service manager both send it. In ms. */
const TOLD_TWICE = 500;

/** How long a program must live to count as started, unless told otherwise. In ms. */
export const SETTLE_MS = 1000;

/** Options of {@link Daemon.exec}. */
export interface ExecOptions {
  /** Its environment. Default: that of the daemon. */
  env?: Readonly<Record<string, string | undefined>>;
  /**
   * How long the program must live to count as started, in ms. Default {@link SETTLE_MS}; 0: until it
   * comes to sleep for the first time, which an interpreter does before the program's first line.
   */
  settle?: number;
  /** What the launcher prints on its standard output then. */
  say?: string;
}

/** @internal */
export interface Parts {
  detached: boolean;
  /** Whom it tells that it is ready: the launcher, or a service manager, or nobody. */
  readiness?: Readiness;
  manager?: ServiceManager | undefined;
  pidfile: Pidfile | undefined;
  /** The logger that writes what it prints. */
  capture?: Capture | undefined;
}

/** The running daemon, as seen by itself. */
export class Daemon implements Disposable {
  /** Whether it left the terminal, or stayed in the foreground (option `detach`). */
  readonly detached: boolean;
  /**
   * The service manager that was recognized, and by what sign; undefined: none, or `detach` was not
   * `'auto'`. `DOUBLEFORK_DEBUG=1` and `doublefork doctor` tell it, too.
   */
  readonly serviceManager: ServiceManagerSign | undefined;
  /** The file that names it (option `pidfile`). */
  readonly pidfile: Pidfile | undefined;
  /** @internal */
  readonly readiness: Readiness | undefined;
  /** @internal */
  readonly manager: ServiceManager | undefined;
  /** Whether somebody waits for {@link ready}, who is not the launcher. */
  #awaited: boolean;
  #heartbeat: NodeJS.Timeout | undefined;
  readonly #stdio: readonly StreamTarget[];
  readonly #capture: Capture | undefined;
  readonly #commands: Commands;
  #stop: AbortController | undefined;
  /** How this program is started again, by its names; an error: why it cannot be. */
  readonly #image: (() => Image) | Error;
  #handingOver = false;

  /** @internal */
  constructor(
    { detached, readiness, manager, pidfile, capture }: Parts,
    {
      stdio,
      commands,
      manager: sign,
      manual,
    }: Pick<DaemonSettings, 'stdio' | 'commands' | 'manual' | 'manager'>,
  ) {
    this.detached = detached;
    this.serviceManager = sign;
    this.pidfile = pidfile;
    this.readiness = readiness;
    this.manager = manager;
    this.#awaited = manual && !detached;
    this.#stdio = stdio;
    this.#capture = capture;
    this.#commands = commands;
    this.#image = findImage();
    bindMethods(this);
    const writesFiles = stdio.some((it, fd) => fd > 0 && it.kind === 'file');
    if (writesFiles) process.on(this.reopenSignal, this.#onReopen);
    if (manager !== undefined && manager.pingEvery > 0) {
      // The event loop does it: one that hangs does not.
      this.#heartbeat = setInterval(() => this.#warn(manager.ping()), manager.pingEvery).unref();
    }
  }

  /** @internal Whether somebody waits to hear that it is ready. */
  get awaited(): boolean {
    return this.#awaited || (this.readiness?.pending ?? false);
  }

  /** @internal Has somebody else speak for the service: the supervisor, of which this is a worker now. */
  releaseManager(): void {
    clearInterval(this.#heartbeat);
    this.#awaited = false;
    this.manager?.release();
  }

  #warn(problem: Error | undefined): void {
    if (problem !== undefined) process.emitWarning(problem);
  }

  /** @internal What opens its logs again. */
  get reopenSignal(): NodeJS.Signals {
    return this.#commands.reopen ?? COMMANDS.reopen;
  }

  /** What was moved away must not stay in use in silence; nor does a daemon die of a log. */
  readonly #onReopen = (): void => {
    try {
      this.reopenLogs();
    } catch (error) {
      process.emitWarning(error as Error);
    }
  };

  /** The process id. */
  get pid(): number {
    return process.pid;
  }

  /**
   * Says that the daemon serves: with `ready: 'manual'` the launcher now exits with code 0. In the
   * foreground the service manager is told, if there is one (NOTIFY_SOCKET); if it cannot be reached
   * there is a warning, and the service runs.
   *
   * It can be given as a callback: `app.listen(port, daemon.ready)`.
   * @param status a line for people, which the service manager shows; or an error, with which the
   * daemon has failed instead (see {@link fail}): Express 5 passes that of listen(2). Anything else
   * counts as nothing
   */
  ready(status?: unknown): void {
    if (isError(status)) this.fail(status);
    this.#warn(this.announce(typeof status === 'string' ? status : undefined));
  }

  /** @internal @returns why the service manager cannot be told */
  announce(status?: string): Error | undefined {
    this.#awaited = false;
    this.readiness?.ready();
    // Of one that has detached it is known by the end of the launcher.
    return this.detached ? undefined : this.manager?.ready(status);
  }

  /**
   * Gives up: the launcher, if it still waits, prints the reason and exits with the code. So does the
   * daemon.
   * @param reason an error, printed with its stack, or text
   * @param code 1 to 255
   * @throws ERR_OUT_OF_RANGE for another code: it could pass for success
   */
  fail(reason: unknown, code = 1): never {
    integer(code, 'code', 1, 255);
    // Before the launcher is told: when that exits, the file is gone.
    this.pidfile?.remove();
    if (this.readiness?.pending) this.readiness.failed(reason, code);
    const errno = (reason as NodeJS.ErrnoException | undefined)?.errno;
    this.#warn(this.manager?.failed({ reason: sentenceOf(reason), code, errno }));
    process.stderr.write(`${errorText(reason)}\n`);
    process.exit(code);
  }

  /**
   * Becomes another program: it goes on under the pid of the daemon, with its streams, its working
   * directory and its place in the pidfile. With `ready: 'manual'` the launcher now waits for the
   * program: it exits with code 0 once that has lived for `settle` ms, and has come to rest with all that it
   * has started, or been busy for a second. (On a busy machine it may have to wait for its first turn.)
   * If it dies before, the launcher says how, and shows what it has written to the log.
   *
   * If it cannot be run the daemon has failed (see {@link fail}), with code 127 if there is no such
   * program, else 126.
   * @param path the program; PATH is not searched
   * @param argv its arguments, its own name first
   * @see execve(2)
   */
  exec(path: string, argv: readonly string[], options: ExecOptions = {}): never {
    refuseUnknown(options, ['env', 'settle', 'say'], 'options');
    const { settle = SETTLE_MS, say = '', env = this.#environment() } = options;
    integer(settle, 'options.settle', 0);
    this.readiness?.becomes(settle, say, logOf(this.#stdio));
    try {
      execInto({ path, argv }, env, this.pidfile);
    } catch (error) {
      const { message, code } = error as NodeJS.ErrnoException;
      this.fail(message, code === 'ENOENT' ? 127 : 126);
    }
  }

  /** What the service manager has set is for the program that is the service. */
  #environment(): NodeJS.ProcessEnv {
    return { ...process.env, ...this.manager?.variables };
  }

  /**
   * Starts the next version of this program, as a daemon that takes over from this one: the program, its interpreter
   * and its directory are found anew by the names with which this one was started. It has the sockets of `listen()` and
   * what `handover.send` leaves to it. Once it is ready (see `ready` of daemonize(); without that option, once it has
   * lived for a second) the pidfile names it, with its lock, and the service manager knows it as the main process; then
   * `signal` is aborted here, with the reason `'handover'`: this process is to answer its last requests and to end.
   *
   * The pid changes. To keep it, use supervise(), whose reload does the same.
   * @param options.readyTimeout how long it may take, in ms. Default 60000; 0: any time
   * @returns when the other one is the service
   * @throws with everything as it was, and no other process left: what the new version has said, or how it has ended;
   * ENOENT, EACCES if it cannot be started; ENOTSUP in the foreground, unless the service manager can be told of another
   * pid (NOTIFY_SOCKET), in a worker, or if the program cannot be started again; EALREADY if one is under way
   */
  async handover(options: { readyTimeout?: number } = {}): Promise<{ pid: number }> {
    refuseUnknown(options, ['readyTimeout'], 'options');
    const readyTimeout = integer(options.readyTimeout ?? 60_000, 'options.readyTimeout', 0);
    const { handOver, whyNoSuccessor } = requirePart<typeof import('./handover.js')>('handover.js');
    const { detached, pidfile, manager } = this;
    const refusal = whyNoSuccessor(detached, this.readiness?.isDelegated === true, manager);
    if (refusal !== undefined) throw refusal;
    if (typeof this.#image !== 'function') throw this.#image;
    if (this.#handingOver) {
      const why = 'a handover is under way, or over';
      throw posixError(-os.errno.EALREADY, 'handover', undefined, why);
    }
    this.#handingOver = true;
    try {
      const image = this.#image();
      const capture = this.#capture;
      const estate = { image, detached, pidfile, manager, capture, readyTimeout };
      const successor = await handOver(estate);
      clearInterval(this.#heartbeat);
      this.#stop ??= new AbortController();
      this.#stop.abort('handover');
      return successor;
    } catch (error) {
      this.#handingOver = false;
      throw error;
    }
  }

  /**
   * Aborted by the first SIGTERM or SIGINT, with the signal's name as the reason, and by a {@link handover}; a second
   * one ends the process, unless it comes within half a second: service managers signal all of a service, and
   * its supervisor does too. Until this is read once, those signals do what they always do.
   */
  get signal(): AbortSignal {
    if (this.#stop === undefined) {
      this.#stop = new AbortController();
      for (const name of STOP_SIGNALS) process.on(name, this.#onStop);
    }
    return this.#stop.signal;
  }

  readonly #onStop = (name: NodeJS.Signals): void => {
    if (this.#stop?.signal.aborted) return;
    this.#warn(this.manager?.stopping());
    setTimeout(this[Symbol.dispose], TOLD_TWICE).unref();
    this.#stop?.abort(name);
  };

  /**
   * Calls a function whenever the daemon is told a command, from `doublefork signal`, `signalDaemon()`
   * or kill(1): `'reload'` (SIGHUP), `'reopen'` (SIGUSR2), or one of the option `commands`. From then
   * on the signal does not end the daemon. What the function throws is an uncaught exception.
   * @throws ERR_OUT_OF_RANGE for a command that there is not
   */
  on(command: string, listener: () => void): this {
    process.on(this.#signalOf(command), listener);
    return this;
  }

  /** Takes a function of {@link on} away again. */
  off(command: string, listener: () => void): this {
    process.off(this.#signalOf(command), listener);
    return this;
  }

  #signalOf(command: string): NodeJS.Signals {
    const signal = this.#commands[command];
    if (signal !== undefined) return signal;
    throw outOfRange('command', `one of ${Object.keys(this.#commands).join(', ')}`, command);
  }

  /**
   * Opens the log files again under their paths, after they were moved away by logrotate(8). Done by itself when the
   * daemon is told `reopen` (SIGUSR2).
   * @throws the error of open(2); the old files stay in use then
   */
  reopenLogs(): void {
    reopen(this.#stdio, process.umask());
    this.#capture?.reopen();
  }

  /** Stops listening for signals. */
  [Symbol.dispose](): void {
    for (const name of STOP_SIGNALS) process.off(name, this.#onStop);
  }
}

/** Found out now, while the names lead to this version. */
function findImage(): (() => Image) | Error {
  try {
    return imageByName('daemonize');
  } catch (error) {
    return error as Error;
  }
}

/** The file that a program's last words go to, and where they begin. */
function logOf([, stdout, stderr]: readonly StreamTarget[]):
  | { path: string; offset: number }
  | undefined {
  const log = [stderr, stdout].find((it) => pathOf(it) !== undefined);
  const path = pathOf(log);
  if (path === undefined) return undefined;
  const fd = log === stderr ? 2 : 1;
  return { path, offset: (log?.kind === 'file' ? fstatSync(fd) : statSync(path)).size };
}

function pathOf(target: StreamTarget | undefined): string | undefined {
  if (target?.kind === 'file') return target.path;
  return target?.kind === 'captured' && target.log.to === 'file' ? target.log.file : undefined;
}
