// Units of systemd for an app.

/** What a unit is made of. */
export interface UnitFacts {
  name: string;
  description: string;
  /** The program and its arguments, the first of them a path. */
  command: readonly string[];
  cwd: string;
  env: Readonly<Record<string, string>>;
  envFile: string | undefined;
  user: string | undefined;
  group: string | undefined;
  umask: number | undefined;
  /** Soft and hard limits by the names of getrlimit(2). */
  limits: Readonly<
    Record<string, number | 'infinity' | { soft?: number | 'infinity'; hard?: number | 'infinity' }>
  >;
  log: string | undefined;
  type: ServiceType;
  /** The command line that reloads it and tells how that went; undefined: it has no supervisor. */
  reload: readonly string[] | undefined;
  /** How long it may take to stop, in s. */
  stopTimeout: number | 'infinity';
  harden: boolean;
  /** Ports or paths that systemd is to listen on. */
  sockets: readonly string[];
}

export const SERVICE_TYPES = ['notify', 'notify-reload', 'exec', 'simple', 'forking'] as const;
export type ServiceType = (typeof SERVICE_TYPES)[number];

/** In front of what this has made, so that nothing else is overwritten or removed. */
export const signature = (name: string) => `# Made by: doublefork unit ${name}`;

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

/** app.service */
export function serviceUnit(facts: UnitFacts): string {
  const { name, harden, type } = facts;
  const sections: [string, Line[]][] = [
    [
      'Unit',
      [
        ['Description', path(facts.description)],
        ['After', 'network.target'],
      ],
    ],
    [
      'Service',
      [
        ['Type', type],
        ['WorkingDirectory', path(facts.cwd)],
        ['ExecStart', facts.command.map(quote).join(' ')],
        ...reloadLines(facts),
        ...Object.entries(facts.env).map(
          ([key, value]): Line => ['Environment', assignment(key, value)],
        ),
        ['EnvironmentFile', facts.envFile && path(facts.envFile)],
        ...identityLines(facts),
        ['UMask', facts.umask === undefined ? (harden ? '0077' : undefined) : octal(facts.umask)],
        ...limitLines(facts.limits),
        ['StandardOutput', facts.log && `append:${path(facts.log)}`],
        ['StandardError', facts.log && 'inherit'],
        ['RuntimeDirectory', name],
        ['StateDirectory', name],
        ['Restart', 'on-failure'],
        // The supervisor tells its workers itself; what is left at the end is killed.
        ['KillMode', 'mixed'],
        ['TimeoutStopSec', String(facts.stopTimeout)],
        ...(harden ? hardening(facts) : []),
      ],
    ],
    ['Install', [['WantedBy', 'multi-user.target']]],
  ];
  return print(name, sections);
}

/** app.socket */
export function socketUnit({ name, description, sockets }: UnitFacts): string {
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

function reloadLines({ type, reload, name }: UnitFacts): Line[] {
  if (reload === undefined) return [];
  const control: Line = ['Environment', `DOUBLEFORK_CONTROL=%t/${name}/control.sock`];
  // With this one systemd sends SIGHUP, and waits to hear that it is over.
  if (type === 'notify-reload') return [control];
  const command = [...reload.map(quote), `%t/${name}/control.sock`].join(' ');
  return [control, ['ExecReload', command]];
}

function identityLines({ user, group, harden }: UnitFacts): Line[] {
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
