// doublefork status [names...]: exits with the code that LSB gives it.

import type { Command } from 'commander';
import { printJson } from './output.js';
import { describe, printTable } from './summary.js';
import { declareTargets, subjects, type TargetOptions } from './targets.js';

export function declare(command: Command): void {
  declareTargets(command)
    .option('--json', 'in JSON')
    .addHelpText(
      'after',
      '\nExit codes: 0 running, 1 dead with a pidfile, 3 not running, 4 unknown.',
    )
    .action(status);
}

async function status(names: string[], options: TargetOptions & { json?: boolean }): Promise<void> {
  const summaries = (await subjects(names, options)).map(({ label, target }) =>
    describe(label, target),
  );
  if (options.json) printJson(summaries);
  else printTable(summaries);
  process.exitCode = Math.max(...summaries.map(({ code }) => code));
}
