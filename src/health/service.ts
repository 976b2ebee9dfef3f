// The process that speaks for a supervised family: it asks the supervisor, so it answers while every
// worker is stuck, and has those started again that fail their checks. A program of its own, started by
// the supervisor: see ../supervise/companions.ts.

import { fstatSync, readSync } from 'node:fs';
import { join } from 'node:path';
import { type HealSettings, heal } from './healer.js';
import { StatusPage } from './page.js';
import { serve } from './server.js';
import { Supervised } from './supervised.js';

/** What it reads from a descriptor: arguments are for everybody to see, and there is a token among it. */
export interface ServiceSettings {
  /** Of the listening socket; null: it serves nothing. */
  fd: number | null;
  heal: HealSettings | null;
  /** null: there is no page. */
  page: { title: string; token: string | null; hosts: readonly string[] } | null;
}

const { settings, control, reports } = JSON.parse(process.argv[2]!) as {
  /** A descriptor. */
  settings: number;
  control: string;
  /** Whether the workers say how they are. */
  reports: boolean;
};

// A service manager may signal all of a service. This ends with the supervisor, and tells until then.
for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGUSR1', 'SIGUSR2'] as const) {
  process.on(signal, () => {});
}
process.title = 'doublefork health';
const parent = process.ppid;
// Where the kernel does not end it with the supervisor.
setInterval(() => process.ppid === parent || process.exit(), 1000);

const { fd, heal: treatment, page } = readSettings(settings);
const supervised = new Supervised(control, reports);
if (fd !== null) {
  const status =
    page &&
    new StatusPage({
      title: page.title,
      token: page.token ?? undefined,
      hosts: page.hosts,
      directory: join(import.meta.dirname, 'page'),
      services: async () => [supervised.service('service', page.title)],
    });
  serve({ look: supervised.look, page: status ?? undefined }, { fd });
}
if (treatment !== null) void heal(treatment, supervised.connect);

/** Started again, it reads it again: from its beginning, wherever the one before has come. */
function readSettings(file: number): ServiceSettings {
  const buffer = Buffer.alloc(fstatSync(file).size);
  readSync(file, buffer, 0, buffer.length, 0);
  return JSON.parse(buffer.toString()) as ServiceSettings;
}
