// The process that speaks for a supervised family: it asks the supervisor, so it answers while every
// worker is stuck. A program of its own, started by the supervisor: see ../supervise/companions.ts.

import { ControlClient } from '../supervise/control-client.js';
import { serve } from './server.js';
import type { Sight } from './view.js';

/** How long the supervisor may take to answer, in ms. */
const PATIENCE = 2000;

const { fd, control, reports } = JSON.parse(process.argv[2]!) as {
  fd: number;
  control: string;
  /** Whether the workers say how they are. */
  reports: boolean;
};

let client: ControlClient | undefined;

async function look(): Promise<Sight> {
  try {
    client ??= await ControlClient.connect(control, PATIENCE);
    return { kind: 'service', reports, status: await client.status() };
  } catch (error) {
    client?.close();
    client = undefined;
    return { kind: 'lost', error: (error as Error).message };
  }
}

// A service manager may signal all of a service. This ends with the supervisor, and tells until then.
for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGUSR1', 'SIGUSR2'] as const) {
  process.on(signal, () => {});
}
process.title = 'doublefork health';
const supervisor = process.ppid;
// Where the kernel does not end it with the supervisor.
setInterval(() => process.ppid === supervisor || process.exit(), 1000);
serve({ look }, fd);
