// doublefork startup: has what runs now come back at boot.

import type { Command } from 'commander';
import { spawnSync } from '../builtin/child_process.js';
import { existsSync } from '../builtin/fs.js';
import { userInfo } from '../builtin/os.js';
import { type BootPlace, bootPlace, initHere } from './boot.js';
import { EXIT } from './exit.js';
import { complain, print, printJson } from './output.js';
import { listed, readSaved, saidOf, savedFile, whatRuns, writeSaved } from './saved.js';
import { put, remove } from './units/install.js';

interface Options {
  undo?: boolean;
  json?: boolean;
}

export function declare(command: Command): void {
  command
    .option('--undo', 'no more; what runs goes on, and what was saved is kept')
    .option('--json', 'say in JSON what was done')
    .addHelpText(
      'after',
      '\nRoot has it in the init of the system: systemd, OpenRC or runit. Others have it in their own systemd\n(systemctl --user), which is started at boot if that user may linger: loginctl enable-linger.',
    )
    .action((options: Options) => startup(options));
}

async function startup({ undo = false, json = false }: Options): Promise<void> {
  const init = initHere();
  const boot = bootPlace(init);
  if (boot === undefined) throw unsupported(init);
  reachOwnManager(boot);
  const done = undo ? await end(boot) : await begin(boot);
  if (json) printJson(done);
  else print(done.join('\n'));
}

async function begin(boot: BootPlace): Promise<string[]> {
  const { running, stopped } = whatRuns();
  if (running.length > 0) writeSaved(running);
  const before = running.length > 0 ? undefined : readSaved();
  const saved =
    running.length > 0
      ? saidOf(running, stopped)
      : [
          before === undefined
            ? 'nothing runs, so nothing is saved: doublefork save when it does'
            : `nothing runs; ${savedFile()} has ${listed(before.map(({ name }) => name))} from before`,
        ];
  // An empty list: the unit is to find something that it can read.
  if (running.length === 0 && before === undefined) writeSaved([]);
  const lingers = boot.place.scope === 'system' ? [] : linger();
  const done = await put(boot.kind, boot.place, boot.files);
  return [...saved, ...lingers, ...done];
}

async function end(boot: BootPlace): Promise<string[]> {
  const done = await remove(boot.kind, boot.place, 'nothing of doublefork is started at boot');
  if (!done.some((line) => line.startsWith('removed '))) return done;
  const left =
    boot.place.scope === 'system'
      ? []
      : ['this user still lingers, maybe for others: loginctl disable-linger'];
  return [
    ...done.filter((line) => !line.startsWith('stopped ')),
    `nothing is started at boot; what runs goes on, and ${savedFile()} is kept`,
    ...left,
  ];
}

/** A shell of su(1) has no variable for it. */
function reachOwnManager({ place }: BootPlace): void {
  if (place.scope === 'system') return;
  const directory = `/run/user/${process.geteuid!()}`;
  process.env.XDG_RUNTIME_DIR ??= directory;
}

/** Has the manager of this user run from boot on. @returns what was done */
function linger(): string[] {
  const { username } = userInfo();
  const lingers = () => existsSync(`/var/lib/systemd/linger/${username}`);
  if (lingers()) return [];
  const { stderr, error } = spawnSync('loginctl', ['enable-linger'], { encoding: 'utf8' });
  if (lingers()) return [`${username} lingers from now on: its own systemd runs from boot on`];
  const why = error?.message ?? stderr.trim();
  complain(
    `it is started when ${username} logs in, and not at boot: loginctl enable-linger failed: ${why}; have root run loginctl enable-linger ${username}`,
  );
  process.exitCode = EXIT.failed;
  return [];
}

function unsupported(init: string): Error {
  const line = 'doublefork start --saved';
  if (process.geteuid!() !== 0) {
    return new Error(
      `only systemd runs what users have of their own, and this system is run by ${init}; run this as root, or have cron do it: "@reboot ${line}" in crontab -e, after doublefork save`,
    );
  }
  const why =
    init === 's6'
      ? 's6 and s6-rc start what their compiled database has, which this command does not change'
      : `process 1 is ${init}, for which this command has nothing (it knows systemd, OpenRC and runit)`;
  return new Error(`${why}; after doublefork save, have it run "${line}" once at boot`);
}
