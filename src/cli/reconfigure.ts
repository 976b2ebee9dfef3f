// doublefork reconfigure [names...]: a supervisor reads the configuration of its program again.

import type { Command } from 'commander';
import { print, printJson } from './output.js';
import { Progress } from './progress.js';
import { asking, controls, declareSupervisors, type SupervisorOptions } from './supervisor.js';

export function declare(command: Command): void {
  declareSupervisors(command)
    .usage('[options] [names...]')
    .option('--json', 'say in JSON what is in force')
    .addHelpText(
      'after',
      '\nFor programs that call loadConfig() of doublefork/config. It waits until every worker has what is in the file.' +
        ' What is wrong is refused, with line and column, and the configuration before stays in force.',
    )
    .action(reconfigure);
}

async function reconfigure(
  names: string[],
  options: SupervisorOptions & { json?: boolean },
): Promise<void> {
  const done: unknown[] = [];
  for (const control of await controls(names, options)) {
    const { label } = control;
    using _ = new Progress(`reading the configuration of ${label}`);
    await asking(control, (client) => client.reconfigure());
    const { config } = await asking(control, (client) => client.status());
    done.push({ name: label, config });
    if (options.json) continue;
    for (const { file, generation, workers } of config) {
      print(`${label} has ${file} in force in ${workers} workers, generation ${generation}`);
    }
  }
  if (options.json) printJson(done);
}
