// doublefork signal <signal> [names...]

import type { Command } from 'commander';
import { signalDaemon } from '../control/signal.js';
import { COMMANDS, type Commands, signalOf } from '../detach/commands.js';
import { print, printJson } from './output.js';
import { declareTargets, known, type TargetOptions } from './targets.js';

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
  for (const { label, target, app } of await known(names, options)) {
    const commands = app?.commands ?? {};
    refuseNonsense(signal, label, commands);
    const pid = signalDaemon(target, signal, { commands });
    done.push({ name: label, pid, signal });
    if (!options.json) print(`sent ${signal} to ${label} (pid ${pid})`);
  }
  if (options.json) printJson(done);
}

function refuseNonsense(signal: string, label: string, own: Commands): void {
  try {
    signalOf(signal, own);
  } catch (error) {
    const commands = Object.keys({ ...COMMANDS, ...own }).join(', ');
    const text = `"${signal}" is neither a signal nor a command of ${label}; its commands are ${commands}`;
    throw new Error(text, { cause: error });
  }
}
