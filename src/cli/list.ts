// doublefork list: everything that was started under a name.

import type { Command } from 'commander';
import { recordedNames } from '../control/record.js';
import { print, printJson } from './output.js';
import { describe, printTable } from './summary.js';

export function declare(command: Command): void {
  command
    .option('-q, --quiet', 'the names alone')
    .option('--json', 'in JSON')
    .action((options: { quiet?: boolean; json?: boolean }) => {
      const names = recordedNames();
      if (options.quiet) return names.forEach(print);
      const summaries = names.map((name) => describe(name, { name }));
      if (options.json) return printJson(summaries);
      if (names.length === 0) return print('no daemon was started here');
      printTable(summaries);
    });
}
