// doublefork reload [names...]: a supervisor starts its program anew, and the new version serves; others
// are sent SIGHUP, unless the app has another signal for it.

import type { Command } from 'commander';
import type { ChangePhase } from '../supervise/images.js';
import { Progress, tellPhase } from './progress.js';
import { doToEach, send, type TellOptions } from './signal.js';
import { asking, type Control, controlOf, isNobody } from './supervisor.js';
import { declareManyTargets, known, type Subject } from './targets.js';
import { count } from './workers.js';

export function declare(command: Command): void {
  declareManyTargets(command)
    .option('--force', 'send the signal also to one that does not listen to it')
    .option('--control <path>', 'the supervisor that listens on this socket instead')
    .option('--json', 'say in JSON what was done, and on stderr, a line each, how far it has come')
    .addHelpText(
      'after',
      '\nA supervisor starts its program anew, by the names of before: a switched link counts. This waits until the\nnew version serves and the old one does not; if it fails, its error is printed, the exit code is 1 and all is\nas before. Others are sent SIGHUP, or the signal that the app has for it.',
    )
    .action(reload);
}

/** One after the other: a reload takes the machine's power, and each may be watched. */
export async function reload(
  names: string[],
  options: TellOptions & { control?: string },
): Promise<void> {
  const { control: path } = options;
  if (path !== undefined) {
    const subject = { label: path, target: { pidfile: path }, app: undefined };
    await doToEach([subject], options, () => reloadSupervisor({ label: path, path }, options));
    return;
  }
  await doToEach(
    await known(names, options),
    options,
    async (subject) => (await reloadWorkers(subject, options)) ?? send('reload', subject, options),
  );
}

/** @returns undefined if it is no supervisor, or is to be told in another way */
async function reloadWorkers({ label, target, app }: Subject, options: TellOptions) {
  const path = controlOf(target);
  if (path === undefined || app?.commands.reload !== undefined) return undefined;
  const control = { label, path };
  let pid: number;
  try {
    // One that is stopped does not answer; it would not be known for how long to wait for the reload.
    ({ pid } = await asking(control, (client) => client.status()));
  } catch (error) {
    if (isNobody(error)) return undefined;
    throw error;
  }
  return await reloadSupervisor(control, options, pid);
}

async function reloadSupervisor(control: Control, { json }: TellOptions, known?: number) {
  const { label } = control;
  const pid = known ?? (await asking(control, (client) => client.status())).pid;
  using progress = new Progress(`reloading ${label}`);
  const onPhase = (phase: ChangePhase) => tellPhase(label, phase, progress, json === true);
  await asking(control, (client) => client.reload(onPhase)).catch((error: Error) => {
    throw new Error(`${label} was not reloaded; the workers from before go on: ${error.message}`);
  });
  const { workers } = await asking(control, (client) => client.status());
  const ready = workers.filter(({ state }) => state === 'ready').length;
  const said = `${label} has been reloaded: ${ready} of ${count(workers.length, 'worker')} ready (pid ${pid})`;
  return { said, pid, workers: workers.length, ready };
}
