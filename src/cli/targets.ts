// Which daemons a command is about: names, or a pidfile.

import type { Command } from 'commander';
import { existsSync } from '../builtin/fs.js';
import { isAbsolute } from '../builtin/path.js';
import { type Config, readConfig } from '../config/file.js';
import type { App } from '../control/app.js';
import { pidfileFor } from '../control/folders.js';
import { checkName, readRecord, recordedNames } from '../control/record.js';
import { pidfileOf, type Target } from '../control/target.js';
import { Turn } from '../control/turn.js';
import { workingDirectory } from '../control/working-directory.js';

/** The options that every such command has. */
export interface TargetOptions {
  pidfile?: string;
  config?: string;
  namespace?: string;
  all?: boolean;
}

/** A daemon that a command is about. */
export interface Subject {
  /** For people: its name, or its pidfile. */
  label: string;
  target: Target;
  /** What is known of how it is started and stopped. */
  app: App | undefined;
}

export function declareTargets(command: Command): Command {
  return command
    .argument('[names...]', 'the daemons, by the names they were started under')
    .option('--pidfile <file>', 'the daemon of this file instead')
    .option('--config <file>', 'read this in place of doublefork.config.*')
    .option('--namespace <name>', 'all daemons that are counted to it');
}

/** The same, for a command that can be about all of them. */
export function declareManyTargets(command: Command): Command {
  return declareTargets(command).option('--all', 'all daemons that were started here');
}

/**
 * The daemons that were named; without a name, the only one that is known.
 * @throws if none is known, or several are
 */
export async function subjects(names: string[], options: TargetOptions): Promise<Subject[]> {
  if (options.pidfile !== undefined) {
    const target = { pidfile: options.pidfile };
    return [{ label: pidfileOf(target), target, app: undefined }];
  }
  const { namespace } = options;
  if (namespace !== undefined) {
    const inside = all(names).filter((name) => readRecord(name)?.app.namespace === namespace);
    if (inside.length === 0) throw new Error(`no daemon is known in the namespace ${namespace}`);
    return await Promise.all(inside.map((name) => subject(name, options)));
  }
  if (options.all) return await Promise.all(all(names).map((name) => subject(name, options)));
  if (names.length > 0) return await Promise.all(names.map((name) => subject(name, options)));
  const apps = (await configHere(options.config))?.apps ?? [];
  const known = [...new Set([...apps.map(({ name }) => name), ...recordedNames()])];
  if (known.length === 1) return [await subject(known[0]!, options)];
  if (known.length === 0) throw new Error('no daemon is known here; name one');
  throw new Error(`which one of ${known.join(', ')}? Name it`);
}

/** The same, but without a name all that are known, also those that were not started yet. */
export async function subjectsOrAll(names: string[], options: TargetOptions): Promise<Subject[]> {
  if (names.length > 0 || options.all || options.namespace || options.pidfile !== undefined) {
    return await subjects(names, options);
  }
  const apps = (await configHere(options.config))?.apps ?? [];
  const known = [...new Set([...apps.map(({ name }) => name), ...recordedNames()])];
  return await Promise.all(known.map((name) => subject(name, options)));
}

function all(names: readonly string[]): string[] {
  if (names.length > 0) throw new Error(`all, or ${names.join(', ')}: give one of them`);
  return recordedNames();
}

/** The config file that is meant: the one that was given, or that of the working directory. */
export async function configHere(file?: string): Promise<Config | undefined> {
  const directory = workingDirectory();
  if (directory !== undefined) return await readConfig(directory, file);
  // It was removed, with all that was in it.
  return file !== undefined && isAbsolute(file) ? await readConfig('/', file) : undefined;
}

async function subject(name: string, options: TargetOptions): Promise<Subject> {
  checkName(name);
  const record = readRecord(name);
  if (record !== undefined) return { label: name, target: { name }, app: record.app };
  // Not started yet, or its record is gone.
  const config = await configHere(options.config);
  const app = config?.apps.find((each) => each.name === name);
  if (app?.pidfile === undefined) return { label: name, target: { name }, app };
  return { label: name, target: { pidfile: pidfileFor(app) }, app };
}

/**
 * The same, for a command that does something to them.
 * @throws also for a name that was never heard of, before anything is done to the others
 */
export async function known(names: string[], options: TargetOptions): Promise<Subject[]> {
  const wanted = await subjects(names, options);
  const strangers = wanted.filter((subject) => !isKnown(subject)).map(({ label }) => label);
  if (strangers.length === 0) return wanted;
  const { message } = unheardOf(...strangers);
  throw new Error(wanted.length > 1 ? `${message}. Nothing was done` : message);
}

/** For a command that starts or stops a daemon: one at a time, and it says for whom it waits. */
export function takeTurn(name: string): Turn {
  return Turn.take(name, (pid) => {
    const who = pid === undefined ? '' : ` (pid ${pid})`;
    process.stderr.write(`waiting for another command${who} that is about ${name}\n`);
  });
}

/** The error for names that were never heard of. */
export const unheardOf = (...labels: string[]): Error =>
  new Error(`no daemon is known as ${labels.join(', ')}: ${STRANGER}`);

/** What there is to say of a name that was never heard of. */
export const STRANGER =
  'none was started under that name, and no config file here has it; see doublefork list';

/**
 * Whether anything was ever heard of it: it was started, or is in the config file, or has a pidfile from
 * elsewhere. A pidfile that was asked for speaks for itself.
 */
export function isKnown({ target, app }: Subject): boolean {
  return app !== undefined || 'pidfile' in target || existsSync(pidfileOf(target));
}
