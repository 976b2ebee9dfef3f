// The rows of the matrix: a service manager each, as data. What is done with it is the recipe in
// docs/managers.md.

import { existsSync } from 'node:fs';
import { bootContainer } from './container.js';
import { isInstalled } from './others.js';
import type { Program, ProgramName } from './programs.js';
import { type Recipe, type RecipeFile, recipe } from './recipes.js';
import { Systemd, whyNoSystemd } from './systemd.js';
import { bootWorld, type World, worldVariables } from './world.js';

export const COLUMNS = [
  'start',
  'readiness',
  'reload',
  'crash of a worker',
  'of the supervisor',
  'of the daemon',
  'stop',
] as const;
export type Column = (typeof COLUMNS)[number];

/** Why a manager cannot have a cell. */
export type Without = Partial<Record<Column, string>>;

export interface Row {
  name: string;
  /** The section of docs/managers.md. */
  section: string;
  /** Why it cannot be tried here; undefined: it can. */
  missing(): string | undefined;
  boot(program: Program, recipe: Recipe): Promise<World>;
  /** Changes a file of the recipe. */
  edit?(text: string): string;
  /** Exits with 0 when it can be told something; default: at once. */
  awake?: string;
  /** It starts the program when it comes up itself. */
  startsByItself?: boolean;
  /** It starts the program again when that has died. */
  restarts: boolean;
  /** How `doublefork status` finds the program. */
  control: string;
  /** A command line that prints the pid of the process it watches. */
  pid: string;
  /** Exits with 0 when it takes the program for started, and ready if it knows that. */
  up: string;
  /** Exits with 0 when it takes the program for stopped. */
  down: string;
  /** Which commands of the recipe, if not those with the names of the steps. */
  step?(name: string): string;
  /** All there ends with the program, and comes back with another boot: a container. */
  endsWithIt?: boolean;
  /** Exits with 0 when it knows that a reload has failed; default: the reload has exited with another code. */
  notReloaded?: string;
  without(program: ProgramName): Without;
  /** What of a start it can be told: until `ready`, `up` fails. */
  knowsReadiness: boolean;
}

const installed =
  (...commands: string[]) =>
  () => {
    const missing = commands.filter((command) => !isInstalled(command));
    return missing.length === 0 ? undefined : `not installed: ${missing.join(', ')}`;
  };

const files = (row: Row, { files }: Recipe): RecipeFile[] =>
  files.map((file) => ({ ...file, text: row.edit?.(file.text) ?? file.text }));

/** What a manager without a word for readiness cannot say. */
const NO_READINESS = (name: string): Without => ({ readiness: `${name} knows of none` });

const CONTROL = '--control /run/app.sock';

/** Where nobody else knows: all workers say so. */
const isReady = (control: string) =>
  `doublefork status ${control} --json | node -e 'process.exit(JSON.parse(fs.readFileSync(0))[0].supervisor.workers.every((it) => it.state === "ready") ? 0 : 1)'`;

/** The release with systemd 257; see docs/managers.md, or CONTRIBUTING.md, for how it is made. */
const TRIXIE = '/var/cache/doublefork-lab/trixie';

function systemd(type: string, more: Partial<Row> & ThisType<Row> = {}): Row {
  return {
    name: `systemd, Type=${type}`,
    section: 'systemd',
    missing: whyNoSystemd,
    edit: (text) => text.replace('Type=notify', `Type=${type}`),
    async boot(program, recipe) {
      return await Systemd.boot(
        {},
        '',
        [],
        worldVariables(program.directory, files(this as Row, recipe)),
      );
    },
    restarts: true,
    control: CONTROL,
    pid: 'systemctl show --value --property=MainPID app',
    up: 'systemctl is-active app',
    down: '[ "$(systemctl show --value --property=ActiveState,Result app | xargs)" = "success inactive" ]',
    knowsReadiness: false,
    without: () => ({}),
    ...more,
  };
}

/** Of its kind, with a directory for each service. */
function scanned(
  name: string,
  more: Pick<Row, 'missing' | 'pid' | 'up' | 'down'> &
    Partial<Row> & { scan: string; directory: string },
): Row {
  const { scan, directory, ...rest } = more;
  return {
    name,
    section: name,
    boot(program, recipe) {
      // Started when it is told to be, not at once.
      const down = { path: `${directory}/down`, text: '', executable: false };
      const variables = worldVariables(program.directory, [...files(this, recipe), down]);
      return bootWorld(variables, `exec tini -s -- ${scan}`);
    },
    restarts: true,
    control: CONTROL,
    knowsReadiness: false,
    without: () => NO_READINESS(name),
    ...rest,
  };
}

