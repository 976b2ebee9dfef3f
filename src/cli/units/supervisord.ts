// A program of supervisord.

import { refuse, seconds, signature, type UnitFacts, type UnitFile } from './facts.js';
import { commandLine, launchWords, makeControlDirectory } from './shell.js';

/** A day, which is as long as for ever: supervisord has no word for it. */
const FOREVER = 86_400;

export function supervisord(facts: UnitFacts): UnitFile[] {
  const { name, cwd, umask, log, stop, app, supervised } = facts;
  const lines = [
    signature(name),
    `[program:${name}]`,
    `command=${commandOf(facts)}`,
    `directory=${cwd.replaceAll('%', '%%')}`,
    ...(umask === undefined ? [] : [`umask=${umask.toString(8).padStart(3, '0')}`]),
    'autostart=true',
    // Not after exit code 0.
    'autorestart=unexpected',
    `startsecs=${Math.ceil(app.settle / 1000)}`,
    `stopsignal=${stop.signal}`,
    `stopwaitsecs=${seconds(stop.grace, FOREVER)}`,
    // What is left of it once it has ended, or is late.
    'killasgroup=true',
    ...(supervised ? ['redirect_stderr=true'] : logLines(log, facts)),
  ];
  return [{ file: `${name}.conf`, text: `${lines.join('\n')}\n` }];
}

/** One line, which supervisord splits as a shell does. */
function commandOf(facts: UnitFacts): string {
  const prepare = makeControlDirectory(facts);
  const words = ['/bin/sh', '-c', `${prepare}; exec "$@"`, facts.name, ...launchWords(facts)];
  if (words.some((word) => word.includes('\n'))) {
    refuse(
      'supervisord',
      'a line break in args or env',
      'put it into a file, and name that in envFile',
    );
  }
  // ` ;` begins a comment.
  if (words.some((word) => / ;/.test(word))) {
    refuse(
      'supervisord',
      'a word with " ;"',
      'it takes that for a comment; put it into a file, and name that in envFile',
    );
  }
  return commandLine(words).replaceAll('%', '%%');
}

function logLines(log: string | undefined, { app }: UnitFacts): string[] {
  for (const key of ['logMaxAge', 'logCompress', 'logFormat', 'logOnFull'] as const) {
    if (app[key] !== undefined) {
      refuse(
        'supervisord',
        key,
        'leave it out, or give the app `restart: always`, so that this command is its supervisor and writes the log',
      );
    }
  }
  if (log === undefined) return ['redirect_stderr=true'];
  return [
    'redirect_stderr=true',
    `stdout_logfile=${log.replaceAll('%', '%%')}`,
    // 0: it is not rotated.
    `stdout_logfile_maxbytes=${app.logMaxSize ?? 0}`,
    `stdout_logfile_backups=${app.logMaxFiles ?? 10}`,
  ];
}
