// doublefork signal <signal> [names...]

import type { Command } from 'commander';
import { signalDaemon } from '../control/signal.js';
import { COMMANDS, type Commands, signalOf } from '../detach/commands.js';
import { EXIT } from './exit.js';
import { complain, print, printJson } from './output.js';
import { declareManyTargets, known, type Subject, type TargetOptions } from './targets.js';

export interface TellOptions extends TargetOptions {
  force?: boolean;
  json?: boolean;
}

export function declare(command: Command): void {
  command.argument(
    '<signal>',
    'HUP, SIGHUP, 1, or a command: stop, reload, reopen, or one of the app',
  );
  declareManyTargets(command)
    .option('--force', 'send it also to one that does not listen to it, and may end by it')
    .option('--json', 'say in JSON what was sent')
    .action(tell);
}

/** Sends a signal to each of the daemons. */
async function tell(signal: string, names: string[], options: TellOptions): Promise<void> {
  const subjects = await known(names, options);
  for (const { label, app } of subjects) refuseNonsense(signal, label, app?.commands ?? {});
  await doToEach(subjects, options, (subject) => send(signal, subject, options));
}

/** One after the other; one that fails is told, and does not keep the others from their turn. */
export async function doToEach(
  subjects: readonly Subject[],
  options: TellOptions,
  act: (subject: Subject) => { said: string } | Promise<{ said: string }>,
): Promise<void> {
  const done: unknown[] = [];
  for (const subject of subjects) {
    try {
      const { said, ...facts } = await act(subject);
      done.push({ name: subject.label, ...facts });
      if (!options.json) print(said);
    } catch (error) {
      complain(error);
      process.exitCode = EXIT.failed;
    }
  }
  // Where nothing was done there is only the error.
  if (options.json && (done.length > 0 || process.exitCode === undefined)) printJson(done);
}

/** @throws as signalDaemon() does */
export function send(
  signal: string,
  { label, target, app }: Subject,
  { force = false }: TellOptions,
) {
  try {
    const pid = signalDaemon(target, signal, { commands: app?.commands ?? {}, force });
    return { said: `sent ${signal} to ${label} (pid ${pid})`, pid, signal };
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOTSUP') {
      (error as Error).message += '. --force sends it all the same';
    }
    throw error;
  }
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
