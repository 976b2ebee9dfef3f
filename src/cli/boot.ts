// Which init runs this system, and what has it start at boot what was saved: as data, for installing.

import { existsSync, readFileSync, realpathSync } from '../builtin/fs.js';
import { userInfo } from '../builtin/os.js';
import { join } from '../builtin/path.js';
import type { Scope, UnitFile } from './units/facts.js';
import type { Kind, Place } from './units/kinds.js';
import { commandLine } from './units/shell.js';
import { quote } from './units/systemd.js';

const SIGNED = 'Made by: doublefork startup';

/** What of the system tells its init. */
export interface InitFacts {
  exists: (path: string) => boolean;
  /** The name of process 1. */
  first: string;
}

/** `'systemd'`, `'OpenRC'`, `'runit'`, `'s6'`; another one by the name of process 1. */
export function recognizeInit({ exists, first }: InitFacts): string {
  // sd_booted(3)
  if (exists('/run/systemd/system')) return 'systemd';
  if (exists('/run/openrc/softlevel')) return 'OpenRC';
  if (/^(runit|runsvdir)/.test(first)) return 'runit';
  return first === 's6-svscan' ? 's6' : first;
}

export const initHere = (): string =>
  recognizeInit({ exists: existsSync, first: readFileSync('/proc/1/comm', 'utf8').trim() });

const START = ['start', '--saved'];
const STOP = ['stop', '--all'];

interface BootKind extends Kind {
  /** @param self the command line of this command */
  boot: (self: readonly string[], scope: Scope) => UnitFile[];
}

const file = (path: string) => [{ path, signed: path }];
const none = () => [];

/** By the names of recognizeInit(). Taken away, none of them stops what runs. */
const KINDS: Readonly<Record<string, BootKind>> = {
  systemd: {
    directory: (scope) =>
      scope === 'user' ? join(userInfo().homedir, '.config/systemd/user') : '/etc/systemd/system',
    files: none,
    owned: () => file('doublefork.service'),
    boot: (self, scope) => [{ file: 'doublefork.service', text: service(self, scope) }],
    // Started at once: it finds all of it running, and has shown that it can be started.
    install: (place) => [
      { run: systemctl(place, 'daemon-reload') },
      { run: systemctl(place, 'enable', '--now', 'doublefork.service') },
    ],
    stop: (place) => [{ run: systemctl(place, 'disable', 'doublefork.service') }],
    forget: (place) => [{ run: systemctl(place, 'daemon-reload') }],
    installed: () => 'enabled doublefork.service, which starts at boot what is saved',
  },
  OpenRC: {
    directory: () => '/etc/init.d',
    files: none,
    owned: () => file('doublefork'),
    boot: (self) => [{ file: 'doublefork', text: initScript(self), mode: 0o755 }],
    install: () => [
      { run: ['rc-update', 'add', 'doublefork', 'default'] },
      { run: ['rc-service', 'doublefork', 'start'] },
    ],
    stop: () => [{ run: ['rc-update', 'del', 'doublefork', 'default'] }],
    installed: () => 'added doublefork to the runlevel default, which starts at boot what is saved',
  },
  runit: {
    directory: () => '/etc/service',
    files: none,
    owned: () => [{ path: 'doublefork', signed: 'doublefork/run' }],
    boot: (self) => [
      {
        file: 'doublefork/run',
        text: shell(
          'exec 2>&1',
          commandLine([...self, ...START]),
          '# The daemons are their own; this is what runsv looks at.',
          'exec sleep infinity',
        ),
        mode: 0o755,
      },
      {
        file: 'doublefork/finish',
        text: shell(`exec ${commandLine([...self, ...STOP])}`),
        mode: 0o755,
      },
    ],
    install: ({ directory }) => [
      { appears: join(directory, 'doublefork/supervise/ok'), within: 15_000 },
      { run: ['sv', '-w', '60', 'start', join(directory, 'doublefork')] },
    ],
    // It would stop what runs.
    stop: ({ directory }) => [{ run: ['rm', '-f', join(directory, 'doublefork/finish')] }],
    installed: ({ directory }) =>
      `runsvdir has taken ${directory}/doublefork, which starts at boot what is saved`,
  },
};

const shell = (...lines: string[]) => `#!/bin/sh\n# ${SIGNED}\n${lines.join('\n')}\n`;

const systemctl = ({ scope }: Pick<Place, 'scope'>, ...words: string[]) => [
  'systemctl',
  ...(scope === 'user' ? ['--user'] : []),
  ...words,
];

const service = (self: readonly string[], scope: Scope) => `# ${SIGNED}
[Unit]
Description=Daemons of doublefork, as they were saved
${scope === 'user' ? '' : 'Wants=network-online.target\nAfter=network-online.target remote-fs.target nss-user-lookup.target\n'}
[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=${[...self, ...START].map(quote).join(' ')}
ExecStop=-${[...self, ...STOP].map(quote).join(' ')}
TimeoutStartSec=infinity
TimeoutStopSec=infinity
# One that cannot be started is no reason to end the others.
KillMode=process

[Install]
WantedBy=${scope === 'user' ? 'default.target' : 'multi-user.target'}
`;

const initScript = (self: readonly string[]) => `#!/sbin/openrc-run
# ${SIGNED}
description="Daemons of doublefork, as they were saved"

depend() {
  need localmount
  use net dns logger
  after firewall
}

start() {
  ebegin "Starting what doublefork has saved"
  ${commandLine([...self, ...START])}
  eend $?
}

stop() {
  ebegin "Stopping the daemons of doublefork"
  ${commandLine([...self, ...STOP])}
  eend $?
}
`;

/** Where it belongs. */
export interface BootPlace {
  kind: Kind;
  place: Place;
  files: UnitFile[];
  isInstalled: boolean;
}

/** For whoever gives the command; undefined: this init has no place for it. */
export function bootPlace(init = initHere()): BootPlace | undefined {
  const scope: Scope = process.geteuid!() === 0 ? 'system' : 'user';
  const kind = KINDS[init];
  if (kind === undefined || (scope === 'user' && init !== 'systemd')) return undefined;
  const directory = kind.directory(scope, '')!;
  const self = [process.execPath, realpathSync(process.argv[1]!)];
  const files = kind.boot(self, scope);
  const place: Place = {
    ...{ name: 'doublefork', signed: SIGNED, directory, scope, self },
    files: files.map((each) => each.file),
    ...{ stopTimeout: 60, startTimeout: 60 },
  };
  return { kind, place, files, isInstalled: existsSync(join(directory, files[0]!.file)) };
}
