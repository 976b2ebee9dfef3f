// health(): one endpoint, of this process, or of the family that it becomes.

import type { Server } from 'node:http';
import { join } from 'node:path';
import type { Registry } from 'prom-client';
import { thisProcess } from '../detach/this-process.js';
import { type ListenAddress, type Listener, listen } from '../listen/listen.js';
import { bindMethods } from '../posix/bind.js';
import { dup } from '../posix/descriptor.js';
import { integer, invalidType } from '../posix/errors.js';
import { refuseUnknown } from '../posix/known.js';
import { companions } from '../supervise/companions.js';
import { type Check, Checks } from './checks.js';
import { Reporter, type WorkerReport } from './report.js';
import { serve } from './server.js';

/** Options of {@link health}. Times are in ms. */
export interface HealthOptions {
  /** TCP port of the endpoint; 0: any that is free. Without this and `path` there is none. */
  port?: number;
  /** Its address. Default `'127.0.0.1'`: it is nobody's business outside of this machine. */
  host?: string;
  /** Path of a unix socket, instead of `port`. */
  path?: string;
  /** By name, what the program looks at itself to tell whether it is ready: see {@link Check}. */
  checks?: Readonly<Record<string, Check>>;
  /** How long a check may take. Default 2000. */
  timeout?: number;
  /** How long the result of a check counts. Default 1000. */
  cache?: number;
  /** How often a worker reports to its supervisor. Default 2000. */
  interval?: number;
  /** More metrics: a registry of prom-client. Not for what calls supervise(). */
  registry?: Registry;
}

/** What {@link health} returns. */
export interface Health extends Disposable {
  /** Where the endpoint is. */
  readonly address: ListenAddress | undefined;
  /** Adds a check. */
  check(name: string, check: Check): void;
  /** Closes the endpoint in this process, and stops checking. */
  close(): void;
}

const KNOWN: Readonly<Record<keyof HealthOptions, true>> = {
  port: true,
  host: true,
  path: true,
  checks: true,
  timeout: true,
  cache: true,
  interval: true,
  registry: true,
};

/** The name of its socket, and of the process that serves it for a family. */
const NAME = 'doublefork health';

/**
 * Serves /livez, /readyz, /healthz and /metrics over HTTP. In a program that calls supervise() after it, a
 * process of its own does, which asks the supervisor: it answers while every worker is stuck. There
 * `checks` run in each worker, which reports what they say. The socket is bound before this returns.
 *
 * /metrics needs the package prom-client.
 * @throws EADDRINUSE, EACCES and the like for the socket; ERR_INVALID_ARG_TYPE, ERR_INVALID_ARG_VALUE,
 * ERR_OUT_OF_RANGE; in a worker ERR_INVALID_ARG_VALUE for `port` or `path`: all of them would have it
 */
export function health(options: HealthOptions = {}): Health {
  refuseUnknown(options, Object.keys(KNOWN), 'options');
  return new Endpoint(options);
}

class Endpoint implements Health {
  readonly #listener: Listener | undefined;
  readonly #checks: Checks;
  readonly #registry: Registry | undefined;
  readonly #timer: NodeJS.Timeout;
  #server: Server | undefined;
  #reporter: Reporter | undefined;
  #reporting = false;
  /** See WorkerReport. */
  readonly #holds: number;

  constructor(options: HealthOptions) {
    const { checks = {}, registry } = options;
    const time = (name: 'timeout' | 'cache' | 'interval', fallback: number, least = 0) =>
      integer(options[name] ?? fallback, `options.${name}`, least, 2 ** 31 - 1);
    const timeout = time('timeout', 2000, 1);
    this.#checks = new Checks(timeout, time('cache', 1000));
    this.#registry = registry;
    const interval = time('interval', 2000, 100);
    this.#holds = 2 * interval + timeout;
    for (const [name, check] of Object.entries(checks)) this.check(name, check);
    this.#listener = openListener(options);
    if (this.#listener !== undefined) this.#announce(this.#listener);
    // Once the program has come to what it is: supervise() is not called yet, or has just returned.
    setImmediate(() => void this.#tick());
    this.#timer = setInterval(() => void this.#tick(), interval).unref();
    bindMethods(this);
  }

  get address(): ListenAddress | undefined {
    return this.#listener?.address;
  }

  check(name: string, check: Check): void {
    if (typeof check !== 'function') throw invalidType(`check ${name}`, 'of type function', check);
    this.#checks.add(name, check);
  }

  /** If there will be a supervisor, it starts the process that serves. */
  #announce({ fd }: Listener): void {
    // What a debugger or an agent has in NODE_OPTIONS is for the program.
    const node = ['/usr/bin/env', '-u', 'NODE_OPTIONS', process.execPath];
    const program = join(import.meta.dirname, 'service.js');
    companions.set(NAME, {
      name: NAME,
      argv: (control, reports) => [...node, program, JSON.stringify({ fd, control, reports })],
      keep: [fd],
      beforeSupervise: () => this.#stopServing(),
    });
  }

  async #tick(): Promise<void> {
    const worker = thisProcess.worker;
    if (worker === undefined) {
      this.#serve();
      return;
    }
    // A check that hangs is told by the next one.
    if (this.#reporting) return;
    this.#reporting = true;
    this.#reporter ??= new Reporter(this.#checks);
    try {
      const report: WorkerReport = { ...(await this.#reporter.report()), holds: this.#holds };
      worker.health(JSON.stringify(report));
    } finally {
      this.#reporting = false;
    }
  }

  #serve(): void {
    if (this.#listener === undefined || this.#server !== undefined) return;
    const reporter = new Reporter(this.#checks);
    this.#reporter = reporter;
    const look = async () => ({ kind: 'process', report: await reporter.report() }) as const;
    // The server closes its descriptor, and the other one may still be for a supervisor.
    this.#server = serve({ look, registry: this.#registry }, dup(this.#listener.fd));
    this.#server.unref();
  }

  #stopServing(): void {
    this.#server?.close();
    this.#server?.closeAllConnections();
    this.#server = undefined;
    this.#reporter?.[Symbol.dispose]();
    this.#reporter = undefined;
  }

  close(): void {
    clearInterval(this.#timer);
    this.#stopServing();
    companions.delete(NAME);
    this.#listener?.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

function openListener({ port, host = '127.0.0.1', path }: HealthOptions): Listener | undefined {
  if (port === undefined && path === undefined) return undefined;
  if (thisProcess.worker !== undefined) {
    throw Object.assign(
      new TypeError(
        'health() with a port or a path belongs before supervise(): each worker would open it. In a worker it takes checks',
      ),
      { code: 'ERR_INVALID_ARG_VALUE' },
    );
  }
  if (path === undefined) return listen(NAME, { port: port!, host });
  if (port !== undefined) {
    throw Object.assign(new TypeError('of options.port and options.path one is enough'), {
      code: 'ERR_INVALID_ARG_VALUE',
    });
  }
  return listen(NAME, { path });
}
