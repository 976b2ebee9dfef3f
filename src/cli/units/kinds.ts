// The managers that `doublefork unit` writes for, as data: which files, where they belong, and the command
// lines that have the manager take them, or let go of them.

import { existsSync } from '../../builtin/fs.js';
import { join } from '../../builtin/path.js';
import { docker } from './docker.js';
import type { Scope, UnitFacts, UnitFile } from './facts.js';
import { kubernetes } from './kubernetes.js';
import { launchd } from './launchd.js';
import { monit } from './monit.js';
import { openrc } from './openrc.js';
import { daemontools, runit, s6, s6rc } from './service-directory.js';
import { supervisord } from './supervisord.js';
import { SERVICE_TYPES, type ServiceType, systemd } from './systemd.js';

/** What there is to do beside writing and removing files. */
export type Step =
  /** A command line that must succeed; `silent`: it must print no error of these files, either. */
  | { run: readonly string[]; silent?: boolean }
  /** A file that must come to be within so many ms. */
  | { appears: string; within: number }
  /** A command line that is to fail within so many s: what it asks for is gone then. */
  | { fails: readonly string[]; within: number };

/** The service of an app at a manager. */
export interface Place {
  name: string;
  /** The words by which its files are known as made by this command. */
  signed: string;
  directory: string;
  scope: Scope;
  /** The files, below the directory. */
  files: readonly string[];
  /** How long it may take to stop, in s. */
  stopTimeout: number;
  /** How long to start, in s. */
  startTimeout: number;
  self: readonly string[];
}

export interface Kind {
  /** Where the manager has them; undefined: there is no usual place. */
  directory: (scope: Scope, project: string) => string | undefined;
  files: (facts: UnitFacts, config: string | undefined) => UnitFile[];
  /** What is removed: files or directories. The file that says whose it is comes first. */
  owned: (name: string) => readonly { path: string; signed: string }[];
  install?: (place: Place) => Step[];
  /** Whether a directory is first given a name that the manager passes over: it would start it once more. */
  aside?: true;
  /** Before what is removed. */
  stop?: (place: Place) => Step[];
  /** After that. */
  forget?: (place: Place) => Step[];
  /** What was done then, or is left to do. */
  installed: (place: Place) => string;
  /** Why there is nothing that could be installed here: it is printed, and no more. */
  printed?: string;
}

const printed = (files: Kind['files'], why: string): Kind => ({
  directory: (_, project) => project,
  files,
  owned: () => [],
  installed: () => why,
  printed: why,
});

const file = (path: string) => [{ path, signed: path }];
const directory = (name: string) => [{ path: name, signed: `${name}/run` }];
const home = (path: string) => join(process.env.HOME ?? '/', path);
const run = (...words: string[]): Step => ({ run: words });

const systemctl = ({ scope }: Place, ...words: string[]) =>
  run('systemctl', ...(scope === 'user' ? ['--user'] : []), ...words);

const launchDomain = ({ scope }: Place) =>
  scope === 'user' ? `gui/${process.getuid!()}` : 'system';

const kindOfSystemd = (type: ServiceType): Kind => ({
  directory: (scope) => (scope === 'user' ? home('.config/systemd/user') : '/etc/systemd/system'),
  files: (facts) => systemd(facts, type),
  owned: (name) => [...file(`${name}.socket`), ...file(`${name}.service`)],
  install: (place) => [
    // It succeeds with what it does not know.
    {
      run: [
        'systemd-analyze',
        ...(place.scope === 'user' ? ['--user'] : []),
        'verify',
        ...place.files.map((path) => join(place.directory, path)),
      ],
      silent: true,
    },
    systemctl(place, 'daemon-reload'),
    systemctl(place, 'enable', '--now', ...[...place.files].reverse()),
  ],
  stop: (place) => [systemctl(place, 'disable', '--now', ...place.files)],
  forget: (place) => [systemctl(place, 'daemon-reload')],
  installed: ({ files }) => `started ${files.join(' and ')}, now and at boot`,
});

/** Of a manager that looks into its directory by itself, or when told. */
const APPEARS_MS = 15_000;