/** What a Dockerfile has the container run, and its variables. */
function dockerfile({ files }: Recipe): { args: string[]; env: Record<string, string> } {
  const text = files.find(({ path }) => path === '/Dockerfile')!.text;
  const [, args] = /^CMD (.*)$/m.exec(text)!;
  const env = [...text.matchAll(/^ENV (\w+)=(.*)$/gm)].map(([, name, value]) => [name, value]);
  return { args: JSON.parse(args!), env: Object.fromEntries(env) };
}

/** Docker's commands, done as Docker does them. */
async function docker(line: string, world: World) {
  const [, verb, rest] = /^docker (exec|kill|stop) (.*)$/.exec(line)!;
  if (verb === 'exec') return await world.sh(rest!.replace(/^app /, ''));
  const [, signal] = /^--signal (\w+) app$/.exec(rest!) ?? [];
  process.kill(world.init, `SIG${signal ?? 'TERM'}`);
  if (verb === 'stop') await world.ended;
  return { code: 0 };
}

function container(name: string, init: readonly string[]): Row {
  return {
    name,
    section: 'A container',
    missing: installed(init[0] ?? 'env'),
    async boot(program, recipe) {
      const { args, env } = dockerfile(recipe);
      const variables = worldVariables(program.directory, []);
      const world = await bootWorld(variables, `exec ${[...init, ...args].join(' ')}`, env);
      return Object.assign(world, { admin: (line: string) => docker(line, world) });
    },
    endsWithIt: true,
    restarts: false,
    control: CONTROL,
    pid: init.length === 0 ? 'echo 1' : 'pgrep -P 1 | head -n 1',
    up: 'true',
    down: 'false',
    knowsReadiness: false,
    without: () => NO_READINESS('a container'),
  };
}

