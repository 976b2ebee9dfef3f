// A service that is reloaded: a directory of releases, with a link to the one that is current.

import {
  chmodSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import type { Agent } from 'node:http';
import { join } from 'node:path';
import { ControlClient } from '../../../src/supervise/control-client.js';
import { temporaryFolder } from '../../support/folder.js';
import { getJson } from '../../support/http.js';
import { node } from '../../support/node.js';
import { stat, until } from '../../support/processes.js';
import { launch } from '../../support/program.js';

const ENGINE = process.env.DOUBLEFORK_ENGINE ?? 'auto';
const PACKAGE = JSON.stringify(join(import.meta.dirname, '../../../dist/index.js'));

export interface Version {
  /** What it answers with. */
  name: string;
  /** Before listen(), before supervise(), and in its workers. */
  first?: string;
  before?: string;
  after?: string;
  options?: string;
  listen?: string;
}

/** A web server with workers, whose answers name its version and its process. */
const source = ({ name, first, before, after, options, listen }: Version) => `
  import { createServer } from 'node:http';
  import { drain, listen, supervise } from ${PACKAGE};
  import { writeFileSync } from 'node:fs';
  ${first ?? ''}
  const http = listen('http', ${listen ?? "{ port: 0, host: '127.0.0.1' }"});
  ${before ?? ''}
  const worker = supervise({
    workers: 2, engine: '${ENGINE}', control: process.env.CONTROL, ready: 'manual', ${options ?? ''}
  });
  ${after ?? ''}
  const server = createServer((request, response) => {
    const { port } = http.address;
    response.end(JSON.stringify({ version: '${name}', pid: process.pid, cwd: process.cwd(), port }));
  });
  server.listen({ fd: http.fd }, () => {
    if (worker.id === 1) writeFileSync(process.env.PORT_FILE, String(http.address.port));
    worker.ready();
  });
  worker.signal.addEventListener('abort', () => drain(server, { idleTimeout: 1000 }));
`;

export interface Answer {
  version: string;
  pid: number;
  cwd: string;
  port: number;
}

export interface StartOptions {
  /** Added to that of this process. */
  env?: Readonly<Record<string, string>>;
  /** Runs the program. Default: node. */
  command?: readonly string[];
}

export class Service {
  readonly folder = temporaryFolder();
  readonly control = join(this.folder, 'control');
  readonly running: ReturnType<typeof launch>;
  #count = 0;
  port = 0;

  private constructor(version: Version, { env, command = [node] }: StartOptions) {
    // Whoever it runs as makes its control socket there.
    chmodSync(this.folder, 0o777);
    this.deploy(version);
    const cwd = join(this.folder, 'current');
    const [program, ...args] = command;
    this.running = launch(program!, [...args, 'server.mjs'], {
      cwd,
      env: { PWD: cwd, CONTROL: this.control, PORT_FILE: join(this.folder, 'port'), ...env },
    });
  }

  static async start(version: Version, options: StartOptions = {}): Promise<Service> {
    const service = new Service(version, options);
    const status = () => service.ask((client) => client.status()).catch(() => undefined);
    const serves = async () => (await status())?.workers.every(({ state }) => state === 'ready');
    await until(async () => (await serves()) === true, 'the service');
    service.port = service.announcedPort();
    return service;
  }

  announcedPort(): number {
    return Number(readFileSync(join(this.folder, 'port')));
  }

  get pid(): number {
    return this.running.pid;
  }

  /** Switches the link, as a deploy does: never without one. */
  deploy(version: Version | undefined, text = version === undefined ? undefined : source(version)) {
    const release = join(this.folder, 'releases', String(++this.#count));
    mkdirSync(release, { recursive: true });
    if (text !== undefined) writeFileSync(join(release, 'server.mjs'), text);
    symlinkSync(release, join(this.folder, 'next'));
    renameSync(join(this.folder, 'next'), join(this.folder, 'current'));
    return release;
  }

  async ask<T>(question: (client: ControlClient) => Promise<T>): Promise<T> {
    await using client = await ControlClient.connect(this.control);
    return await question(client);
  }

  reload = () => this.ask((client) => client.reload());
  rollback = () => this.ask((client) => client.rollback());
  status = () => this.ask((client) => client.status());

  get(port = this.port, agent?: Agent): Promise<Answer> {
    return getJson({ port, host: '127.0.0.1', agent });
  }

  /** The processes of images that reloads have started: children of it that have a program of their own. */
  images(): number[] {
    return childrenOf(this.pid).filter((pid) => environment(pid).includes('"supervise image"'));
  }

  /** The other children: workers of its own, and spares. */
  ownWorkers(): number[] {
    const images = new Set(this.images());
    return childrenOf(this.pid).filter((pid) => !images.has(pid));
  }

  /** All processes of it that have not ended. */
  family(): number[] {
    const mine = `CONTROL=${this.control}`;
    const all = readdirSync('/proc').map(Number).filter(Number.isInteger);
    return all.filter((pid) => environment(pid).split('\0').includes(mine));
  }

  async stop() {
    process.kill(this.pid, 'SIGTERM');
    return await this.running.ended;
  }
}

export const isGone = (pid: number) => (stat(pid)?.state ?? 'Z') === 'Z';

/** As it was given; empty: it has ended. */
function environment(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/environ`, 'latin1');
  } catch {
    return '';
  }
}

/** Also those that have not been reaped. */
export function childrenOf(pid: number): number[] {
  const text = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8');
  return text.split(' ').filter(Boolean).map(Number);
}
