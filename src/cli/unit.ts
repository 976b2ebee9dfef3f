// doublefork unit <name>: the units with which systemd runs an app.

import { type Command, InvalidArgumentError, Option } from 'commander';
import { spawnSync } from '../builtin/child_process.js';
import { existsSync, readFileSync, realpathSync, rmSync, writeFileSync } from '../builtin/fs.js';
import { isAbsolute, join, resolve } from '../builtin/path.js';
import { type App, isSupervised } from '../control/app.js';
import { findProgram } from '../control/program.js';
import { print, printJson, write } from './output.js';
import { configHere, STRANGER, subjects } from './targets.js';
import {
  SERVICE_TYPES,
  type ServiceType,
  serviceUnit,
  signature,
  socketUnit,
  type UnitFacts,
} from './unit-systemd.js';

interface Options {
  config?: string;
  type?: ServiceType;
  user?: string;
  harden?: boolean;
  socket: string[];
  directory: string;
  install?: boolean;
  uninstall?: boolean;
  dryRun?: boolean;
  json?: boolean;
}

/** A file to be written. */
interface UnitFile {
  file: string;
  text: string;
}

export function declare(command: Command): void {
  command
    .argument('<name>', 'an app of the config file, or a daemon that was started here')
    .option('--config <file>', 'read this in place of doublefork.config.*')
    .addOption(
      new Option(
        '--type <type>',
        'how systemd learns that it serves; notify unless the app has no way to say so',
      ).choices(SERVICE_TYPES),
    )
    .option('--user <user>', 'the user it runs as; default: that of the app')
    .option('--harden', 'take from it what a program in Node does not need')
    .option(
      '--socket <address>',
      'have systemd listen on a port, address or path; can be repeated',
      collect,
      [],
    )
    .option('--directory <directory>', 'where the units are', '/etc/systemd/system')
    .option('--install', 'write them, and have systemd start it now and at boot')
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

async function unit(name: string, options: Options, command: Command): Promise<void> {
  const { install = false, uninstall = false, dryRun = false, json = false } = options;
  if (Number(install) + Number(uninstall) + Number(dryRun) > 1) {
    command.error('error: --install, --uninstall, --dry-run: give one of them');
  }
  if (uninstall) return done(remove(name, options.directory), json);
  const files = filesFor(await factsOf(name, options));
  if (install) return done(put(name, files, options.directory), json);
  if (json) return printJson(files);
  write(files.map(({ file, text }) => `# ${file}\n${text}`).join('\n'));
}

function done(steps: readonly string[], json: boolean): void {
  if (json) printJson(steps);
  else print(steps.join('\n'));
}

async function factsOf(name: string, options: Options): Promise<UnitFacts> {
  const [subject] = await subjects(
    [name],
    options.config === undefined ? {} : { config: options.config },
  );
  const app = subject?.app;
  if (app === undefined) throw new Error(`no daemon is known as ${name}: ${STRANGER}`);
  const self = [process.execPath, realpathSync(process.argv[1]!)];
  return {
    name,
    description: `${name} (${app.program})`,
    command: await commandOf(app, self, options),
    cwd: app.cwd,
    env: app.env,
    envFile: app.envFile,
    user: options.user ?? app.user,
    group: app.group,
    umask: app.umask,
    limits: app.limits,
    log: app.log,
    type: options.type ?? (app.ready === 'notify' || isSupervised(app) ? 'notify' : 'exec'),
    reload: [...self, 'reload', '--control'],
    stopTimeout: stopTimeoutOf(app),
    harden: options.harden === true,
    sockets: options.socket,
  };
}

/** The program itself; or, if the command is to be its supervisor, that. */
async function commandOf(app: App, self: readonly string[], options: Options): Promise<string[]> {
  if (isSupervised(app)) {
    const file = (await configHere(options.config))?.file;
    const config = file === undefined ? [] : ['--config', resolve(file)];
    return [...self, 'start', '--foreground', ...config, app.name];
  }
  const { path, argv } = findProgram(app.program, app.args, app.cwd);
  return [isAbsolute(path) ? path : resolve(app.cwd, path), ...argv.slice(1)];
}

/** TERM/30/KILL/5: 35 s. */
function stopTimeoutOf({ stop }: App): number | 'infinity' {
  const parts = stop.split('/');
  if (parts.includes('forever')) return 'infinity';
  return parts.reduce((sum, part) => sum + (Number(part) || 0), 0);
}

function filesFor(facts: UnitFacts): UnitFile[] {
  const service = { file: `${facts.name}.service`, text: serviceUnit(facts) };
  if (facts.sockets.length === 0) return [service];
  return [service, { file: `${facts.name}.socket`, text: socketUnit(facts) }];
}

/** @throws EEXIST for a file that is somebody else's; what systemd finds wrong with the units. Nothing has changed then */
function put(name: string, files: readonly UnitFile[], directory: string): string[] {
  const before = files.map(({ file }) => ({
    path: join(directory, file),
    text: ownText(name, join(directory, file)),
  }));
  const paths = before.map(({ path }) => path);
  for (const { file, text } of files) writeFileSync(join(directory, file), text, { mode: 0o644 });
  try {
    // It succeeds with what it does not know.
    const { stderr } = ask('systemd-analyze', ['verify', ...paths]);
    const about = stderr
      .split('\n')
      .filter(
        (line) =>
          paths.some((path) => line.startsWith(path)) ||
          files.some(({ file }) => line.startsWith(`${file}:`)),
      );
    if (about.length > 0) throw new Error(`systemd does not take the units: ${about.join('; ')}`);
    systemctl('daemon-reload');
    systemctl('enable', '--now', ...files.map(({ file }) => file).reverse());
  } catch (error) {
    for (const { path, text } of before) {
      if (text === undefined) rmSync(path, { force: true });
      else writeFileSync(path, text);
    }
    throw error;
  }
  const names = files.map(({ file }) => file).join(' and ');
  return [...paths.map((path) => `wrote ${path}`), `started ${names}, now and at boot`];
}

function remove(name: string, directory: string): string[] {
  const found = [`${name}.socket`, `${name}.service`].filter(
    (file) => ownText(name, join(directory, file)) !== undefined,
  );
  if (found.length === 0) return [`there is no unit of ${name} in ${directory}`];
  systemctl('disable', '--now', ...found);
  for (const file of found) rmSync(join(directory, file));
  systemctl('daemon-reload');
  return [
    `stopped ${found.join(' and ')}`,
    ...found.map((file) => `removed ${join(directory, file)}`),
  ];
}

/** @returns undefined: there is no such file @throws EEXIST */
function ownText(name: string, path: string): string | undefined {
  if (!existsSync(path)) return undefined;
  const text = readFileSync(path, 'utf8');
  if (text.startsWith(signature(name))) return text;
  const why = `${path} was not made by this command, and is left alone; remove it, or give --directory`;
  throw Object.assign(new Error(why), { code: 'EEXIST', path });
}

function ask(program: string, args: readonly string[]): { status: number | null; stderr: string } {
  const { status, stderr, error } = spawnSync(program, args, {
    encoding: 'utf8',
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  if (error !== undefined)
    throw new Error(`cannot run ${program}: ${error.message}`, { cause: error });
  return { status, stderr };
}

function systemctl(...args: string[]): void {
  const { status, stderr } = ask('systemctl', args);
  if (status !== 0) throw new Error(`systemctl ${args.join(' ')} failed: ${stderr.trim()}`);
}
