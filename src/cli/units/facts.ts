// What a unit is made of, whichever manager it is for.

import type { App } from '../../control/app.js';

/** Whose manager runs it: the system's, or the user's own. */
export type Scope = 'system' | 'user';

/** What an app is for a manager. */
export interface UnitFacts {
  name: string;
  description: string;
  scope: Scope;
  /** The program and its arguments, the first of them a path. */
  command: readonly string[];
  /**
   * Whether that is this command as the supervisor of the program. It then sees to environment, user, limits, umask
   * and log itself, and what is said of them below is what is left for the manager: nothing, unless `harden`.
   */
  supervised: boolean;
  cwd: string;
  env: Readonly<Record<string, string>>;
  envFile: string | undefined;
  user: string | undefined;
  group: string | undefined;
  umask: number | undefined;
  /** Soft and hard limits by the names of getrlimit(2). */
  limits: App['limits'];
  log: string | undefined;
  /** The command line that reads standard input and writes such a log; undefined: it is only appended to. */
  logger: readonly string[] | undefined;
  ready: App['ready'];
  /** How long it may take to become ready, in ms. */
  timeout: number;
  /** The command line that reloads it and tells how that went; a path of its control socket follows. */
  reload: readonly string[];
  /** Its control socket. */
  control: string;
  stop: StopFacts;
  harden: boolean;
  /** Ports, addresses or paths that it listens on. */
  sockets: readonly string[];
  /** Where its doublefork/health answers. */
  health: number | undefined;
  /** The image of a container. */
  image: string | undefined;
  /** What a container of it needs, as Kubernetes writes it. */
  memory: string | undefined;
  cpu: string | undefined;
  /** The directory that its files are below. */
  project: string;
  /** The command line of this command. */
  self: readonly string[];
  app: App;
}

/** How it is stopped. */
export interface StopFacts {
  /** As start-stop-daemon(8) writes it. */
  schedule: string;
  /** The first signal, without SIG. */
  signal: string;
  /** From the first signal to SIGKILL, in s. */
  grace: number | 'infinity';
  /** All in all, in s. */
  total: number | 'infinity';
}

/** TERM/30/KILL/5: TERM, 30 s, 35 s. */
export function stopFacts(schedule: string): StopFacts {
  const words = /^[\d.]+$/.test(schedule)
    ? ['TERM', schedule, 'KILL', schedule]
    : schedule.split('/');
  const sum = (some: readonly string[]) =>
    some.includes('forever')
      ? 'infinity'
      : some.reduce((all, word) => all + (Number(word) || 0), 0);
  const isKill = (word: string) => /^-?(SIG)?(KILL|9)$/.test(word);
  const first = words.find((word) => !/^([\d.]+|forever)$/.test(word)) ?? 'TERM';
  const kill = words.findIndex(isKill);
  return {
    schedule: words.join('/'),
    signal: first.replace(/^-?(SIG)?/, ''),
    grace: sum(kill < 0 ? words : words.slice(0, kill)),
    total: sum(words),
  };
}

/** A file of a unit, below the directory where that manager has them. */
export interface UnitFile {
  file: string;
  text: string;
  /** Default: 0644. */
  mode?: number;
}

/** The words in front of what this has made, so that nothing else is overwritten or removed. */
export const made = (name: string) => `Made by: doublefork unit ${name}`;

/** The same, as a comment of most formats. */
export const signature = (name: string) => `# ${made(name)}`;

/** What a manager cannot keep of an app is refused, by name. */
export function refuse(manager: string, what: string, advice: string): never {
  throw new Error(`${manager} cannot keep ${what} of the app: ${advice}`);
}

/** In seconds, as a whole number. */
export const seconds = (time: number | 'infinity', forever: number): number =>
  time === 'infinity' ? forever : Math.ceil(time);
