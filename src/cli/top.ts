// doublefork top [names...]: the tables of status, again and again.

import { setTimeout as sleep } from 'node:timers/promises';
import { type Command, InvalidArgumentError } from 'commander';
import colors from 'picocolors';
import { existsSync } from '../builtin/fs.js';
import type { SupervisorStatus } from '../supervise/status.js';
import { print } from './output.js';
import { Screen } from './screen.js';
import { describe, summaryTable } from './summary.js';
import {
  asking,
  type Control,
  controlOf,
  controls,
  declareSupervisors,
  type SupervisorOptions,
} from './supervisor.js';
import { known, subjectsOrAll } from './targets.js';
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
  const { control } = options;
  const look =
    control === undefined
      ? await daemons(names, options)
      : supervisor({ label: control, path: control });
  // Nobody there at the beginning is an error; later it may come again.
  let text = await look();
  using screen = Screen.isThere ? new Screen() : undefined;
  for (let shown = 1; ; shown++) {
    if (screen === undefined) print(shown === 1 ? text : `\n${text}`);
    else screen.draw(text.split('\n'));
    if (shown === options.count) return;
    await sleep(options.interval * 1000);
    try {
      text = await look();
    } catch (error) {
      text = colors.yellow((error as Error).message);
    }
  }
}

/** Takes a look, and says how it is now. */
type Look = () => Promise<string>;

/** One that is a supervisor: its workers. Others, or several: a line for each, and the workers. */
async function daemons(names: string[], options: Options): Promise<Look> {
  const wanted = names.length > 0 ? await known(names, options) : await subjectsOrAll([], options);
  if (wanted.length === 0) throw new Error('no daemon is known here; start one first');
  const watched = wanted.map(({ label, target }) => {
    const path = controlOf(target);
    return {
      label,
      target,
      look: path && existsSync(path) ? supervisor({ label, path }) : undefined,
    };
  });
  if (watched.length === 1 && watched[0]!.look !== undefined) return watched[0]!.look;
  if (watched.length === 1 && names.length > 0)
    return supervisor((await controls(names, options))[0]!);
  return async () => {
    const summaries = watched.map(({ label, target }) => describe(label, target));
    const workers = await Promise.all(watched.flatMap(({ look }) => look?.().catch(nothing) ?? []));
    return [summaryTable(summaries), ...workers.filter((each) => each !== '')].join('\n\n');
  };
}

/** Its line says how it is. */
const nothing = () => '';

/** Its workers; CPU is what they have used since the last look. */
function supervisor(control: Control): Look {
  let before: SupervisorStatus | undefined;
  return async () => {
    const now = await asking(control, (client) => client.status());
    const text = `${headline(control.label, now)}\n\n${workerTable(now, before)}`;
    before = now;
    return text;
  };
}
