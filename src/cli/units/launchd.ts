// A property list of launchd.

import { made, refuse, seconds, type UnitFacts, type UnitFile } from './facts.js';
import { environmentWords, ownVariables } from './shell.js';

type Value = string | number | boolean | readonly string[] | { readonly [key: string]: Value };

const escaped = (text: string) => {
  // XML has no way to write them.
  if (/[^\t\n\P{Cc}]/u.test(text)) {
    return refuse('launchd', 'a control character', 'put it into a file, and name that in envFile');
  }
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
};

export function launchd(given: UnitFacts): UnitFile[] {
  const { name, cwd, umask, log, logger, stop, envFile, sockets } = given;
  const no = (what: string, advice: string) => refuse('launchd', what, advice);
  if (name.includes('--')) no(`the name ${name}`, 'a comment of XML may not have --; rename it');
  if (stop.signal !== 'TERM') no(`stop: ${stop.schedule}`, 'it begins with TERM; leave it out');
  if (logger !== undefined) {
    no(
      'a log that is not a plain file',
      'give the app `restart: always`, so that this command is its supervisor and writes the log; or leave logMaxSize and its like to newsyslog',
    );
  }
  if (sockets.length > 0) no('--socket', 'listen() does not take sockets of launchd; leave it out');
  const control = controlOf(given);
  const facts = { ...given, control: control ?? '' };
  const { DOUBLEFORK_CONTROL, ...login } = ownVariables(facts);
  const variables: Record<string, string> = {
    ...(control === undefined ? {} : { DOUBLEFORK_CONTROL }),
    ...login,
    ...facts.env,
  };
  const isOfSystem = facts.scope === 'system';
  const list = defined({
    Label: name,
    ProgramArguments: [
      ...(envFile === undefined ? [] : environmentWords(facts, {})),
      ...facts.command,
    ],
    EnvironmentVariables: envFile === undefined ? variables : undefined,
    WorkingDirectory: cwd,
    UserName: isOfSystem ? facts.user : undefined,
    GroupName: isOfSystem ? facts.group : undefined,
    Umask: umask,
    ...limitsOf(facts.limits),
    StandardOutPath: log,
    StandardErrorPath: log,
    RunAtLoad: true,
    // Not after exit code 0.
    KeepAlive: { SuccessfulExit: false },
    // 0: for ever.
    ExitTimeOut: seconds(stop.grace, 0),
  });
  const text = [
    '<?xml version="1.0" encoding="UTF-8"?>',
    `<!-- ${made(name)} -->`,
    '<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">',
    ...(control === undefined
      ? ['<!-- No control socket: this user has no directory for it. kill -HUP reloads it. -->']
      : []),
    `<plist version="1.0">${xml(list, '')}\n</plist>`,
  ];
  return [{ file: `${name}.plist`, text: `${text.join('\n')}\n` }];
}

/** There is no /run, and in /var/run only root makes sockets. */
function controlOf({ scope, control, name, app }: UnitFacts): string | undefined {
  if (scope === 'user') return control;
  return app.user === undefined ? `/var/run/${name}.sock` : undefined;
}

const NAMES: Readonly<Record<string, string>> = {
  core: 'Core',
  cpu: 'CPU',
  data: 'Data',
  fsize: 'FileSize',
  memlock: 'MemoryLock',
  nofile: 'NumberOfFiles',
  nproc: 'NumberOfProcesses',
  rss: 'ResidentSetSize',
  stack: 'Stack',
};

function limitsOf(limits: UnitFacts['limits']): Record<string, Value> {
  const soft: Record<string, number> = {};
  const hard: Record<string, number> = {};
  for (const [given, limit] of Object.entries(limits)) {
    const name = given.toLowerCase().replace(/^rlimit_/, '');
    const both = typeof limit === 'object' ? limit : { soft: limit, hard: limit };
    const put = (into: Record<string, number>, value: number | 'infinity' | undefined) => {
      if (value === undefined) return;
      const key = NAMES[name];
      if (key === undefined || value === 'infinity') {
        return refuse(
          'launchd',
          `limits: ${name} ${value}`,
          'it has no key for that; leave it out',
        );
      }
      into[key] = value;
    };
    put(soft, both.soft);
    put(hard, both.hard);
  }
  return {
    ...(Object.keys(soft).length === 0 ? {} : { SoftResourceLimits: soft }),
    ...(Object.keys(hard).length === 0 ? {} : { HardResourceLimits: hard }),
  };
}

const defined = (some: Record<string, Value | undefined>): Record<string, Value> =>
  Object.fromEntries(
    Object.entries(some).flatMap(([key, value]) => (value === undefined ? [] : [[key, value]])),
  );

function xml(value: Value, indent: string): string {
  const line = `\n${indent}`;
  if (typeof value === 'string') return `${line}<string>${escaped(value)}</string>`;
  if (typeof value === 'number') return `${line}<integer>${value}</integer>`;
  if (typeof value === 'boolean') return `${line}<${value}/>`;
  const deeper = `${indent}\t`;
  if (Array.isArray(value)) {
    return `${line}<array>${value.map((each) => xml(each, deeper)).join('')}${line}</array>`;
  }
  const entries = Object.entries(value).map(
    ([key, each]) => `\n${deeper}<key>${escaped(key)}</key>${xml(each, deeper)}`,
  );
  return `${line}<dict>${entries.join('')}${line}</dict>`;
}
