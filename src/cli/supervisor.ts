// The supervisor that a command is about: a named daemon, or whoever listens on a path.

import type { Command } from 'commander';
import { statSync } from '../builtin/fs.js';
import { controlFor } from '../control/folders.js';
import { readRecord } from '../control/record.js';
import type { Target } from '../control/target.js';
import { sentenceOf } from '../posix/errors.js';
import type { ControlClient } from '../supervise/control-client.js';
import { declareTargets, known, type TargetOptions } from './targets.js';

export interface SupervisorOptions extends TargetOptions {
  control?: string;
}

/** A supervisor's control socket. */
export interface Control {
  /** For people: the name of the daemon, or the path. */
  label: string;
  path: string;
}

/** How long a supervisor, which does little else, may take to answer. In ms. */
const PATIENCE = 2000;

/** What fits into the address of a unix socket. What is longer would be cut, and be another path. */
const LONGEST_PATH = process.platform === 'linux' ? 107 : 103;
const TOO_LONG = `the path has more than the ${LONGEST_PATH} bytes that the path of a socket can have`;

export function declareSupervisors(command: Command): Command {
  return declareTargets(command).option(
    '--control <path>',
    'the supervisor that listens on this socket instead',
  );
}

/** @throws for a pidfile, of which no control socket is known; as subjects() does */
export async function controls(names: string[], options: SupervisorOptions): Promise<Control[]> {
  const { control } = options;
  if (control !== undefined) return [{ label: control, path: control }];
  return (await known(names, options)).map(({ label, target }) => {
    const path = controlOf(target);
    if (path !== undefined) return { label, path };
    throw new Error(`which control socket belongs to ${label} is not known; give it by --control`);
  });
}

/** undefined: it is not known. */
export function controlOf(target: Target): string | undefined {
  if (!('name' in target)) return undefined;
  return readRecord(target.name)?.control ?? controlFor(target.name);
}

/**
 * Connects to a supervisor and asks it something.
 * @throws Error that says whom, and why there is no answer; with the code of connect(2) if it is that
 */
export async function asking<T>(
  { path, label }: Control,
  ask: (client: ControlClient) => Promise<T>,
): Promise<T> {
  // What it needs takes longer to load than the rest of the command.
  const { ControlClient } = await import('../supervise/control-client.js');
  try {
    if (Buffer.byteLength(path) > LONGEST_PATH) throw new Error(TOO_LONG);
    await using client = await ControlClient.connect(path, PATIENCE);
    return await ask(client);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    const whom = label === path ? path : `${label} (${path})`;
    const why = reasonOf(code, path) ?? sentenceOf(error);
    throw Object.assign(new Error(`${whom}: ${why}`, { cause: error }), { code });
  }
}

/** Whether nobody is there, which need be no trouble. */
export function isNobody(error: unknown): boolean {
  const { code } = error as NodeJS.ErrnoException;
  return code === 'ENOENT' || code === 'ECONNREFUSED';
}

function reasonOf(code: string | undefined, path: string): string | undefined {
  switch (code) {
    case 'ENOENT':
    case 'ECONNREFUSED':
      return 'no supervisor listens there';
    case 'EACCES':
      return `the socket is ${ownerOf(path)}; only that user and root may ask`;
    // The queue of those who wait for an answer is full.
    case 'EAGAIN':
      return 'the supervisor does not answer; it may be stopped';
    default:
      return undefined;
  }
}

function ownerOf(path: string): string {
  try {
    return `user ${statSync(path).uid}’s`;
  } catch {
    return 'somebody else’s';
  }
}
