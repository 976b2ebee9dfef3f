// The rows of the matrix: a service manager each, as data. What is done with it is the recipe in
// docs/managers.md.

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
  /** Runs a command that is meant for another tool. @returns undefined: it is run as it is */
  translate?(command: string, world: World): Promise<{ code: number | null }> | undefined;
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

function systemd(type: string, more: Partial<Row> = {}): Row {
  return {
    name: `systemd, Type=${type}`,
    section: 'systemd',
    missing: whyNoSystemd,
    edit: (text) => text.replace('Type=notify', `Type=${type}`),
    async boot(program, recipe) {
      return await Systemd.boot({}, '', [], worldVariables(program.directory, files(this, recipe)));
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
    up: 'doublefork status app --json | node -e "process.exit(JSON.parse(fs.readFileSync(0))[0].supervisor.workers.every((it) => it.state === \'ready\') ? 0 : 1)"',
    down: '! doublefork status app',
    knowsReadiness: true,
    without: () => ({}),
  },
  systemd('simple', { without: () => NO_READINESS('Type=simple') }),
  systemd('exec', { without: () => NO_READINESS('Type=exec') }),
  systemd('notify', { knowsReadiness: true }),
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
];

/** The recipe of a row. */
export const recipeOf = (row: Row): Recipe => recipe(row.section);
