// doublefork start [options] -- program args... | doublefork start [options] [names...]

import { type Command, InvalidArgumentError, Option } from 'commander';
import { spawnSync } from '../builtin/child_process.js';
import { readSync } from '../builtin/fs.js';
import { constants } from '../builtin/os.js';
import { checkApp, checkKeys } from '../config/app.js';
import { type Config, readConfig } from '../config/file.js';
import { ConfigError } from '../config/value.js';
import type { App } from '../control/app.js';
import { checkName, noteEnd, readRecord } from '../control/record.js';
import { startApp } from '../control/start.js';
import { close, dup2, pipe, setNonBlocking } from '../posix/descriptor.js';
import { fork, forkSupport } from '../posix/fork.js';
import { pidfdOpen } from '../posix/pidfd.js';
import { kill, waitpid } from '../posix/process.js';
import { readable } from '../posix/watch.js';
import { complain } from './output.js';

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
    .usage('[options] -- program [args...]\n       doublefork start [options] [file.js | names...]')
    .argument(
      '[words...]',
      'a program with its arguments behind --, or names of apps in the config file or of daemons that have stopped',
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
  if (!all && words.length > 0 && isProgram(words[0]!)) {
    const [program, ...args] = words;
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

/** `start server.js` can only be meant so: a slash and these endings make no good name. */
const isProgram = (word: string): boolean => /\/|\.[cm]?[jt]s$/.test(word);

/** The apps that are meant: of the config file, or as they were started before. @throws if that is not clear */
async function configured(words: string[], file: string | undefined, all: boolean): Promise<App[]> {
  const config = await readConfig(process.cwd(), file);
  if (words.length > 0 && !all) return words.map((word) => named(word, config));
  if (config === undefined) {
    throw new Error(
      'there is no config file here; to start a program: doublefork start -- program args...',
    );
  }
  if (config.apps.length === 0) throw new Error(`${config.file} has no apps`);
  if (all || config.apps.length === 1) return config.apps;
  const names = config.apps.map(({ name }) => name).join(', ');
  throw new Error(`which one of ${names}? Name it, or start them by --all`);
}

function named(name: string, config: Config | undefined): App {
  const app = config?.apps.find((each) => each.name === name) ?? readRecord(checkName(name))?.app;
  if (app !== undefined) return app;
  const names = config?.apps.map((each) => each.name).join(', ');
  const where =
    config === undefined
      ? 'none was started under that name, and there is no config file here'
      : `none was started under that name, and ${config.file} has ${names || 'no apps'}`;
  throw new Error(
    `no daemon is known as ${name}: ${where}; to start a program: doublefork start -- ${name}`,
  );
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

/**
 * Starts it, and says so. A launcher only waits, and its process ends with the start. So where there
 * is a fork another process is that, while this one shows how time goes by, and notes how a start has
 * failed. Comes back there, and never in the launcher.
 */
export async function begin(app: App, json: boolean): Promise<void> {
  const { name } = app;
  const say = (pid: number) =>
    json ? `${JSON.stringify({ name, pid })}\n` : `${name} runs with pid ${pid}\n`;
  const wait = waitOf(app);
  if (!forkSupport().supported) {
    if (wait !== undefined && !json) process.stderr.write(`${wait.join(', ')}\n`);
    return await startApp(app, say);
  }
  const since = Date.now();
  const starter = process.ppid;
  const [read, write] = pipe();
  const launcher = fork({ recordLocks: 'lose' });
  if (launcher === 0) {
    dup2(write, STDERR);
    close(write);
    close(read);
    return await startApp(app, say, starter);
  }
  close(write);
  await waitFor(launcher, json ? undefined : wait);
  const said = lastWords(read);
  const { exitCode, signal } = waitpid(launcher);
  process.exitCode = signal === null ? exitCode! : 128 + constants.signals[signal];
  if (process.exitCode === 0) return void process.stderr.write(said);
  noteEnd(name, since, said.split('\n')[0]!.replace(/^doublefork: /, ''));
  // What was thrown is in JSON already.
  if (json && !said.startsWith('{'))
    complain(
      Object.assign(new Error(said.replace(/^doublefork: /, '')), { code: 'ERR_START_FAILED' }),
    );
  else process.stderr.write(said);
}

const STDERR = 2;

/** What is waited for, if it may take long; undefined: it does not. */
function waitOf({ name, timeout, settle, ready }: App): [what: string, time: string] | undefined {
  if (ready !== 'none') return [`waiting for ${name} to be ready`, `at most ${timeout / 1000} s`];
  if (settle <= SILENT_MS) return undefined;
  return [`looking whether ${name} stays up`, `for ${settle / 1000} s`];
}

async function waitFor(launcher: number, wait: string[] | undefined): Promise<void> {
  // Those of a terminal reach the launcher as well; it ends what it has started.
  process.on('SIGINT', () => process.stdin.isTTY || kill(launcher, 'SIGINT'));
  process.on('SIGTERM', () => kill(launcher, 'SIGTERM'));
  // Loaded only now: a start that does not wait is to be fast.
  const progress =
    wait === undefined ? undefined : new (await import('./progress.js')).Progress(wait[0]!);
  if (wait !== undefined && !process.stderr.isTTY) process.stderr.write(`${wait.join(', ')}\n`);
  await readable(pidfdOpen(launcher));
  progress?.[Symbol.dispose]();
}

/** What the launcher has said, that has ended. It fits into a pipe. */
function lastWords(fd: number): string {
  setNonBlocking(fd, true);
  try {
    const buffer = Buffer.alloc(65_536);
    return buffer.toString('utf8', 0, readSync(fd, buffer));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') throw error;
    return '';
  } finally {
    close(fd);
  }
}
