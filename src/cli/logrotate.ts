// doublefork logrotate [names...]: how logrotate(8) is to rotate their logs.

import type { Command } from 'commander';
import { realpathSync, statSync } from '../builtin/fs.js';
import { dirname } from '../builtin/path.js';
import { CAPTURE } from '../control/app.js';
import { logFor } from '../control/folders.js';
import { readRecord } from '../control/record.js';
import { COMMANDS } from '../detach/commands.js';
import { logInUse } from '../logs/in-use.js';
import { isMessageLog } from '../logs/options.js';
import { getgrgid, getpwuid } from '../posix/identity.js';
import { signalNumber } from '../posix/process.js';
import { signalFate } from '../posix/processes.js';
import { print } from './output.js';
import { declareManyTargets, known, type Subject, type TargetOptions } from './targets.js';

export function declare(command: Command): void {
  declareManyTargets(command)
    .addHelpText(
      'after',
      `
It looks how the daemon writes its log now, so have it run. To be written to a file in /etc/logrotate.d:
  doublefork logrotate web | sudo tee /etc/logrotate.d/web`,
    )
    .action(logrotate);
}

async function logrotate(names: string[], options: TargetOptions): Promise<void> {
  const wanted = await known(names, options);
  print(wanted.map(stanza).join('\n\n'));
}

function stanza({ label, target, app }: Subject): string {
  if (!('name' in target)) {
    throw new Error('which log belongs to a pidfile is not known; give a name');
  }
  const record = readRecord(label);
  const pid = record?.isRunning === true ? record.pid : undefined;
  const inUse = pid === undefined ? undefined : logInUse(pid);
  const path = inUse?.path ?? record?.log ?? logFor(app ?? { name: label, log: undefined });
  if (isMessageLog(path)) {
    throw new Error(`${label} writes to ${path}, which sees to its own rotation`);
  }
  const isCaptured =
    inUse?.captured === true || CAPTURE.some((key) => record?.app[key] !== undefined);
  return [
    `${quoted(path)} {`,
    ...['daily', 'rotate 7', 'missingok', 'notifempty', 'compress', 'delaycompress'],
    ...ownership(path),
    ...(isCaptured
      ? ['# The logger sees by itself that the file was moved away.']
      : reopening(label, pid, record?.app.commands.reopen ?? COMMANDS.reopen)),
    '}',
  ]
    .map((line, index, all) => (index === 0 || index === all.length - 1 ? line : `    ${line}`))
    .join('\n');
}

function reopening(label: string, pid: number | undefined, signal: NodeJS.Signals): string[] {
  if (pid === undefined) {
    throw new Error(
      `${label} is not running, and whether it opens its log again on ${signal} is not known; start it first`,
    );
  }
  if (signalFate(pid, signalNumber(signal)) !== 'heard') {
    return [
      `# It does not listen to ${signal}. What it writes between the copy and the cut is lost; to lose nothing`,
      '# start it with --log-max-size, or another option of a captured log.',
      'copytruncate',
    ];
  }
  const { RUNTIME_DIRECTORY: state } = process.env;
  const words = [process.execPath, realpathSync(process.argv[1]!), 'signal', 'reopen', label];
  const command = words.map(quoted).join(' ');
  return [
    'postrotate',
    `    ${state ? `RUNTIME_DIRECTORY=${quoted(state)} ` : ''}${command}`,
    'endscript',
  ];
}

/** The new file is as the old one; and logrotate works in a directory of another user's as that user only. */
function ownership(path: string): string[] {
  const log = statSync(path, { throwIfNoEntry: false });
  const { uid, gid, mode } = statSync(dirname(path));
  const create =
    log === undefined
      ? 'create'
      : `create ${(log.mode & 0o7777).toString(8).padStart(4, '0')} ${user(log.uid)} ${group(log.gid)}`;
  return uid === 0 && (mode & 0o022) === 0 ? [create] : [create, `su ${user(uid)} ${group(gid)}`];
}

const user = (uid: number): string => getpwuid(uid)?.name ?? String(uid);
const group = (gid: number): string => getgrgid(gid)?.name ?? String(gid);

const quoted = (text: string): string => (/^[\w@%+=:,./-]+$/.test(text) ? text : `"${text}"`);
