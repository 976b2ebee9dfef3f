// doublefork start [options] -- program args... | doublefork start [options] [names...]

import { type Command, InvalidArgumentError, Option } from 'commander';
import { spawnSync } from '../builtin/child_process.js';
import { readSync } from '../builtin/fs.js';
import { constants } from '../builtin/os.js';
import { isAbsolute } from '../builtin/path.js';
import { checkApp, checkGiven } from '../config/app.js';
import type { Config } from '../config/file.js';
import { KEYS, type Key, optionOf } from '../config/keys.js';
import { startOrder } from '../config/order.js';
import { ConfigError } from '../config/value.js';
import type { App } from '../control/app.js';
import { logFor } from '../control/folders.js';
import type { Origin } from '../control/prepare.js';
import { checkName, noteEnd, readRecord } from '../control/record.js';
import { lengthOf, runInForeground, startApp, written } from '../control/start.js';
import { stopDaemon } from '../control/stop.js';
import { daemonStatus } from '../control/target.js';
import type { Turn } from '../control/turn.js';
import { workingDirectory } from '../control/working-directory.js';
import { isReplaying } from '../image/replay.js';
import { close, dup2, pipe, setNonBlocking } from '../posix/descriptor.js';
import { fork, forkSupport } from '../posix/fork.js';
import { pidfdOpen } from '../posix/pidfd.js';
import { kill, waitpid } from '../posix/process.js';
import { readable } from '../posix/watch.js';
import { EXIT } from './exit.js';
import { complain, print, write } from './output.js';
import { asBefore } from './restart-as.js';
import { readSaved, type SavedDaemon } from './saved.js';
import { firstEnd, firstEndBefore, superviseFor } from './supervised.js';
import { configHere, takeTurn } from './targets.js';

/** What the command line says of the app; the same keys as in a config file. */
type Given = Partial<Record<keyof App, unknown>>;

interface Options extends Given {
  config?: string;
  all?: boolean;
  foreground?: boolean;
  saved?: boolean;
  json?: boolean;
}

export function declare(command: Command): void {
  command
    .usage('[options] -- program [args...]\n       doublefork start [options] [file.js | names...]')
    .argument(
      '[words...]',
      'a program with its arguments behind --, or names of apps in the config file or of daemons that have stopped',
    );
  for (const key of Object.keys(KEYS) as (keyof App)[]) {
    const option = ofKey(key);
    if (option !== undefined) command.addOption(option);
  }
  command
    .option('--config <file>', 'read this in place of doublefork.config.*')
    .option('--foreground', 'stay in the foreground, as a supervisor of it: for containers, runit')
    .option('--all', 'start every app of the config file')
    .option('--saved', 'start what doublefork save has noted, unless it runs')
    .option('--json', 'say in JSON what was started')
    .action(start);
}

/** The option for a key of the config file, if there is one. */
function ofKey(key: keyof App): Option | undefined {
  const { value, summary, choices, repeated }: Key<unknown> = KEYS[key];
  if (value === undefined) return undefined;
  const option = new Option(`${optionOf(key)} ${value}`, summary);
  if (choices !== undefined) option.choices(choices);
  if (repeated !== undefined) option.argParser(collect);
  return option;
}

/** What the options say, by the keys of the config file. */
function givenBy(options: Options): Given {
  const said = (Object.keys(KEYS) as (keyof App)[]).flatMap((key) => {
    const option = ofKey(key)?.attributeName();
    const value = option === undefined ? undefined : Reflect.get(options, option);
    return value === undefined ? [] : [[key, value]];
  });
  return Object.fromEntries(said);
}

/** `--env A=1 --env B=2` */
function collect(text: string, before: Record<string, string> = {}): Record<string, string> {
  const at = text.indexOf('=');
  if (at < 1) throw new InvalidArgumentError('It must be NAME=VALUE.');
  return { ...before, [text.slice(0, at)]: text.slice(at + 1) };
}

