// doublefork unit <name>: what a service manager needs to run an app.

import { type Command, InvalidArgumentError, Option } from 'commander';
import { realpathSync } from '../builtin/fs.js';
import { dirname, isAbsolute, resolve } from '../builtin/path.js';
import { optionOf } from '../config/keys.js';
import { type App, CAPTURE, isSupervised } from '../control/app.js';
import { controlFor } from '../control/folders.js';
import { findProgram } from '../control/program.js';
import { isMessageLog } from '../logs/options.js';
import { print, printJson, write } from './output.js';
import { configHere, STRANGER, subjects } from './targets.js';
import {
  made,
  type Scope,
  seconds,
  stopFacts,
  type UnitFacts,
  type UnitFile,
} from './units/facts.js';
import { put, remove } from './units/install.js';
import { isOfSystemd, KINDS, type Kind, type KindName, type Place } from './units/kinds.js';

interface Options {
  config?: string;
  type?: KindName;
  user?: string;
  scope?: Scope;
  harden?: boolean;
  socket: string[];
  health?: number;
  image?: string;
  memory?: string;
  cpu?: string;
  directory?: string;
  install?: boolean;
  uninstall?: boolean;
  dryRun?: boolean;
  json?: boolean;
}

export function declare(command: Command): void {
  command
    .argument('<name>', 'an app of the config file, or a daemon that was started here')
    .option('--config <file>', 'read this in place of doublefork.config.*')
    .addOption(
      new Option(
        '--type <type>',
        'of systemd, how it learns that the program serves: notify unless the app has no way to say so; or another manager',
      ).choices(Object.keys(KINDS)),
    )
    .option('--user <user>', 'the user it runs as; default: that of the app')
    .addOption(
      new Option(
        '--scope <scope>',
        'for the manager of the system, or your own (systemctl --user); default: system for root, else user',
      ).choices(['system', 'user']),
    )
    .option('--harden', 'take from it what a program in Node does not need (systemd)')
    .option(
      '--socket <address>',
      'have systemd listen on a port, address or path, have others look whether it listens; can be repeated',
      collect,
      [],
    )
    .option(
      '--health <port>',
      'where its doublefork/health answers, for others that look after it (monit, docker, kubernetes)',
      port,
    )
    .option('--image <image>', 'the image of its container (kubernetes)')
    .option('--memory <size>', 'what a container of it needs, such as 512Mi (kubernetes)', memory)
    .option('--cpu <amount>', 'and of a processor, such as 500m (kubernetes)', cpu)
    .option('--directory <directory>', 'where the units are; default: where the manager has them')
    .option('--install', 'write them, and have the manager start it now and at boot')
    .option('--uninstall', 'stop it, and remove them')
    .option('--dry-run', 'print them; this is what it does unless told otherwise')
    .option('--json', 'say in JSON what was done')
    .addHelpText(
      'after',
      '\nThe program is run as it is: daemonize() stays in the foreground there. `systemctl reload` runs `doublefork\nreload`, and fails if the new version does. Only what this command has made is overwritten or removed.',
    )
    .action(unit);
}

function collect(address: string, before: string[]): string[] {
  if (/^\d+$/.test(address) && Number(address) >= 1 && Number(address) <= 65_535)
    return [...before, address];
  if (/^\/|^@|^\[?[\da-fA-F:.]+\]?:\d+$/.test(address)) return [...before, address];
  throw new InvalidArgumentError(
    'It must be a port, ADDRESS:PORT, or the absolute path of a unix socket.',
  );
}

function port(text: string): number {
  if (/^\d+$/.test(text) && Number(text) >= 1 && Number(text) <= 65_535) return Number(text);
  throw new InvalidArgumentError('It must be a port.');
}

function memory(text: string): string {
  if (/^[1-9]\d*(Ki|Mi|Gi|k|M|G)$/.test(text)) return text;
  throw new InvalidArgumentError('It must be a whole number with a unit: 512Mi, 1Gi, 500M.');
}

function cpu(text: string): string {
  if (/^([1-9]\d*m?|\d+\.\d{1,3})$/.test(text) && Number.parseFloat(text) > 0) return text;
  throw new InvalidArgumentError('It must be a number of processors: 2, 0.5, 500m.');
}

/** The types that an option says something to. */
const ONLY_FOR: Record<'health' | 'image' | 'memory' | 'cpu', readonly KindName[]> = {
  health: ['monit', 'docker', 'kubernetes'],
  image: ['kubernetes'],
  memory: ['kubernetes'],
  cpu: ['kubernetes'],
};

async function unit(name: string, options: Options, command: Command): Promise<void> {
  const { install = false, uninstall = false, dryRun = false, json = false } = options;
  if (Number(install) + Number(uninstall) + Number(dryRun) > 1) {
    command.error('error: --install, --uninstall, --dry-run: give one of them');
  }
  const { app, config } = await find(name, options, uninstall);
  const type = options.type ?? defaultType(app);
  const kind: Kind = KINDS[type];
  if (options.harden === true && !isOfSystemd(type)) {
    throw new Error(`--harden is for systemd; ${type} has no such thing`);
  }
  if (kind.printed !== undefined && (install || uninstall)) {
    throw new Error(`--type ${type} only prints: ${kind.printed}`);
  }
  for (const [key, types] of Object.entries(ONLY_FOR)) {
    if (options[key as keyof typeof ONLY_FOR] === undefined || types.includes(type)) continue;
    throw new Error(`--${key} is for ${types.join(', ')}; ${type} has no such thing`);
  }
  const place = placeOf(name, options, kind, app);
  if (uninstall) return done(await remove(kind, needDirectory(place, type)), json);
  const files = kind.files(await factsOf(app!, config, options, place), config);
  if (install) {
    const named = { ...needDirectory(place, type), files: files.map(({ file }) => file) };
    return done(await put(kind, named, files), json);
  }
  if (json) return printJson(files);
  write(files.map(shown).join('\n'));
}