export const ROWS: readonly Row[] = [
  {
    name: 'a shell',
    section: 'A shell',
    missing: installed('tini'),
    boot: (program) =>
      bootWorld(worldVariables(program.directory, []), 'exec tini -s -- sleep infinity'),
    restarts: false,
    control: 'app',
    pid: 'doublefork status app --json | node -p "JSON.parse(fs.readFileSync(0))[0].pid"',
    up: isReady('app'),
    down: '! doublefork status app',
    knowsReadiness: true,
    without: () => ({}),
  },
  systemd('simple', { without: () => NO_READINESS('Type=simple') }),
  systemd('exec', { without: () => NO_READINESS('Type=exec') }),
  systemd('notify', { knowsReadiness: true }),
  systemd('notify-reload', {
    missing: () =>
      whyNoSystemd() ?? (existsSync(TRIXIE) ? undefined : `there is no systemd 257 in ${TRIXIE}`),
    edit: (text) =>
      text.replace('Type=notify', 'Type=notify-reload').replace(/^ExecReload=.*\n/m, ''),
    async boot(program, recipe) {
      const variables = worldVariables(program.directory, files(this, recipe));
      return await Systemd.boot({}, TRIXIE, [variables.FILES], variables);
    },
    notReloaded: "systemctl show --property=StatusText app | grep -q 'Not reloaded: .*broken'",
    knowsReadiness: true,
  }),
  systemd('forking', {
    without: (program) =>
      program === 'supervise()' ? { start: 'supervise() alone stays: another type' } : {},
  }),
  systemd('forking', {
    name: 'systemd, Type=forking, PIDFile=',
    control: 'app',
    section: 'systemd, Type=forking with PIDFile=',
    knowsReadiness: true,
  }),
  scanned('s6', {
    missing: installed('s6-svscan', 'tini'),
    scan: 's6-svscan /etc/s6',
    directory: '/etc/s6/app',
    awake: 's6-svok /etc/s6/app',
    pid: 's6-svstat -o pid /etc/s6/app',
    up: '[ "$(s6-svstat -o ready /etc/s6/app)" = true ]',
    down: '[ "$(s6-svstat -o up /etc/s6/app)" = false ]',
    knowsReadiness: true,
    without: () => ({}),
  }),
  scanned('runit', {
    missing: installed('runsvdir', 'tini'),
    scan: 'runsvdir /etc/sv',
    directory: '/etc/sv/app',
    awake: 'sv status /etc/sv/app | grep -q down',
    pid: "sv status /etc/sv/app | sed 's/.*(pid \\([0-9]*\\)).*/\\1/'",
    up: 'sv check /etc/sv/app | grep -q ^ok',
    down: 'sv status /etc/sv/app | grep -q ^down',
  }),
  scanned('daemontools', {
    missing: installed('svscan', 'tini'),
    scan: 'svscan /service',
    directory: '/service/app',
    awake: 'svok /service/app',
    pid: "svstat /service/app | sed 's/.*(pid \\([0-9]*\\)).*/\\1/'",
    up: "svstat /service/app | grep -q ': up'",
    down: "svstat /service/app | grep -q ': down'",
  }),
  {
    name: 'supervisord',
    section: 'supervisord',
    missing: installed('supervisord', 'tini'),
    boot(program, recipe) {
      const conf = '/etc/supervisor/supervisord.conf';
      const variables = worldVariables(program.directory, files(this, recipe));
      return bootWorld(variables, `exec tini -s -- supervisord -n -c ${conf}`);
    },
    awake: 'supervisorctl status app | grep -q RUNNING',
    startsByItself: true,
    restarts: true,
    control: CONTROL,
    pid: 'supervisorctl pid app',
    up: 'supervisorctl status app | grep -q RUNNING',
    down: 'supervisorctl status app | grep -q STOPPED',
    knowsReadiness: false,
    without: () => NO_READINESS('supervisord'),
  },
  {
    name: 'OpenRC',
    section: 'OpenRC',
    missing: installed('rc-service', 'tini'),
    boot(program, recipe) {
      const variables = worldVariables(program.directory, files(this, recipe));
      return bootWorld(
        variables,
        'cd /run; mkdir -p openrc; cd openrc; touch softlevel; mkdir starting started stopping inactive wasinactive failed hotplugged daemons options exclusive scheduled tmp; exec tini -s -- sleep infinity',
      );
    },
    restarts: true,
    control: CONTROL,
    pid: 'pgrep -P $(cat /run/supervise-app.pid)',
    up: 'rc-service app status',
    down: '! rc-service app status',
    knowsReadiness: false,
    without: () => NO_READINESS('supervise-daemon'),
  },
  {
    name: 'monit',
    section: 'monit',
    missing: installed('monit', 'tini'),
    boot(program, recipe) {
      const variables = worldVariables(program.directory, files(this, recipe));
      // It looks once in 1 s, not in 120.
      const conf =
        'set daemon 1\nset log /var/log/monit.log\nset httpd unixsocket /run/monit.sock allow admin:monit\ninclude /etc/monit/conf.d/app\n';
      return bootWorld(
        variables,
        `printf '${conf}' >/etc/monit/monitrc; chmod 600 /etc/monit/monitrc; exec tini -s -- monit -I`,
      );
    },
    awake: 'monit status app | grep -q OK',
    startsByItself: true,
    restarts: true,
    control: 'app',
    pid: 'cat /run/app.pid',
    up: 'monit status app | grep -q OK',
    down: "monit status app | grep -q 'Not monitored'",
    knowsReadiness: false,
    without: () => NO_READINESS('monit'),
  },
  {
    name: 'start-stop-daemon',
    section: 'start-stop-daemon',
    missing: installed('start-stop-daemon', 'tini'),
    boot: (program) =>
      bootWorld(worldVariables(program.directory, []), 'exec tini -s -- sleep infinity'),
    restarts: false,
    control: CONTROL,
    pid: 'cat /run/app.pid',
    up: isReady(CONTROL),
    down: '! start-stop-daemon --status --pidfile /run/app.pid',
    knowsReadiness: true,
    without: () => ({}),
  },
  container('tini', ['tini', '--']),
  container('dumb-init', ['dumb-init', '--']),
  container('catatonit', ['catatonit', '--']),
  container('process 1', []),
  {
    ...container('runc', []),
    missing: installed('runc'),
    boot(program, recipe) {
      const { args, env } = dockerfile(recipe);
      return bootContainer(worldVariables(program.directory, []), args, env);
    },
    step: (name) => `${name} in runc`,
  },
];

/** What docs/managers.md says of a row, in one line of its table. */
export function summary(row: Row): string[] {
  const both = row.without('supervise()').start === undefined;
  const waits = row.without('http-server').readiness === undefined;
  return [
    row.name,
    both ? 'both' : '`http-server`',
    waits ? 'yes' : 'no',
    row.notReloaded === undefined ? 'the exit code' : 'the status of the unit',
    row.restarts ? 'yes' : 'no',
  ];
}

/** The recipe of a row. */
export const recipeOf = (row: Row): Recipe => recipe(row.section);
