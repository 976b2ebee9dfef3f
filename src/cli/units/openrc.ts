// An init script of OpenRC, whose supervise-daemon runs the program.

import { refuse, signature, type UnitFacts, type UnitFile } from './facts.js';
import { commandLine, launchWords, makeControlDirectory, quote } from './shell.js';

/** Between double quotes, in a script. */
const inQuotes = (text: string) => `"${text.replaceAll(/["\\$`]/g, '\\$&')}"`;

/** What openrc-run puts into a command line, which the shell splits once more. */
const twice = (word: string) => inQuotes(quote(word));

export function openrc(facts: UnitFacts): UnitFile[] {
  const { name, description, cwd, umask, log, logger, stop, reload, control, command } = facts;
  if (facts.scope === 'user') {
    refuse(
      'OpenRC',
      'a user’s own service',
      'it runs init scripts of root; give --user and run this as root',
    );
  }
  const [program, ...args] = launchWords(facts);
  const words = [program!, ...args];
  if (words.some((word) => word.includes('\n'))) {
    refuse('OpenRC', 'a line break in args or env', 'put it into a file, and name that in envFile');
  }
  if (logger !== undefined) {
    refuse(
      'OpenRC',
      'logMaxSize and its like',
      'give the app `restart: always`, so that this command is its supervisor and writes the log; or leave them to logrotate',
    );
  }
  const logLines =
    log === undefined || facts.supervised
      ? []
      : [`output_log=${twice(log)}`, `error_log=${twice(log)}`];
  const script = command.find((word) => /\.[cm]?[jt]s$/.test(word));
  const lines = [
    '#!/sbin/openrc-run',
    signature(name),
    `description=${quote(description)}`,
    'supervisor=supervise-daemon',
    `command=${twice(program!)}`,
    `command_args=${inQuotes(commandLine(args))}`,
    `directory=${twice(cwd)}`,
    ...(umask === undefined ? [] : [`umask=${umask.toString(8).padStart(4, '0')}`]),
    ...logLines,
    `retry=${quote(stop.schedule)}`,
    'respawn_delay=1',
    'respawn_max=0',
    'extra_started_commands="reload"',
    'description_reload="Have the new version serve, and tell whether it does"',
    '',
    'depend() {',
    '  need localmount',
    '  use net dns logger',
    '  after firewall',
    '}',
    '',
    'start_pre() {',
    ...(script === undefined
      ? []
      : [
          `  [ -r ${quote(script)} ] || { eerror ${quote(`${script} cannot be read`)}; return 1; }`,
        ]),
    `  ${makeControlDirectory(facts).replace('exit 111', 'return 1')}`,
    '}',
    '',
    'reload() {',
    `  ebegin "Reloading ${name}"`,
    `  ${commandLine([...reload, control])}`,
    '  eend $?',
    '}',
  ];
  return [{ file: name, text: `${lines.join('\n')}\n`, mode: 0o755 }];
}
