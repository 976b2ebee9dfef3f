// health(): one endpoint, of this process, or of the family that it becomes.

import { closeSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs';
import type { Server } from 'node:http';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import type { Registry } from 'prom-client';
import { thisProcess } from '../detach/this-process.js';
import { type ListenAddress, type Listener, listen } from '../listen/listen.js';
import { bindMethods } from '../posix/bind.js';
import { dup } from '../posix/descriptor.js';
import { integer, invalidType, outOfRange, text } from '../posix/errors.js';
import { refuseUnknown } from '../posix/known.js';
import { findExecutable } from '../posix/path.js';
import { companions } from '../supervise/companions.js';
import { type Check, Checks } from './checks.js';
import type { HealSettings } from './healer.js';
import { StatusPage } from './page.js';
import { Reporter, type WorkerReport } from './report.js';
import { serve } from './server.js';
import type { ServiceSettings } from './service.js';

/** Restarts of what fails its check. Times are in ms. */
export interface HealOptions {
  /**
   * What is looked at. A URL: it has to answer with code 2xx. A command with its arguments: it has to exit with code 0.
   * A {@link Check}: each worker runs it as its check `heal`. Default: all checks of each worker, and that it reports.
   * Where workers are looked at, one that fails is restarted, otherwise all are.
   */
  check?: string | readonly string[] | Check;
  /** How often. Default 5000. */
  interval?: number;
  /** How long a worker is left in peace after a restart; and how long it has to be well to be healed. Default 30,000. */
  cooldown?: number;
  /** After so many restarts that did not help the supervisor gives up, with an alarm. Default 5. */
  retries?: number;
}

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
  /** Restart what fails its checks. Needs supervise(). */
  heal?: HealOptions;
  /** Whether there is a status page at /. Default true. */
  page?: boolean;
  /**
   * What allows who has it to reload, recycle, restart and scale from the page; at least 16 characters. Default: there are
   * no such actions.
   */
  token?: string;
  /** Names under which the page may be asked for, beside addresses and localhost: those of a proxy. */
  hosts?: readonly string[];
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
  heal: true,
  page: true,
  token: true,
  hosts: true,
  registry: true,
};

/** The name of its socket, and of the process that serves it for a family. */
const NAME = 'doublefork health';

const LONGEST = 2 ** 31 - 1;
const SHORTEST_TOKEN = 16;

