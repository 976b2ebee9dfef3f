// Command lines for the shell, and the words in front of a program that give it what its app says.

import { loginEnvironment } from '../../control/identity.js';
import { getpwnam } from '../../posix/identity.js';
import { signature, type UnitFacts } from './facts.js';

/** A word that sh(1) takes as it is. */
export function quote(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}

export const commandLine = (words: readonly string[]): string => words.map(quote).join(' ');

/** Of the variables in a file as `doublefork start` reads it: what sh(1) is to do. */
const EXPORTS =
  'for (const [name, value] of Object.entries(require("util").parseEnv(require("fs").readFileSync(process.argv[1], "utf8")))) ' +
  'console.log("export " + name + "=\\x27" + value.replaceAll("\\x27", "\\x27\\\\\\x27\\x27") + "\\x27")';

/**
 * The program, and in front of it the programs that give it its environment, limits, user and group. Each
 * becomes the next one, so the process is the manager's own.
 * @param variables for doublefork in the program
 */
export function launchWords(
  facts: UnitFacts,
  variables: Readonly<Record<string, string>> = {},
): string[] {
  return [
    ...environmentWords(facts, variables),
    ...limitWords(facts),
    ...identityWords(facts),
    ...facts.command,
  ];
}

/** What the program finds in its environment beside what the app says: its control socket, and who it is. */
export function ownVariables({ supervised, user, control, scope }: UnitFacts) {
  const login = supervised || scope === 'user' ? {} : loginEnvironment(user);
  return { DOUBLEFORK_CONTROL: control, ...login };
}

export function environmentWords(
  facts: UnitFacts,
  variables: Readonly<Record<string, string>>,
): string[] {
  const { env, envFile } = facts;
  const { DOUBLEFORK_CONTROL, ...login } = ownVariables(facts);
  const all = { DOUBLEFORK_CONTROL, ...variables, ...login };
  const assignments = (some: object) =>
    Object.entries(some).map(([key, value]) => `${key}=${value}`);
  if (envFile === undefined) return ['/usr/bin/env', ...assignments({ ...all, ...env })];
  const read = `variables=$(${commandLine([process.execPath, '-e', EXPORTS])} "$0") || exit 111; eval "$variables"; exec "$@"`;
  return [
    ...['/usr/bin/env', ...assignments(all), '/bin/sh', '-c', read, envFile],
    ...(Object.keys(env).length === 0 ? [] : ['/usr/bin/env', ...assignments(env)]),
  ];
}

export function limitWords({ limits }: UnitFacts): string[] {
  const bound = (value: number | 'infinity' | undefined) =>
    value === 'infinity' ? 'unlimited' : (value ?? '');
  const options = Object.entries(limits).map(([name, limit]) => {
    const { soft, hard } = typeof limit === 'object' ? limit : { soft: limit, hard: limit };
    return `--${name.toLowerCase().replace(/^rlimit_/, '')}=${bound(soft)}:${bound(hard)}`;
  });
  return options.length === 0 ? [] : ['prlimit', ...options];
}

function identityWords({ user, group, scope }: UnitFacts): string[] {
  if (scope === 'user' || (user === undefined && group === undefined)) return [];
  if (user === undefined) return ['setpriv', `--regid=${group}`, '--clear-groups', '--'];
  const entry = getpwnam(user);
  const primary = group ?? entry?.gid;
  if (primary === undefined) {
    throw new Error(
      `there is no user ${user} here, so its group is not known; name a group, or make the user first`,
    );
  }
  const groups = entry === undefined ? '--clear-groups' : '--init-groups';
  return ['setpriv', `--reuid=${user}`, `--regid=${primary}`, groups, '--'];
}

const octal = (mode: number) => `0${mode.toString(8).padStart(3, '0')}`;

/** @returns what is to be done before the program runs: its directories, its log */
export function preparation(facts: UnitFacts): string[] {
  const { cwd, umask, log, logger, supervised } = facts;
  return [
    makeControlDirectory(facts),
    `cd ${quote(cwd)} || exit 111`,
    ...(umask === undefined ? [] : [`umask ${octal(umask)}`]),
    ...(logger !== undefined || supervised
      ? []
      : [log === undefined ? 'exec 2>&1' : `exec >>${quote(log)} 2>&1 || exit 111`]),
  ];
}

/** The directory of its control socket, which it makes itself. */
export function makeControlDirectory({ control, app, scope, user, group }: UnitFacts): string {
  const owner = [
    ...optional('-o', scope === 'system' ? (user ?? app.user) : undefined),
    ...optional('-g', scope === 'system' ? (group ?? app.group) : undefined),
  ];
  const directory = control.slice(0, control.lastIndexOf('/'));
  return `${commandLine(['install', '-d', '-m', '0755', ...owner, directory])} || exit 111`;
}

const optional = (option: string, value: string | undefined) =>
  value === undefined ? [] : [option, value];

/** A script that becomes the last of these lines. */
export const script = (name: string, lines: readonly string[]): string =>
  `#!/bin/sh\n${signature(name)}\n${lines.join('\n')}\n`;
