// doublefork rollback [names...]: the version before a reload, which a supervisor has kept in memory,
// serves again.

import type { Command } from 'commander';
import { print, printJson } from './output.js';
import { Progress, tellPhase } from './progress.js';
import { asking, controls, declareSupervisors, type SupervisorOptions } from './supervisor.js';

export function declare(command: Command): void {
  declareSupervisors(command)
    .usage('[options] [names...]')
    .option('--json', 'say in JSON what serves now')
    .addHelpText(
      'after',
      '\nIt waits until that serves and the other one does not. A second rollback leads back again.',
    )
    .action(rollback);
}

async function rollback(
  names: string[],
  options: SupervisorOptions & { json?: boolean },
): Promise<void> {
  const done: unknown[] = [];
  for (const control of await controls(names, options)) {
    const { label } = control;
    using progress = new Progress(`rolling ${label} back`);
    const json = options.json === true;
    await asking(control, (client) =>
      client.rollback((phase) => tellPhase(label, phase, progress, json)),
    );
    const { pid, image, previous } = await asking(control, (client) => client.status());
    done.push({ name: label, pid, image, previous });
    if (!options.json) print(`${label} is back at image ${image.number} (pid ${pid})`);
  }
  if (options.json) printJson(done);
}