async function start(words: string[], options: Options, command: Command): Promise<void> {
  const { config, all = false, json = false, foreground = false, saved = false } = options;
  if (saved) return await startSaved(words, json);
  const given = givenBy(options);
  const run = (app: App, origin?: Origin) => (foreground ? stay(app) : begin(app, json, origin));
  const dashes = process.argv.indexOf('--');
  if (dashes >= 0) {
    const [program, ...args] = process.argv.slice(dashes + 1);
    if (words.length > args.length + 1)
      command.error('error: a name and a program: give one of them');
    if (program === undefined) command.error('error: no program behind the --');
    return await run(fromCommandLine({ ...given, program, args }, command));
  }
  if (!all && words.length > 0 && isProgram(words[0]!)) {
    const [program, ...args] = words;
    return await run(fromCommandLine({ ...given, program, args }, command));
  }
  const { namespace } = options;
  const read = await configHere(config);
  const chosen = (
    await choose(words, read, all || (words.length === 0 && namespace !== undefined))
  ).filter(({ app }) => words.length > 0 || namespace === undefined || app.namespace === namespace);
  const apps = chosen.map(({ app }) => app);
  const order = startOrder(apps, read?.apps ?? []);
  // The config file was checked; an app that was started before may be of another one.
  const sorted = Array.isArray(order) ? order : apps;
  const todo = sorted.filter((app) => apps.includes(app) || !isRunning(app));
  if (todo.length === 0) throw new Error(`no app is in the namespace ${namespace}`);
  if (todo.length > 1) {
    if (foreground) throw new Error('one program at a time can be in the foreground; name one');
    return startEach(todo, words);
  }
  const { app, origin } = chosen[0]!;
  await run({ ...app, ...checkOptions(given, command) }, origin);
}

const isRunning = ({ name }: App): boolean => daemonStatus({ name }).status === 'running';

/** As they were when they were saved. One that cannot be started does not keep the others from it. */
async function startSaved(words: readonly string[], json: boolean): Promise<void> {
  const list = readSaved();
  if (list === undefined)
    throw new Error(`nothing was saved; to have what runs now saved: doublefork save`);
  const stranger = words.find((word) => !list.some(({ name }) => name === word));
  if (stranger !== undefined) throw new Error(`${stranger} is not among what was saved`);
  const wanted = list.filter(({ name }) => words.length === 0 || words.includes(name));
  const todo = wanted.filter(({ app }) => !isRunning(app));
  if (!json)
    for (const each of wanted) if (!todo.includes(each)) print(`${each.name} is already running`);
  if (todo.length === 1) {
    const [{ name, app, config, environment }] = todo as [SavedDaemon];
    const again = await asBefore(name, { app, config }, { environment: environment ?? {} });
    return await begin(again.app, json, again.origin);
  }
  const isHere = (name: string) => todo.some((each) => each.name === name);
  const apps: App[] = todo.map(({ app }) => ({ ...app, dependsOn: app.dependsOn?.filter(isHere) }));
  const order = startOrder(apps, apps);
  startEach(Array.isArray(order) ? order.filter((app) => apps.includes(app)) : apps, words);
}

/** Each start takes a process of its own: it becomes the launcher. */
function startEach(apps: readonly App[], words: readonly string[]): void {
  const flags = process.argv.slice(3).filter((word) => word !== '--all' && !words.includes(word));
  const failed = new Set<string>();
  for (const { name, dependsOn = [] } of apps) {
    const missing = dependsOn.find((other) => failed.has(other));
    if (missing !== undefined) {
      complain(`${name} was not started: ${missing}, on which it depends, could not be`);
      failed.add(name);
      continue;
    }
    const self = [...process.execArgv, process.argv[1]!, 'start', ...flags, name];
    const { status } = spawnSync(process.execPath, self, { stdio: 'inherit' });
    if (status === 0) continue;
    process.exitCode = status ?? 1;
    // One that was running before has said so.
    if (daemonStatus({ name }).status !== 'running') failed.add(name);
  }
}

/** `start server.js` can only be meant so: a slash and these endings make no good name. */
const isProgram = (word: string): boolean => /\/|\.[cm]?[jt]s$/.test(word);

interface Chosen {
  app: App;
  origin: Origin;
}

/** The apps that are meant: of the config file, or as they were started before. @throws if that is not clear */
async function choose(
  words: string[],
  config: Config | undefined,
  all: boolean,
): Promise<Chosen[]> {
  if (words.length > 0 && !all) return await Promise.all(words.map((word) => named(word, config)));
  if (config === undefined) {
    throw new Error(
      'there is no config file here; to start a program: doublefork start -- program args...',
    );
  }
  if (config.apps.length === 0) throw new Error(`${config.file} has no apps`);
  if (all || config.apps.length === 1) {
    return config.apps.map((app) => ({ app, origin: { config: config.file } }));
  }
  const names = config.apps.map(({ name }) => name).join(', ');
  throw new Error(`which one of ${names}? Name it, or start them by --all`);
}

async function named(name: string, config: Config | undefined): Promise<Chosen> {
  const app = config?.apps.find((each) => each.name === name);
  if (app !== undefined) return { app, origin: { config: config!.file } };
  const record = readRecord(checkName(name));
  if (record !== undefined) return await asBefore(name, record, {});
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
  // Where that was removed, relative paths begin at --cwd.
  const base = workingDirectory() ?? given.cwd;
  if (typeof base !== 'string' || !isAbsolute(base)) {
    throw new Error('the working directory was removed; say by --cwd where the program is to run');
  }
  try {
    return checkApp(given, base);
  } catch (error) {
    throw asOption(error, command);
  }
}

