// doublefork recycle [names...]: new processes of the version that serves, one by one.

import type { Command } from 'commander';
import { print, printJson } from './output.js';
import { Progress } from './progress.js';
import { asking, controls, declareSupervisors, type SupervisorOptions } from './supervisor.js';
import { count } from './workers.js';

export function declare(command: Command): void {
  declareSupervisors(command)
    .usage('[options] [names...]')
    .option('--json', 'say in JSON what was done')
    .addHelpText(
      'after',
      '\nIt waits until all workers are replaced. A new version of the program is what reload is for.',
    )
    .action(recycle);
}

async function recycle(
  names: string[],
  options: SupervisorOptions & { json?: boolean },
): Promise<void> {
  const done: unknown[] = [];
  for (const control of await controls(names, options)) {
    const { label } = control;
    using _ = new Progress(`recycling ${label}`);
    await asking(control, (client) => client.recycle());
    const { workers } = await asking(control, (client) => client.status());
    done.push({ name: label, workers: workers.length });
    if (!options.json) print(`${label} has ${count(workers.length, 'new worker')}`);
  }
  if (options.json) printJson(done);
}
