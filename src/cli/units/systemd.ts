// Units of systemd for an app.

import { isMessageLog } from '../../logs/options.js';
import { refuse, signature, type UnitFacts, type UnitFile } from './facts.js';

export const SERVICE_TYPES = ['notify', 'notify-reload', 'exec', 'simple', 'forking'] as const;
export type ServiceType = (typeof SERVICE_TYPES)[number];

/** A word of a command line: systemd has quotes, specifiers and variables. */
export function quote(word: string): string {
  const text = word.replaceAll('%', '%%').replaceAll('$', '$$$$');
  return /^[\w@%+=:,./$-]+$/.test(text) ? text : `"${text.replaceAll(/["\\]/g, '\\$&')}"`;
}

/** An assignment, which has no variables. */
const assignment = (name: string, value: string) =>
  `"${`${name}=${value}`.replaceAll('%', '%%').replaceAll(/["\\]/g, '\\$&').replaceAll('\n', '\\n')}"`;

const path = (text: string) => text.replaceAll('%', '%%');

const octal = (mode: number) => `0${mode.toString(8).padStart(3, '0')}`;

/** Without a value it is left out. */
type Line = readonly [key: string, value: string | undefined];

/** app.service, and app.socket if systemd is to listen. */
export function systemd(facts: UnitFacts, type: ServiceType): UnitFile[] {
  const { name, sockets, harden, supervised, log, logger } = facts;
  if (logger !== undefined && !isMessageLog(log)) {
    refuse(
      'systemd',
      'logMaxSize and its like',
      'give the app `restart: always`, so that this command is its supervisor and writes the log; or leave them to logrotate or the journal',
    );
  }
  if (harden && supervised && facts.app.log !== undefined) {
    refuse(
      'a hardened unit',
      `log: ${facts.app.log}`,
      'it may not write there; leave it to the journal',
    );
  }
  const service = {
    file: `${name}.service`,
    text: serviceUnit(facts, type, supervised ? undefined : log),
  };
  if (sockets.length === 0) return [service];
  return [service, { file: `${name}.socket`, text: socketUnit(facts) }];
}

function serviceUnit(facts: UnitFacts, type: ServiceType, log: string | undefined): string {
  const { name, harden, scope, stop } = facts;
  const entries = Object.entries(facts.env);
  // What the file says would count more than Environment=; for an app it is the other way round.
  const inFront =
    facts.envFile === undefined || entries.length === 0
      ? []
      : ['/usr/bin/env', ...entries.map(([key, value]) => `${key}=${value}`)];
  const sections: [string, Line[]][] = [
    [
      'Unit',
      [
        ['Description', path(facts.description)],
        ['After', scope === 'user' ? undefined : 'network.target'],
      ],
    ],
    [
      'Service',
      [
        ['Type', type],
        ['WorkingDirectory', path(facts.cwd)],
        ...controlLines(facts),
        ['ExecStart', [...inFront, ...facts.command].map(quote).join(' ')],
        ...reloadLines(facts, type),
        ...(inFront.length > 0 ? [] : entries).map(
          ([key, value]): Line => ['Environment', assignment(key, value)],
        ),
        ['EnvironmentFile', facts.envFile && path(facts.envFile)],
        ...identityLines(facts),
        ['UMask', facts.umask === undefined ? (harden ? '0077' : undefined) : octal(facts.umask)],
        ...limitLines(facts.limits),
        ...outputLines(name, log),
        // systemd would give it back to root before each of its commands.
        ['RuntimeDirectory', becomesUser(facts) ? undefined : name],
        ['StateDirectory', name],
        ['Restart', 'on-failure'],
        // The supervisor tells its workers itself; what is left at the end is killed.
        ['KillMode', 'mixed'],
        ['TimeoutStopSec', String(stop.total)],
        ...(harden ? hardening(facts) : []),
      ],
    ],
    ['Install', [['WantedBy', scope === 'user' ? 'default.target' : 'multi-user.target']]],
  ];
  return print(name, sections);
}

