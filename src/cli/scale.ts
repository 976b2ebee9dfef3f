// doublefork scale [names...] <workers>

import type { Command } from 'commander';
import { print, printJson } from './output.js';
import { asking, controls, declareSupervisors, type SupervisorOptions } from './supervisor.js';
import { count } from './workers.js';

export function declare(command: Command): void {
  declareSupervisors(command)
    .usage('[options] [names...] <workers>')
    .option('--json', 'say in JSON what was asked for')
    .action(scale);
}

/** @param words the daemons, and behind them the number of workers */
async function scale(
  words: string[],
  options: SupervisorOptions & { json?: boolean },
  command: Command,
): Promise<void> {
  const number = words.at(-1);
  if (number === undefined || !/^(0|[1-9]\d{0,8})$/.test(number)) {
    command.error('error: how many workers? Their number comes last');
  }
  const workers = Number(number);
  const done: unknown[] = [];
  for (const control of await controls(words.slice(0, -1), options)) {
    await asking(control, (client) => client.scale(workers));
    done.push({ name: control.label, workers });
    if (!options.json) print(`${control.label} is to have ${count(workers, 'worker')}`);
  }
  if (options.json) printJson(done);
}
