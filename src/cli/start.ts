// doublefork start [options] -- program args... | doublefork start [options] [names...]

import { type Command, InvalidArgumentError, Option } from 'commander';
import { spawnSync } from '../builtin/child_process.js';
import { constants } from '../builtin/os.js';
import { checkApp, checkKeys } from '../config/app.js';
import { readConfig } from '../config/file.js';
import { ConfigError } from '../config/value.js';
import type { App } from '../control/app.js';
import { startApp } from '../control/start.js';
import { fork, forkSupport } from '../posix/fork.js';
import { pidfdOpen } from '../posix/pidfd.js';
import { kill, waitpid } from '../posix/process.js';
import { readable } from '../posix/watch.js';

/** What the command line says of the app; the same keys as in a config file. */
type Given = Partial<Record<keyof App, unknown>>;

interface Options extends Given {
  limit?: Record<string, string>;
  config?: string;
  all?: boolean;
  json?: boolean;
}

export function declare(command: Command): void {
  command
    .usage('[options] -- program [args...]\n       doublefork start [options] [names...]')
    .argument(
      '[words...]',
      'a program with its arguments behind --, or names of apps in the config file',
    )
    .option('--name <name>', 'call it so; default: what the program is called')
    .option('--pidfile <file>', 'default: NAME.pid in the folder for state')
    .option('--log <file>', 'what it prints goes here; default: NAME.log in the folder for logs')
    .option('--cwd <folder>', 'run it there; default: here')
    .option('--umask <mask>', 'permissions that new files do not get, in octal; default: 027')
    .option('--env <name=value>', 'set a variable of its environment; can be repeated', collect)
    .option('--user <user>', 'run it as this user, with its group and groups')
    .option('--group <group>', 'run it as this group')
    .option(
      '--limit <name=value>',
      'set a limit, such as nofile=4096 or core=0:infinity; can be repeated',
      collect,
    )
    .addOption(
      new Option(
        '--ready <how>',
        'wait until it says so: by sd_notify, or a newline on descriptor 3',
      ).choices(['none', 'notify', 'fd']),
    )
    .option('--timeout <seconds>', 'how long it may take to become ready; default: 60')
    .option('--settle <seconds>', 'it must live so long to count as started; default: 1')
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
  const { config, all = false, json = false, limit, ...rest } = options;
  const given: Given = limit === undefined ? rest : { ...rest, limits: limit };
  const dashes = process.argv.indexOf('--');
  if (dashes >= 0) {
    const [program, ...args] = process.argv.slice(dashes + 1);
    if (words.length > args.length + 1)
      command.error('error: a name and a program: give one of them');
    if (program === undefined) command.error('error: no program behind the --');
    return await begin(fromCommandLine({ ...given, program, args }, command), json);
  }
  const apps = await configured(words, config, all);
  if (apps.length === 1) return await begin({ ...apps[0]!, ...checkOptions(given, command) }, json);
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
  if (config.apps.length === 0) throw new Error(`${config.file} has no apps`);
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

function fromCommandLine(given: Given, command: Command): App {
  try {
    return checkApp(given, process.cwd());
  } catch (error) {
    throw asOption(error, command);
  }
}

function checkOptions(given: Given, command: Command): Partial<App> {
  try {
    return checkKeys(given);
  } catch (error) {
    throw asOption(error, command);
  }
}

/** "umask must be" of a config file is "--umask must be" here, and "limits.core" is "--limit core". */
function asOption(error: unknown, command: Command): unknown {
  if (!(error instanceof ConfigError) || error.path.length === 0) return error;
  const [key, ...rest] = error.path;
  const option = [key === 'limits' ? '--limit' : `--${key}`, ...rest].join(' ');
  return command.error(`error: ${error.about(option)}`);
}

/** A wait of that length needs no word. In ms. */
const SILENT_MS = 2000;

/** Starts it, and says so. Comes back only in the daemon, or to show the progress of a long start. */
export async function begin(app: App, json: boolean): Promise<void> {
  const { name } = app;
  const waits = app.ready !== 'none' || app.settle > SILENT_MS;
  if (waits && (await isWaitedFor(app))) return;
  await startApp(app, (pid) =>
    json ? `${JSON.stringify({ name, pid })}\n` : `${name} runs with pid ${pid}\n`,
  );
}

/**
 * A launcher only waits. So on a terminal another process is forked to be that, while this one shows
 * how time goes by; elsewhere a line must do.
 * @returns true in the process that has waited
 */
async function isWaitedFor({ name, timeout, settle, ready }: App): Promise<boolean> {
  // Loaded only now: a start that does not wait is to be fast.
  const { Progress } = await import('./progress.js');
  const [text, time] =
    ready === 'none'
      ? [`looking whether ${name} stays up`, `for ${settle / 1000} s`]
      : [`waiting for ${name} to be ready`, `at most ${timeout / 1000} s`];
  if (!process.stderr.isTTY || !forkSupport().supported) {
    process.stderr.write(`${text}, ${time}\n`);
    return false;
  }
  const launcher = fork();
  if (launcher === 0) return false;
  // Those of the terminal reach the launcher as well; it ends what it has started.
  process.on('SIGINT', () => {});
  process.on('SIGTERM', () => kill(launcher, 'SIGTERM'));
  using _ = new Progress(text);
  await readable(pidfdOpen(launcher));
  const { exitCode, signal } = waitpid(launcher);
  process.exitCode = signal === null ? exitCode! : 128 + constants.signals[signal];
  return true;
}
