// doublefork save: notes what runs now, to be started at boot.

import type { Command } from 'commander';
import { bootPlace } from './boot.js';
import { print, printJson } from './output.js';
import { saidOf, savedFile, whatRuns, writeSaved } from './saved.js';

export function declare(command: Command): void {
  command
    .option('--json', 'say in JSON what was saved')
    .addHelpText(
      'after',
      '\nIt replaces what was saved before. `doublefork startup` has it started at boot, `doublefork start --saved` starts it now.',
    )
    .action(save);
}

function save({ json = false }: { json?: boolean }): void {
  const { running, stopped } = whatRuns();
  if (running.length === 0) {
    throw new Error(
      'nothing runs here that could be saved; what was saved before is left as it is',
    );
  }
  writeSaved(running);
  const atBoot = bootPlace()?.isInstalled === true;
  if (json) {
    printJson({
      file: savedFile(),
      mode: '0600',
      saved: running.map(({ name, config, environment = {} }) => ({
        name,
        config: config ?? null,
        variables: Object.keys(environment).length,
      })),
      notRunning: stopped,
      atBoot,
    });
    return;
  }
  const said = saidOf(running, stopped);
  print([...said, ...(atBoot ? [] : ['not started at boot yet: doublefork startup'])].join('\n'));
}
