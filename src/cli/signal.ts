// doublefork signal <signal> [names...]

import type { Command } from 'commander';
import { signalDaemon } from '../control/signal.js';
import { print, printJson } from './output.js';
import { declareTargets, subjects, type TargetOptions } from './targets.js';

interface Options extends TargetOptions {
  json?: boolean;
}

export function declare(command: Command): void {
  command.argument(
    '<signal>',
    'HUP, SIGHUP, 1, or a command: stop, reload, reopen, or one of the app',
  );
  declareTargets(command).option('--json', 'say in JSON what was sent').action(tell);
}

/** Sends a signal to each of the daemons. */
export async function tell(signal: string, names: string[], options: Options): Promise<void> {
  const done: unknown[] = [];
  for (const { label, target, app } of await subjects(names, options)) {
    const pid = signalDaemon(target, signal, { commands: app?.commands ?? {} });
    done.push({ name: label, pid, signal });
    if (!options.json) print(`sent ${signal} to ${label} (pid ${pid})`);
  }
  if (options.json) printJson(done);
}
