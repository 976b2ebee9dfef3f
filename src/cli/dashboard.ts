// doublefork dashboard [names...]: the status page of all that runs here, over the control sockets.

import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { type Command, InvalidArgumentError } from 'commander';
import { existsSync } from '../builtin/fs.js';
import { join } from '../builtin/path.js';
import { type PageService, StatusPage } from '../health/page.js';
import { servePage } from '../health/server.js';
import { Supervised } from '../health/supervised.js';
import { print } from './output.js';
import { controlOf, controls, declareSupervisors, type SupervisorOptions } from './supervisor.js';
import { subjectsOrAll } from './targets.js';

interface Options extends SupervisorOptions {
  port: number;
  readOnly?: boolean;
}

export function declare(command: Command): void {
  declareSupervisors(command)
    .option(
      '--port <number>',
      'where to serve it, on this machine alone; 0: any free port',
      port,
      0,
    )
    .option('--read-only', 'without reload, recycle, restart and scale')
    .addHelpText(
      'after',
      `
Prints the address to open in a browser, and serves until it is ended. Behind the # stands a token: who
has it may reload, restart and scale what this user may.`,
    )
    .action(dashboard);
}

function port(text: string): number {
  if (/^(0|[1-9]\d{0,4})$/.test(text) && Number(text) < 65_536) return Number(text);
  throw new InvalidArgumentError('It must be a number from 0 to 65535.');
}

async function dashboard(names: string[], options: Options): Promise<void> {
  const token = options.readOnly ? undefined : randomBytes(24).toString('base64url');
  const services = new Services(names, options);
  // Names that lead to nobody are an error before anything is served.
  await services.look();
  using page = new StatusPage({
    title: 'doublefork',
    token,
    hosts: [],
    directory: join(import.meta.dirname, '..', 'health', 'page'),
    services: () => services.look(),
  });
  const server = servePage(page, { host: '127.0.0.1', port: options.port });
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  print(`http://127.0.0.1:${port}/${token === undefined ? '' : `#token=${token}`}`);
  await once(server, 'close');
}

/** Those that are there. With names these; else all, also those that are started later. */
class Services {
  readonly #names: string[];
  readonly #options: Options;
  readonly #known = new Map<string, PageService>();

  constructor(names: string[], options: Options) {
    this.#names = names;
    this.#options = options;
  }

  async look(): Promise<PageService[]> {
    const wanted =
      this.#names.length > 0 || this.#options.control !== undefined
        ? await controls(this.#names, this.#options)
        : await everyone(this.#options);
    return wanted.map(({ label, path }) => {
      const known = this.#known.get(path) ?? new Supervised(path).service(path, label);
      this.#known.set(path, known);
      return known;
    });
  }
}

async function everyone(options: Options): Promise<{ label: string; path: string }[]> {
  const all = await subjectsOrAll([], options);
  return all.flatMap(({ label, target }) => {
    const path = controlOf(target);
    return path !== undefined && existsSync(path) ? { label, path } : [];
  });
}
