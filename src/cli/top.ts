// doublefork top [name]: the table of status, again and again.

import { setTimeout as sleep } from 'node:timers/promises';
import { type Command, InvalidArgumentError } from 'commander';
import colors from 'picocolors';
import type { SupervisorStatus } from '../supervise/status.js';
import { print } from './output.js';
import { Screen } from './screen.js';
import {
  asking,
  type Control,
  controls,
  declareSupervisors,
  type SupervisorOptions,
} from './supervisor.js';
import { headline, workerTable } from './workers.js';

interface Options extends SupervisorOptions {
  interval: number;
  count?: number;
}

export function declare(command: Command): void {
  declareSupervisors(command)
    .option('--interval <seconds>', 'how long each table stays', seconds, 1)
    .option('--count <tables>', 'end after so many; default: never', count)
    .addHelpText(
      'after',
      `
On a terminal q and Ctrl-C end it; elsewhere it prints one table after the other.
CPU is that since the table before, in the first one since the start of the worker.`,
    )
    .action(top);
}

function seconds(text: string): number {
  const value = Number(text);
  if (/^(0|[1-9]\d*)(\.\d+)?$/.test(text) && value >= 0.1 && value <= 86_400) return value;
  throw new InvalidArgumentError('It must be a number of seconds from 0.1 to 86400.');
}

function count(text: string): number {
  if (/^[1-9]\d{0,8}$/.test(text)) return Number(text);
  throw new InvalidArgumentError('It must be a number from 1.');
}

async function top(names: string[], options: Options): Promise<void> {
  const [control, ...others] = await controls(names, options);
  if (others.length > 0) throw new Error('the workers of one at a time');
  // Nobody there at the beginning is an error; later it may come again.
  let supervisor = await statusOf(control!);
  using screen = Screen.isThere ? new Screen() : undefined;
  let text = table(control!, supervisor);
  for (let shown = 1; ; shown++) {
    if (screen === undefined) print(shown === 1 ? text : `\n${text}`);
    else screen.draw(text.split('\n'));
    if (shown === options.count) return;
    await sleep(options.interval * 1000);
    try {
      const before = supervisor;
      supervisor = await statusOf(control!);
      text = table(control!, supervisor, before);
    } catch (error) {
      text = colors.yellow((error as Error).message);
    }
  }
}

const statusOf = (control: Control) => asking(control, (client) => client.status());

function table({ label }: Control, now: SupervisorStatus, before?: SupervisorStatus): string {
  return `${headline(label, now)}\n\n${workerTable(now, before)}`;
}