function checkOptions(given: Given, command: Command): Partial<App> {
  try {
    // Where that was removed, only absolute paths mean something.
    return checkGiven(given, workingDirectory());
  } catch (error) {
    throw asOption(error, command);
  }
}

/** "umask must be" of a config file is "--umask must be" here, and "limits.core" is "--limit core". */
function asOption(error: unknown, command: Command): unknown {
  if (!(error instanceof ConfigError) || error.path.length === 0) return error;
  const [key, ...rest] = error.path;
  const option = [Object.hasOwn(KEYS, key!) ? optionOf(key as keyof App) : key, ...rest].join(' ');
  return command.error(`error: ${error.about(option)}`);
}

/** A wait of that length needs no word. In ms. */
const SILENT_MS = 2000;

/**
 * Starts it, and says so. A launcher only waits, and its process ends with the start. So where there
 * is a fork another process is that, while this one shows how time goes by, and notes how a start has
 * failed. Comes back there, and never in the launcher.
 */
export async function begin(app: App, json: boolean, origin?: Origin, given?: Turn): Promise<void> {
  const { name } = app;
  // Under the exec engine the program, this one, runs twice.
  const turn = given ?? (isReplaying() ? undefined : takeTurn(name));
  const say = (pid: number) =>
    json ? `${JSON.stringify({ name, pid })}\n` : `${name} runs with pid ${pid}\n`;
  const wait = waitOf(app);
  if (!forkSupport().supported) {
    if (wait !== undefined && !json) process.stderr.write(`${wait.join(', ')}\n`);
    const supervise = await superviseFor(app, false);
    return await startApp(app, say, origin, { supervise, turn });
  }
  const supervise = await superviseFor(app, false);
  const since: Since = { time: Date.now(), log: lengthOf(logFor(app)) };
  const starter = process.ppid;
  const [out, into] = pipe();
  const launcher = fork({ recordLocks: 'lose' });
  if (launcher === 0) {
    dup2(into, STDERR);
    close(into);
    close(out);
    return await startApp(app, say, origin, { starter, supervise, turn });
  }
  close(into);
  let isOver = false;
  const waiting = waitFor(launcher, json ? undefined : wait).then(() => {
    isOver = true;
  });
  const isAwaited = supervise !== undefined && app.ready !== 'none';
  const ended = isAwaited ? await firstEndBefore(app, () => isOver) : undefined;
  // It would be started again and again, while somebody waits for it.
  if (ended !== undefined && !isOver) await stopDaemon({ name }, { schedule: app.stop });
  await waiting;
  const said = lastWords(out);
  const { exitCode, signal } = waitpid(launcher);
  process.exitCode = signal === null ? exitCode! : 128 + constants.signals[signal];
  if (process.exitCode === 0) {
    process.stderr.write(said);
    if (isAwaited) write(say(readRecord(name)!.pid));
    // A supervisor is ready at once. Whether its program is must be seen.
    else if (supervise !== undefined) await settled(app, since, say);
    return;
  }
  if (ended !== undefined) return failed(app, since, `the program ${ended} before it was ready`);
  noteEnd(name, since.time, said.split('\n')[0]!.replace(/^doublefork: /, ''));
  // What was thrown is in JSON already.
  if (json && !said.startsWith('{'))
    complain(
      Object.assign(new Error(said.replace(/^doublefork: /, '')), { code: 'ERR_START_FAILED' }),
    );
  else process.stderr.write(said);
}

/** When a start has begun, and how long its log was then. */
interface Since {
  time: number;
  log: number;
}

async function settled(app: App, since: Since, say: (pid: number) => string): Promise<void> {
  const { name } = app;
  const ended = await firstEnd(app);
  const pid = readRecord(name)?.pid;
  if (ended === undefined && pid !== undefined) return write(say(pid));
  await stopDaemon({ name }, { schedule: app.stop });
  failed(app, since, `the program ${ended}`);
}

function failed(app: App, since: Since, how: string): void {
  const { name } = app;
  noteEnd(name, since.time, how);
  const said = written(logFor(app), since.log);
  const why = `${name} was not started: ${how}; see doublefork logs ${name}${said}`;
  complain(Object.assign(new Error(why), { code: 'ERR_START_FAILED' }));
  process.exitCode = EXIT.failed;
}

/** The same process stays: a supervisor, which ends with its program. */
async function stay(app: App): Promise<void> {
  const supervise = await superviseFor(app, true);
  runInForeground(app, supervise!);
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
