// doublefork restart [names...]: nothing is stopped that could not be started again.

import type { Command } from 'commander';
import { spawnSync } from '../builtin/child_process.js';
import { inOrder } from '../config/order.js';
import type { App } from '../control/app.js';
import { type Origin, prepare } from '../control/prepare.js';
import { readRecord } from '../control/record.js';
import { isReplaying } from '../image/replay.js';
import { print } from './output.js';
import { asBefore, asConfigured } from './restart-as.js';
import { begin } from './start.js';
import { type StopCommandOptions, schedule, sentence, stopWithProgress } from './stop.js';
import { configHere, declareManyTargets, known, type Subject, takeTurn } from './targets.js';

interface Options extends StopCommandOptions {
  envUpdate?: boolean;
}

export function declare(command: Command): void {
  declareManyTargets(command)
    .option(
      '--schedule <schedule>',
      'how to stop it; default: as it was started, or TERM/10/KILL/5',
      schedule,
    )
    .option('--env-update', 'give it the present environment, not the one it was started with')
    .option('--json', 'say in JSON what was started')
    .action(restart);
}

async function restart(names: string[], options: Options): Promise<void> {
  const subjects = await known(names, options);
  const starts = await Promise.all(subjects.map((subject) => startOf(subject, options)));
  // Under the exec engine the program, this one, runs twice.
  if (!isReplaying()) for (const { app, origin } of starts) prepare(app, origin);
  if (starts.length > 1) return restartEach(inOrder(starts.map(({ app }) => app)), options);
  const [subject, start] = [subjects[0], starts[0]];
  if (subject === undefined || start === undefined) return print('no daemon was started here');
  const turn = isReplaying() ? undefined : takeTurn(subject.label);
  if (!isReplaying()) {
    const [outcome] = await stopWithProgress([subject], options.schedule);
    if (outcome?.stopped === undefined) throw outcome?.error;
    if (!options.json) print(sentence(subject, outcome.stopped));
  }
  await begin(start.app, options.json ?? false, start.origin, turn);
}

/** One after the other, each in a process of its own: it becomes the launcher. */
function restartEach(apps: readonly App[], options: Options): void {
  const { schedule, envUpdate, config, json } = options;
  const flags = [
    ...(schedule === undefined ? [] : ['--schedule', schedule]),
    ...(config === undefined ? [] : ['--config', config]),
    ...(envUpdate ? ['--env-update'] : []),
    ...(json ? ['--json'] : []),
  ];
  for (const { name } of apps) {
    const self = [...process.execArgv, process.argv[1]!, 'restart', ...flags, name];
    const { status } = spawnSync(process.execPath, self, { stdio: 'inherit' });
    if (status !== 0) process.exitCode = status ?? 1;
  }
}

/** @throws if that is not known (any more) */
async function startOf(
  { label, app }: Subject,
  { config, envUpdate, pidfile }: Options,
): Promise<{ app: App; origin: Origin }> {
  const record = pidfile === undefined ? readRecord(label) : undefined;
  const environment = envUpdate ? {} : { environment: record?.environment ?? process.env };
  if (record !== undefined && config === undefined) {
    return await asBefore(label, record, environment);
  }
  const file = app === undefined ? undefined : (await configHere(config))?.file;
  if (file !== undefined) return await asConfigured(label, file, environment);
  throw new Error(`how ${label} was started is not known; stop it, and start it again`);
}
