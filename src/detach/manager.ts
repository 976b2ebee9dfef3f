// The service manager of this process, told how the service fares: sd_notify(3), and the newline of s6.

import { closeSync, writeSync } from '../builtin/fs.js';
import type { HandedOverManager } from '../image/handoff.js';
import { shared } from '../posix/shared.js';
import { trace } from '../posix/trace.js';
import { notifySocket, takenVariables, watchdogTimeout } from '../systemd/environment.js';
import { encode, type Notification, send, sendBarrier } from '../systemd/notify.js';
import { findNotificationFd } from './notification-fd.js';

/** What is said of a service that fails. */
export interface Failure {
  reason: string;
  code: number;
  errno?: number | undefined;
}

/** So many times within the time that the manager sets it hears that the service does not hang. */
const PINGS_PER_TIMEOUT = 3;

const LONGEST_STATUS = 500;

/** How long a manager may take to read what it was told. In ms. */
const BARRIER_TIMEOUT = 2000;

/** The one of this process; undefined: it was not looked for yet. */
const own = shared('manager', () => ({
  found: undefined as { manager: ServiceManager | undefined } | undefined,
}));

/**
 * The service manager that has started this process and listens to it. What it has put into the environment
 * is taken out of there.
 *
 * Each method returns why the manager cannot be told, once: a variable that was left over must not end a
 * service that runs.
 */
export class ServiceManager {
  readonly #address: string | undefined;
  /** Where s6 waits for a newline. */
  #readyFd: number | undefined;
  /** How often to say that the service does not hang, in ms; 0: never. */
  readonly pingEvery: number;
  /** The process that speaks; a copy of it, made by fork(), does not. */
  #pid = process.pid;
  /** Whether it was said already that the manager cannot be reached. */
  #unreachable = false;
  #ready = false;
  #stopping = false;

  private constructor(
    address: string | undefined,
    readyFd: number | undefined,
    timeout: number | undefined,
  ) {
    this.#address = address;
    this.#readyFd = readyFd;
    this.pingEvery = address === undefined ? 0 : (timeout ?? 0) / PINGS_PER_TIMEOUT;
  }

  /** undefined: there is none that listens. */
  static ours(): ServiceManager | undefined {
    own.found ??= { manager: ServiceManager.#find() };
    return own.found.manager;
  }

  /** The one of a predecessor, which speaks until {@link moved}. */
  static ofPredecessor({ address, watchdog }: HandedOverManager): ServiceManager {
    const manager = new ServiceManager(address, undefined, watchdog);
    manager.#pid = 0;
    own.found = { manager };
    return manager;
  }

  static #find(): ServiceManager | undefined {
    const address = notifySocket();
    const timeout = watchdogTimeout();
    const readyFd = findNotificationFd();
    if (address === undefined && readyFd === undefined) return undefined;
    trace?.('manager', `listens at ${address ?? `fd ${readyFd}`}; watchdog: ${timeout ?? 'none'}`);
    return new ServiceManager(address, readyFd, timeout);
  }

  /**
   * The service starts, and may take so long, in ms; 0: for ever. That the manager cannot be told is said
   * when it is to hear that the service is ready.
   */
  starting(timeout: number): void {
    if (timeout <= 0) return;
    const problem = this.#tell({ extendTimeout: timeout });
    if (problem !== undefined) this.#unreachable = false;
  }

  /** The service serves. Told once. */
  ready(status = `Ready (pid ${process.pid})`): Error | undefined {
    if (this.#ready) return undefined;
    this.#ready = true;
    this.#writeNewline();
    return this.#tell({ ready: true, status });
  }

  /** Another version is to serve; that may take so long, in ms. */
  reloading(timeout: number): Error | undefined {
    return this.#tell({
      reloading: true,
      status: 'Reloading',
      ...(timeout > 0 ? { extendTimeout: timeout } : {}),
    });
  }

  /** A reload is over. */
  reloaded(status: string): Error | undefined {
    return this.#stopping ? undefined : this.#tell({ ready: true, status });
  }

  /** The service is about to end, which may take so long, in ms. Told once. */
  stopping(timeout = 0): Error | undefined {
    if (this.#stopping) return undefined;
    this.#stopping = true;
    return this.#tell({
      stopping: true,
      ...(timeout > 0 ? { status: 'Stopping', extendTimeout: timeout } : {}),
    });
  }

  failed({ reason, code, errno }: Failure): Error | undefined {
    const status = reason.split('\n', 1)[0]!.slice(0, LONGEST_STATUS);
    return this.#tell({
      stopping: true,
      status,
      ...(errno === undefined ? {} : { errno: Math.abs(errno) }),
      exitStatus: code,
    });
  }

  /** It does not hang. */
  ping(): Error | undefined {
    return this.#tell({ watchdog: 'alive' });
  }

  /** For the program that this process becomes. */
  get variables(): Readonly<Record<string, string>> {
    return takenVariables();
  }

  /** For a successor; undefined: it can be told nothing. */
  get handedOver(): HandedOverManager | undefined {
    if (this.#address === undefined) return undefined;
    return { address: this.#address, watchdog: this.pingEvery * PINGS_PER_TIMEOUT };
  }

  /** Whether it can be told that another process is the service. */
  get canBeToldMainPid(): boolean {
    return this.#address !== undefined;
  }

  /**
   * Another process is the service from now on; what that says counts once the manager has read this. This one
   * says nothing more.
   */
  succeededBy(pid: number): void {
    const problem = this.#tell({
      mainPid: pid,
      ready: true,
      status: `Ready, reloaded (pid ${pid})`,
    });
    if (problem === undefined && this.#address !== undefined) {
      try {
        sendBarrier(this.#address, BARRIER_TIMEOUT);
      } catch (error) {
        // One that does not know of barriers, or is busy: it has the message, and will read it.
        trace?.('manager', `does not confirm the new pid: ${(error as Error).message}`);
      }
    }
    this.#pid = 0;
  }

  /** It has died at once: this process is the service again. */
  takeBack(): void {
    this.#pid = process.pid;
    this.#tell({ mainPid: process.pid });
  }

  /** The program goes on in this process, which is the service from now on. */
  moved(): void {
    this.#pid = process.pid;
  }

  /** In a worker: speaks no more. */
  release(): void {
    if (this.#readyFd !== undefined) closeSync(this.#readyFd);
    this.#readyFd = undefined;
  }

  #writeNewline(): void {
    if (this.#readyFd === undefined || process.pid !== this.#pid) return;
    try {
      writeSync(this.#readyFd, '\n');
    } catch (error) {
      // Nobody reads it.
      if ((error as NodeJS.ErrnoException).code !== 'EPIPE') throw error;
    } finally {
      this.release();
    }
  }

  #tell(notification: Notification): Error | undefined {
    if (this.#address === undefined || process.pid !== this.#pid) return undefined;
    try {
      send(this.#address, encode(notification));
      return undefined;
    } catch (error) {
      if (this.#unreachable) return undefined;
      this.#unreachable = true;
      return unreachable(this.#address, error as Error);
    }
  }
}

function unreachable(address: string, cause: Error): Error {
  return Object.assign(
    new Error(
      `The service manager at NOTIFY_SOCKET=${address} cannot be told how the service fares: ` +
        `${cause.message}. The service runs all the same. If there is no service manager, unset NOTIFY_SOCKET`,
      { cause },
    ),
    { name: 'Warning', code: 'DOUBLEFORK_NOTIFY_SOCKET' },
  );
}
