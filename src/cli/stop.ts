// doublefork stop [names...]

import { type Command, InvalidArgumentError } from 'commander';
import { readRecord } from '../control/record.js';
import { DEFAULT_SCHEDULE, parseSchedule } from '../control/schedule.js';
import { type Stopped, stopDaemon } from '../control/stop.js';
import { EXIT } from './exit.js';
import { clean, complain, inJson, print, printJson } from './output.js';
import { Progress } from './progress.js';
import {
  declareManyTargets,
  known,
  type Subject,
  type TargetOptions,
  takeTurn,
} from './targets.js';

export interface StopCommandOptions extends TargetOptions {
  schedule?: string;
  json?: boolean;
}

export function declare(command: Command): void {
  declareManyTargets(command)
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
  if (wanted.length === 0 && !options.json) print('no daemon was started here');
  using _ = takeTurns(wanted);
  // All at once: the time to wait is that of the slowest, not the sum.
  const outcomes = await stopWithProgress(wanted, options.schedule);
  const done: unknown[] = [];
  for (const { subject, stopped, error } of outcomes) {
    if (stopped === undefined) {
      complain(error);
      process.exitCode = EXIT.failed;
      continue;
    }
    done.push({ name: subject.label, ...stopped, pid: stopped.pid ?? null });
    if (!options.json) print(sentence(subject, stopped));
  }
  // Where nothing was done there is only the error.
  if (options.json && (done.length > 0 || process.exitCode === undefined)) printJson(done);
}

/** In order, so that two commands do not wait for each other. */
function takeTurns(subjects: readonly Subject[]): Disposable {
  // Of one that was never started there is nothing to lock.
  const names = subjects.flatMap(({ target }) =>
    'name' in target && readRecord(target.name) !== undefined ? target.name : [],
  );
  const turns = [...new Set(names)].sort().map(takeTurn);
  return {
    [Symbol.dispose]: () => {
      for (const turn of turns) turn.release();
    },
  };
}

/** What has become of one of them. */
export interface Outcome {
  subject: Subject;
  /** undefined: it could not be stopped. */
  stopped?: Stopped;
  error?: unknown;
}

export async function stopWithProgress(
  subjects: readonly Subject[],
  schedule?: string,
): Promise<Outcome[]> {
  if (subjects.length === 0) return [];
  const labels = subjects.map(({ label }) => label).join(', ');
  // With --json there are no lines for people.
  using progress = inJson() ? undefined : new Progress(`stopping ${labels}`);
  return await Promise.all(subjects.map((subject) => stopOne(subject, schedule, progress)));
}

async function stopOne(
  subject: Subject,
  schedule: string | undefined,
  progress: Progress | undefined,
): Promise<Outcome> {
  const { label, target, app } = subject;
  let sent = 0;
  try {
    const stopped = await stopDaemon(target, {
      schedule: schedule ?? app?.stop ?? DEFAULT_SCHEDULE,
      onSignal: (signal, pid) => {
        // The first is what was asked for; each further one is news.
        if (sent++ > 0) progress?.update(`stopping ${label}: sent ${signal} to process ${pid}`);
      },
    });
    return { subject, stopped };
  } catch (error) {
    const { message } = error as Error;
    return { subject, error: Object.assign(error as Error, { message: `${label}: ${message}` }) };
  }
}

/** `web has stopped (pid 12, SIGTERM)`, and behind it what had to be ended after it. */
export function sentence({ label }: Subject, { pid, signals, left }: Stopped): string {
  const how =
    pid === undefined
      ? `${label} was not running`
      : `${label} has stopped (pid ${pid}, ${signals.at(-1)})`;
  if (left.length === 0) return how;
  const rest = left.map(
    (each) => `${clean(each.command)} (pid ${each.pid}, ${each.signals.at(-1)})`,
  );
  return `${how}; ended what it had left: ${rest.join(', ')}`;
}
