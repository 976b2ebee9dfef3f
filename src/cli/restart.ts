// doublefork restart [name]

import type { Command } from 'commander';
import { readConfig } from '../config/file.js';
import { findProgram } from '../control/program.js';
import { isReplaying } from '../image/replay.js';
import { print } from './output.js';
import { begin } from './start.js';
import { type StopCommandOptions, schedule, sentence, stopWithProgress } from './stop.js';
import { declareTargets, known } from './targets.js';

export function declare(command: Command): void {
  declareTargets(command)
    .option(
      '--schedule <schedule>',
      'how to stop it; default: as it was started, or TERM/10/KILL/5',
      schedule,
    )
    .option('--json', 'say in JSON what was started')
    .action(restart);
}

async function restart(names: string[], options: StopCommandOptions): Promise<void> {
  const [subject, ...others] = await known(names, options);
  if (others.length > 0) throw new Error('restart one at a time');
  const { label, app: recorded } = subject!;
  // What the config file says now counts, not what it said when the daemon was started.
  const config = await readConfig(process.cwd(), options.config);
  const app = config?.apps.find(({ name }) => name === label) ?? recorded;
  if (app === undefined) {
    throw new Error(`how ${label} was started is not known; stop it, and start it again`);
  }
  // Under the exec engine the program, this one, runs twice.
  if (!isReplaying()) {
    // One that could not be started again is better left alone.
    findProgram(app.program, app.args, app.cwd, app.env.PATH);
    const [outcome] = await stopWithProgress([subject!], options.schedule);
    if (outcome?.stopped === undefined) throw outcome?.error;
    if (!options.json) print(sentence(subject!, outcome.stopped));
  }
  await begin(app, options.json ?? false);
}
