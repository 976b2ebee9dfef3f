// doublefork start [options] -- program args... | doublefork start [options] [name]

import { spawnSync } from 'node:child_process';
import { type Command, InvalidArgumentError, Option } from 'commander';
import { ConfigError, checkApp, checkKeys } from '../config/app.js';
import { readConfig } from '../config/file.js';
import type { App } from '../control/app.js';
import { startApp } from '../control/start.js';

/** What the command line says of the app; the same keys as in a config file. */
type Given = Partial<Record<keyof App, unknown>>;

interface Options extends Given {
  config?: string;
  all?: boolean;
  json?: boolean;
}

export function declare(command: Command): void {
  command
    .usage('[options] -- program [args...]\n       doublefork start [options] [name]')
    .argument(
      '[words...]',
      'a program with its arguments behind --, or the name of an app in the config file',
    )
    .option('--name <name>', 'call it so; default: what the program is called')
    .option('--pidfile <file>', 'default: NAME.pid in the folder for state')
    .option('--log <file>', 'what it prints goes here; default: NAME.log in the folder for logs')
    .option('--cwd <folder>', 'run it there; default: here')
    .option('--umask <mask>', 'permissions that new files do not get, in octal; default: 027')
    .option('--env <name=value>', 'set a variable of its environment; can be repeated', collect)
    .addOption(
      new Option(
        '--ready <how>',
        'wait until it says so: by sd_notify, or a newline on descriptor 3',
      ).choices(['none', 'notify', 'fd']),
    )
    .option('--timeout <seconds>', 'how long it may take to become ready; default: 60')
    .option('--settle <seconds>', 'look so long whether it dies; default: until it first sleeps')
    .option('--stop <schedule>', 'how to stop it later; default: TERM/10/KILL/5')
    .option('--config <file>', 'read this in place of doublefork.config.*')
    .option('--all', 'start every app of the config file')
    .option('--json', 'say in JSON what was started')
    .action(start);
}

/** `--env A=1 --env B=2` */
function collect(text: string, before: Record<string, string> = {}): Record<string, string> {
  const at = text.indexOf('=');
  if (at < 1) throw new InvalidArgumentError('It must be NAME=VALUE.');
  return { ...before, [text.slice(0, at)]: text.slice(at + 1) };
}

async function start(words: string[], options: Options, command: Command): Promise<void> {
  const { config, all = false, json = false, ...given } = options;
  const dashes = process.argv.indexOf('--');
  if (dashes >= 0) {
    const [program, ...args] = process.argv.slice(dashes + 1);
    if (words.length > args.length + 1) command.error('a name and a program: give one of them');
    if (program === undefined) command.error('no program behind the --');
    begin(fromCommandLine({ ...given, program, args }), json);
  }
  const apps = await configured(words, config, all);
  if (apps.length === 1) begin({ ...apps[0]!, ...checkOptions(given) }, json);
  // Each start takes a process of its own: it becomes the launcher.
  const flags = process.argv.slice(3).filter((word) => word !== '--all' && !words.includes(word));
  for (const { name } of apps) {
    const self = [...process.execArgv, process.argv[1]!, 'start', ...flags, name];
    const { status } = spawnSync(process.execPath, self, { stdio: 'inherit' });
    if (status !== 0) process.exitCode = status ?? 1;
  }
}

/** The apps of the config file that are meant. @throws if that is not clear */
async function configured(words: string[], file: string | undefined, all: boolean): Promise<App[]> {
  const config = await readConfig(process.cwd(), file);
  if (config === undefined) {
    throw new Error(
      'there is no config file here; to start a program: doublefork start -- program args...',
    );
  }
  if (all) return config.apps;
  if (words.length === 0 && config.apps.length > 1) {
    const names = config.apps.map(({ name }) => name).join(', ');
    throw new Error(`which one of ${names}? Name it, or start them by --all`);
  }
  if (words.length === 0) return config.apps;
  return words.map((word) => {
    const app = config.apps.find(({ name }) => name === word);
    if (app !== undefined) return app;
    const names = config.apps.map(({ name }) => name).join(', ');
    throw new Error(`${config.file} has no app "${word}"; it has ${names}`);
  });
}

function fromCommandLine(given: Given): App {
  try {
    return checkApp(given, process.cwd());
  } catch (error) {
    throw asOption(error);
  }
}

function checkOptions(given: Given): Partial<App> {
  try {
    return checkKeys(given);
  } catch (error) {
    throw asOption(error);
  }
}

/** "umask must be" of a config file is "--umask must be" here. */
function asOption(error: unknown): unknown {
  if (!(error instanceof ConfigError) || error.path.length === 0) return error;
  return new Error(`--${error.path[0]} ${error.message}`);
}

/** Starts it, and says so. */
export function begin(app: App, json: boolean): never {
  const { name } = app;
  return startApp(app, (pid) =>
    json ? `${JSON.stringify({ name, pid })}\n` : `${name} runs with pid ${pid}\n`,
  );
}