/** A log of syslog's comes by way of the journal, which passes it on. */
function outputLines(name: string, log: string | undefined): Line[] {
  if (log === undefined) return [];
  if (isMessageLog(log)) {
    return [
      ['StandardOutput', 'journal'],
      ['StandardError', 'inherit'],
      ['SyslogIdentifier', name],
    ];
  }
  return [
    ['StandardOutput', `append:${path(log)}`],
    ['StandardError', 'inherit'],
  ];
}

function socketUnit({ name, description, sockets }: UnitFacts): string {
  return print(name, [
    ['Unit', [['Description', path(`${description}: sockets`)]]],
    ['Socket', sockets.map((address): Line => ['ListenStream', path(address)])],
    ['Install', [['WantedBy', 'sockets.target']]],
  ]);
}

function print(name: string, sections: readonly [string, readonly Line[]][]): string {
  const text = sections.map(([section, lines]) => {
    const said = lines.flatMap(([key, value]) => (value === undefined ? [] : `${key}=${value}\n`));
    return `[${section}]\n${said.join('')}`;
  });
  return `${signature(name)}\n${text.join('\n')}`;
}

/** Whether it is this command, which begins as root and becomes the user of the app itself. */
const becomesUser = ({ supervised, harden, scope, app }: UnitFacts): boolean =>
  supervised && !harden && scope === 'system' && app.user !== undefined;

/** Where its control socket is to be. */
function controlLines(facts: UnitFacts): Line[] {
  const { name, app } = facts;
  const control: Line = ['Environment', `DOUBLEFORK_CONTROL=%t/${name}/control.sock`];
  if (!becomesUser(facts)) return [control];
  // It has become that user when it makes its socket.
  const group = app.group === undefined ? [] : ['-g', quote(app.group)];
  const words = ['install', '-d', '-o', quote(app.user!), ...group, `%t/${name}`];
  return [control, ['ExecStartPre', words.join(' ')]];
}

function reloadLines({ reload, name }: UnitFacts, type: ServiceType): Line[] {
  // With this one systemd sends SIGHUP, and waits to hear that it is over.
  if (type === 'notify-reload') return [];
  return [['ExecReload', [...reload.map(quote), `%t/${name}/control.sock`].join(' ')]];
}

function identityLines({ user, group, harden, scope }: UnitFacts): Line[] {
  if (scope === 'user') return [];
  if (user === undefined && harden) return [['DynamicUser', 'yes']];
  return [
    ['User', user],
    ['Group', group],
  ];
}

function limitLines(limits: UnitFacts['limits']): Line[] {
  return Object.entries(limits).map(([name, limit]): Line => {
    const key = `Limit${name.toUpperCase().replace(/^RLIMIT_/, '')}`;
    if (typeof limit !== 'object') return [key, String(limit)];
    const { soft = limit.hard, hard = soft } = limit;
    return [key, `${soft}:${hard}`];
  });
}

/** What Node needs beside the usual: memory keys of V8 (@pkey), pages that can be written and then run. */
function hardening({ cwd, command }: UnitFacts): Line[] {
  const atHome = [cwd, ...command].some((it) => /^\/(home|root)\//.test(`${it}/`));
  const yes = (...keys: string[]) => keys.map((key): Line => [key, 'yes']);
  return [
    ...yes('NoNewPrivileges', 'PrivateTmp', 'PrivateDevices', 'RemoveIPC', 'LockPersonality'),
    ['ProtectSystem', 'strict'],
    ['ProtectHome', atHome ? 'read-only' : 'yes'],
    ...yes(
      'ProtectKernelTunables',
      'ProtectKernelModules',
      'ProtectKernelLogs',
      'ProtectControlGroups',
    ),
    ...yes(
      'ProtectClock',
      'ProtectHostname',
      'RestrictNamespaces',
      'RestrictRealtime',
      'RestrictSUIDSGID',
    ),
    ['ProtectProc', 'invisible'],
    // None: a port below 1024 is for a socket unit.
    ['CapabilityBoundingSet', ''],
    ['PrivateUsers', 'yes'],
    ['RestrictAddressFamilies', 'AF_UNIX AF_INET AF_INET6'],
    ['SystemCallArchitectures', 'native'],
    ['SystemCallFilter', '@system-service @pkey'],
    ['SystemCallFilter', '~@privileged'],
    ['SystemCallErrorNumber', 'EPERM'],
  ];
}