/**
 * Serves /livez, /readyz, /healthz, /metrics and a status page over HTTP. In a program that calls supervise() after it, a
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
  readonly #page: ServiceSettings['page'];
  readonly #heal: HealSettings | undefined;
  /** What the process that serves for a family is told: see ServiceSettings. */
  #settings: number | undefined;
  #statusPage: StatusPage | undefined;
  readonly #timer: NodeJS.Timeout;
  #server: Server | undefined;
  #reporter: Reporter | undefined;
  #reporting = false;
  #isWarned = false;
  /** See WorkerReport. */
  readonly #holds: number;

  constructor(options: HealthOptions) {
    const { checks = {}, registry } = options;
    const time = (name: 'timeout' | 'cache' | 'interval', fallback: number, least = 0) =>
      integer(options[name] ?? fallback, `options.${name}`, least, 2 ** 31 - 1);
    const timeout = time('timeout', 2000, 1);
    this.#checks = new Checks(timeout, time('cache', 1000));
    this.#registry = registry;
    this.#page = pageOf(options);
    this.#heal = options.heal && this.#healOf(options.heal, timeout);
    const interval = time('interval', 2000, 100);
    this.#holds = 2 * interval + timeout;
    for (const [name, check] of Object.entries(checks)) this.check(name, check);
    this.#listener = openListener(options);
    const isInWorker = thisProcess.worker !== undefined;
    if (this.#listener !== undefined || (this.#heal !== undefined && !isInWorker)) this.#announce();
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
  #announce(): void {
    const fd = this.#listener?.fd ?? null;
    const settings: ServiceSettings = { fd, heal: this.#heal ?? null, page: this.#page };
    this.#settings = unnamedFile(JSON.stringify(settings));
    const file = this.#settings;
    // What a debugger or an agent has in NODE_OPTIONS is for the program.
    const node = ['/usr/bin/env', '-u', 'NODE_OPTIONS', process.execPath];
    const program = join(import.meta.dirname, 'service.js');
    companions.set(NAME, {
      name: NAME,
      argv: (control, reports) => [
        ...node,
        program,
        JSON.stringify({ settings: file, control, reports }),
      ],
      keep: [file, ...(fd === null ? [] : [fd])],
      beforeSupervise: () => this.#stopServing(),
    });
  }

  async #tick(): Promise<void> {
    const worker = thisProcess.worker;
    if (worker === undefined) {
      if (this.#heal !== undefined && !this.#isWarned) {
        this.#isWarned = true;
        process.emitWarning('health({ heal }) has nothing to restart without supervise()');
      }
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
    if (this.#page !== null) {
      const { title } = this.#page;
      this.#statusPage = new StatusPage({
        title,
        token: undefined,
        hosts: this.#page.hosts,
        directory: join(import.meta.dirname, 'page'),
        services: async () => [{ key: 'service', name: title, look }],
      });
    }
    const page = this.#statusPage;
    this.#server = serve({ look, registry: this.#registry, page }, { fd: dup(this.#listener.fd) });
    this.#server.unref();
  }

  #healOf(options: HealOptions, timeout: number): HealSettings {
    const name = 'options.heal';
    refuseUnknown(options, ['check', 'interval', 'cooldown', 'retries'], name);
    const time = (key: 'interval' | 'cooldown', fallback: number) =>
      integer(options[key] ?? fallback, `${name}.${key}`, 100, LONGEST);
    if (typeof options.check === 'function') this.check('heal', options.check);
    return {
      check: healCheckOf(options.check),
      interval: time('interval', 5000),
      cooldown: time('cooldown', 30_000),
      retries: integer(options.retries ?? 5, `${name}.retries`, 1, 10_000),
      timeout,
    };
  }

  #stopServing(): void {
    this.#statusPage?.[Symbol.dispose]();
    this.#statusPage = undefined;
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
    if (this.#settings !== undefined) closeSync(this.#settings);
    this.#settings = undefined;
    this.#listener?.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

/** @throws ERR_INVALID_ARG_TYPE, ERR_OUT_OF_RANGE */
function pageOf({ page = true, token, hosts = [] }: HealthOptions): ServiceSettings['page'] {
  if (typeof page !== 'boolean') throw invalidType('options.page', 'of type boolean', page);
  if (token !== undefined && text(token, 'options.token').length < SHORTEST_TOKEN) {
    throw outOfRange('options.token', `at least ${SHORTEST_TOKEN} characters`, 'what is shorter');
  }
  if (!Array.isArray(hosts)) throw invalidType('options.hosts', 'an Array of names', hosts);
  for (const [index, host] of hosts.entries()) text(host, `options.hosts[${index}]`);
  if (!page) return null;
  return { title: basename(process.argv[1] ?? 'node'), token: token ?? null, hosts };
}

/** @throws ERR_INVALID_ARG_TYPE, ERR_OUT_OF_RANGE; ENOENT, EACCES if a command is no program */
function healCheckOf(check: HealOptions['check']): HealSettings['check'] {
  const name = 'options.heal.check';
  if (check === undefined || typeof check === 'function') return { kind: 'workers' };
  if (Array.isArray(check)) {
    const [program, ...args] = check.map((word, index) => text(word, `${name}[${index}]`));
    if (program === undefined) throw outOfRange(name, 'a program and its arguments', '[]');
    const path = findExecutable(program, process.cwd(), process.env.PATH ?? '');
    return { kind: 'command', argv: [path, ...args] };
  }
  const url = text(check, name);
  if (!/^https?:/.test(url) || !URL.canParse(url)) {
    throw outOfRange(name, 'an http: or https: URL, a command as an Array, or a function', url);
  }
  return { kind: 'http', url };
}

/** A file that nobody else can open: it has no name any more. */
function unnamedFile(content: string): number {
  const directory = mkdtempSync(join(tmpdir(), 'doublefork-'));
  try {
    const fd = openSync(join(directory, 'settings'), 'wx+', 0o600);
    writeSync(fd, content);
    return fd;
  } finally {
    rmSync(directory, { recursive: true });
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
