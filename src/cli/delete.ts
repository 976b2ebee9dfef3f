// doublefork delete [names...]: forgets daemons that have stopped.

import type { Command } from 'commander';
import { forget } from '../control/forget.js';
import { type DaemonStatus, daemonStatus } from '../control/target.js';
import { EXIT } from './exit.js';
import { complain, print, printJson } from './output.js';
import { stopWithProgress } from './stop.js';
import { declareManyTargets, known, type Subject, type TargetOptions } from './targets.js';

interface Options extends TargetOptions {
  force?: boolean;
  json?: boolean;
}

export function declare(command: Command): void {
  declareManyTargets(command)
    .option('--force', 'stop those that run')
    .option('--json', 'say in JSON what was forgotten')
    .addHelpText('after', '\nLogs stay where they are.')
    .action(remove);
}

/** All or, if one of them runs, none. */
async function remove(names: string[], options: Options): Promise<void> {
  const wanted = await known(names, options);
  const running = wanted.filter(({ target }) => !hasStopped(daemonStatus(target)));
  if (running.length > 0 && !options.force) throw refusal(running);
  const done: unknown[] = [];
  for (const { subject, stopped, error } of await stopWithProgress(wanted)) {
    if (stopped === undefined) {
      complain(error);
      process.exitCode = EXIT.failed;
      continue;
    }
    forget(subject.target);
    done.push({ name: subject.label, pid: stopped.pid ?? null });
    if (!options.json) print(`${subject.label} is forgotten`);
  }
  if (options.json) printJson(done);
}

const hasStopped = ({ status }: DaemonStatus) => status === 'stopped' || status === 'dead';

function refusal(running: readonly Subject[]): Error {
  const labels = running.map(({ label }) => label).join(', ');
  const [verb, whom] = running.length === 1 ? ['is', 'it'] : ['are', 'them'];
  return new Error(
    `${labels} ${verb} running; stop ${whom} first, or give --force. Nothing was forgotten`,
  );
}
