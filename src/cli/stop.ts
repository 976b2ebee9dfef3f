// doublefork stop [names...]

import { type Command, InvalidArgumentError } from 'commander';
import { parseSchedule } from '../control/schedule.js';
import { type Stopped, stopDaemon } from '../control/stop.js';
import { print, printJson } from './output.js';
import { Progress } from './progress.js';
import { declareTargets, known, type Subject, type TargetOptions } from './targets.js';

export interface StopCommandOptions extends TargetOptions {
  schedule?: string;
  json?: boolean;
}

export function declare(command: Command): void {
  declareTargets(command)
    .option(
      '--schedule <schedule>',
      'signals, and the seconds to wait after each; default: TERM/10/KILL/5',
      schedule,
    )
    .option('--json', 'say in JSON what was done')
    .action(stop);
}

/** @throws InvalidArgumentError unless it is one */
export function schedule(text: string): string {
  try {
    parseSchedule(text);
    return text;
  } catch (error) {
    throw new InvalidArgumentError((error as Error).message);
  }
}

/** What was not running is as it should be, and a success; but not what there has never been. */
async function stop(names: string[], options: StopCommandOptions): Promise<void> {
  const wanted = await known(names, options);
  const done: unknown[] = [];
  for (const subject of wanted) {
    const stopped = await stopWithProgress(subject, options.schedule);
    done.push({ name: subject.label, pid: stopped.pid ?? null, signals: stopped.signals });
    if (options.json) continue;
    print(
      stopped.pid === undefined
        ? `${subject.label} was not running`
        : `${subject.label} has stopped (pid ${stopped.pid}, ${stopped.signals.at(-1)})`,
    );
  }
  if (options.json) printJson(done);
}

/** @throws as stopDaemon() does */
export async function stopWithProgress(
  { label, target, app }: Subject,
  schedule?: string,
): Promise<Stopped> {
  using progress = new Progress(`stopping ${label}`);
  let sent = 0;
  return await stopDaemon(target, {
    schedule: schedule ?? app?.stop ?? 'TERM/10/KILL/5',
    onSignal: (signal, pid) => {
      // The first is what was asked for; each further one is news.
      if (sent++ > 0) progress.update(`stopping ${label}: sent ${signal} to process ${pid}`);
    },
  });
}