export const KINDS = {
  ...(Object.fromEntries(SERVICE_TYPES.map((type) => [type, kindOfSystemd(type)])) as Record<
    ServiceType,
    Kind
  >),
  s6: {
    // Where it is depends on who has set s6 up.
    directory: () => undefined,
    files: s6,
    owned: directory,
    install: ({ directory, name, startTimeout, files }) => [
      run('s6-svscanctl', '-a', directory),
      { appears: join(directory, name, 'supervise/control'), within: APPEARS_MS },
      run(
        's6-svwait',
        files.includes(`${name}/notification-fd`) ? '-U' : '-u',
        ...['-t', String(startTimeout * 1000), join(directory, name)],
      ),
    ],
    stop: ({ directory, name, stopTimeout }) => [
      run('s6-svc', '-wD', '-T', String(stopTimeout * 1000), '-d', join(directory, name)),
    ],
    forget: ({ directory }) => [run('s6-svscanctl', '-an', directory)],
    installed: ({ name }) => `${name} is up, and comes up with its s6-svscan`,
  },
  's6-rc': {
    directory: () => '/etc/s6-rc/source',
    files: s6rc,
    owned: (name) => [...directory(`${name}-log`), ...directory(name)],
    installed: ({ name }) =>
      `not started: compile the database with it (s6-rc-compile, s6-rc-update), then s6-rc -u change ${name}`,
  },
  runit: {
    directory: () => '/etc/service',
    files: runit,
    owned: directory,
    install: ({ directory, name, startTimeout }) => [
      { appears: join(directory, name, 'supervise/ok'), within: APPEARS_MS },
      run('sv', '-w', String(startTimeout), 'start', join(directory, name)),
    ],
    aside: true,
    stop: ({ directory, name, stopTimeout }) => [
      run('sv', '-w', String(stopTimeout), 'force-stop', join(directory, name)),
      run('sv', 'exit', join(directory, name)),
      { fails: ['sv', 'check', join(directory, name)], within: stopTimeout },
    ],
    installed: ({ name }) => `${name} is up, and comes up with runsvdir`,
  },
  daemontools: {
    directory: () => '/etc/service',
    files: daemontools,
    owned: directory,
    install: ({ directory, name }) => [
      { appears: join(directory, name, 'supervise/control'), within: APPEARS_MS },
      run('svok', join(directory, name)),
      run('svc', '-u', join(directory, name)),
    ],
    aside: true,
    stop: ({ directory, name, stopTimeout }) =>
      [join(directory, name), join(directory, name, 'log')]
        .filter(existsSync)
        .flatMap((path) => [
          run('svc', '-dx', path),
          { fails: ['svok', path], within: stopTimeout },
        ]),
    installed: ({ name }) => `${name} is started, and comes up with svscan`,
  },
  openrc: {
    directory: () => '/etc/init.d',
    files: openrc,
    owned: file,
    install: ({ name }) => [
      run('rc-update', 'add', name, 'default'),
      run('rc-service', name, 'start'),
    ],
    stop: ({ name }) => [run('rc-service', name, 'stop'), run('rc-update', 'del', name, 'default')],
    installed: ({ name }) => `started ${name}, now and in the runlevel default`,
  },
  supervisord: {
    directory: () => '/etc/supervisor/conf.d',
    files: supervisord,
    owned: (name) => file(`${name}.conf`),
    install: ({ name }) => [
      run('supervisorctl', 'reread'),
      run('supervisorctl', 'update', name),
      run('supervisorctl', 'status', name),
    ],
    stop: ({ name }) => [run('supervisorctl', 'stop', name)],
    forget: ({ name }) => [run('supervisorctl', 'update', name)],
    installed: ({ name }) => `${name} runs, and starts with supervisord`,
  },
  monit: {
    directory: () => '/etc/monit/conf.d',
    files: monit,
    owned: file,
    install: () => [run('monit', '-t'), run('monit', 'reload')],
    stop: ({ name }) => [run('monit', 'unmonitor', name)],
    forget: ({ name, self }) => [run('monit', 'reload'), run(...self, 'stop', name)],
    installed: ({ name }) => `monit looks after ${name}, and starts it in its next cycle`,
  },
  launchd: {
    directory: (scope) =>
      scope === 'user' ? home('Library/LaunchAgents') : '/Library/LaunchDaemons',
    files: launchd,
    owned: (name) => file(`${name}.plist`),
    install: (place) => [
      run('launchctl', 'bootstrap', launchDomain(place), join(place.directory, place.files[0]!)),
    ],
    stop: (place) => [run('launchctl', 'bootout', `${launchDomain(place)}/${place.name}`)],
    installed: ({ name }) => `${name} is loaded, and starts with launchd`,
  },
  docker: printed(
    docker,
    'a Dockerfile belongs to the project: put what this prints into a file named Dockerfile, and run docker build',
  ),
  kubernetes: printed(
    kubernetes,
    'which cluster is meant is not known here: pipe what this prints into kubectl apply -f -',
  ),
} satisfies Record<string, Kind>;

export type KindName = keyof typeof KINDS;

export const isOfSystemd = (type: string): boolean =>
  (SERVICE_TYPES as readonly string[]).includes(type);