function done(steps: readonly string[], json: boolean): void {
  if (json) printJson(steps);
  else print(steps.join('\n'));
}

const shown = ({ file, text }: UnitFile) => `# ${file}\n${text}`;

/** @throws if nothing is known of it, unless it is `optional` */
async function find(
  name: string,
  options: Options,
  optional: boolean,
): Promise<{ app: App | undefined; config: string | undefined }> {
  const { config } = options;
  const [subject] = await subjects([name], config === undefined ? {} : { config });
  const app = subject?.app;
  if (app === undefined && !optional) throw new Error(`no daemon is known as ${name}: ${STRANGER}`);
  const read = await configHere(config);
  const has = read?.apps.some((each) => each.name === name) === true;
  return { app, config: has ? resolve(read.file) : undefined };
}

const defaultType = (app: App | undefined): KindName =>
  app === undefined || app.ready === 'notify' || isSupervised(app) ? 'notify' : 'exec';

function placeOf(
  name: string,
  options: Options,
  kind: Kind,
  app: App | undefined,
): Omit<Place, 'directory'> & { directory: string | undefined } {
  const scope = options.scope ?? (process.geteuid!() === 0 ? 'system' : 'user');
  const { total } = stopFacts(app?.stop ?? '');
  return {
    name,
    signed: made(name),
    scope,
    directory: options.directory ?? kind.directory(scope, process.cwd()),
    files: [],
    stopTimeout: seconds(total, 3600) + 10,
    startTimeout: Math.ceil((app?.timeout ?? 60_000) / 1000),
    self: selfWords(),
  };
}

function needDirectory(
  place: Omit<Place, 'directory'> & { directory: string | undefined },
  type: string,
): Place {
  const { directory } = place;
  if (directory !== undefined) return { ...place, directory: resolve(directory) };
  throw new Error(
    `${type} has no usual directory for services: give the one it looks into by --directory`,
  );
}

const selfWords = () => [process.execPath, realpathSync(process.argv[1]!)];

async function factsOf(
  app: App,
  config: string | undefined,
  options: Options,
  { name, scope }: Pick<Place, 'name' | 'scope'>,
): Promise<UnitFacts> {
  const self = selfWords();
  const harden = options.harden === true;
  if (harden && scope === 'user') {
    throw new Error(
      'a hardened unit is one of the system: give --scope system, and install it as root',
    );
  }
  const supervised = isSupervised(app);
  if (supervised && config === undefined) {
    throw new Error(
      `${name} has a supervisor of this command, which needs a config file: none here has it`,
    );
  }
  // What the command does itself as the supervisor is not the manager's to do as well. A hardened one may not.
  const left = supervised
    ? { env: {}, envFile: undefined, umask: undefined, limits: {}, log: undefined }
    : app;
  const isOwnUser = supervised && !harden;
  const user = options.user ?? app.user;
  return {
    name,
    scope,
    description: `${name} (${app.program})`,
    command: commandOf(app, config, self, options),
    supervised,
    cwd: app.cwd,
    env: left.env,
    envFile: left.envFile,
    user: isOwnUser ? undefined : user,
    group: isOwnUser ? undefined : app.group,
    umask: left.umask,
    limits: left.limits,
    log: left.log,
    logger: supervised ? undefined : loggerOf(app, self),
    ready: app.ready,
    timeout: app.timeout,
    reload: [...self, 'reload', '--control'],
    control: scope === 'system' ? `/run/${name}/control.sock` : controlFor(name),
    stop: stopFacts(app.stop),
    harden,
    sockets: options.socket,
    health: options.health,
    image: options.image,
    memory: options.memory,
    cpu: options.cpu,
    project: config === undefined ? process.cwd() : dirname(config),
    self,
    app: { ...app, user },
  };
}

/** The program itself; or, if the command is to be its supervisor, that. */
function commandOf(
  app: App,
  config: string | undefined,
  self: readonly string[],
  { user }: Options,
): string[] {
  if (isSupervised(app)) {
    const as = user === undefined ? [] : ['--user', user];
    return [...self, 'start', '--foreground', ...as, '--config', config!, app.name];
  }
  const { path, argv } = findProgram(app.program, app.args, app.cwd);
  return [isAbsolute(path) ? path : resolve(app.cwd, path), ...argv.slice(1)];
}

/** What captures a log as the app says: this command, in front of cat(1). */
function loggerOf(app: App, self: readonly string[]): string[] | undefined {
  const given = CAPTURE.filter((key) => app[key] !== undefined);
  const elsewhere = isMessageLog(app.log);
  if (given.length === 0 && !elsewhere) return undefined;
  if (app.log === undefined) {
    throw new Error(`${app.name} has ${given.join(', ')} and no log: say where that is to be`);
  }
  const options = given.flatMap((key) => [optionOf(key), textOf(key, app[key]!)]);
  return [
    ...self,
    'start',
    '--foreground',
    '--name',
    elsewhere ? app.name : `${app.name}-log`,
    '--log',
    app.log,
    ...options,
    '--',
    'cat',
  ];
}

/** As the command line has them: times in seconds, sizes with a unit. */
function textOf(key: (typeof CAPTURE)[number], value: string | number): string {
  if (key === 'logMaxAge') return String(Number(value) / 1000);
  return key === 'logMaxSize' ? `${Number(value) / 1000}kB` : String(value);
}
