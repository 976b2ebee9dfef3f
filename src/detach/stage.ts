// How the exec engine's new image learns that it is the daemon: descriptors that it inherited, told
// by one variable in its environment. It reads `inode:word:stdin:stdout:stderr:pidfile:pid`, see Stage;
// the inode is that of the pipe to the launcher, a `+` marks a file that was created.
//
// There is no counting of generations. The variable names the one process that it is meant for, so
// in any other one, a child of that process for instance, it means nothing.

import { fstatSync } from 'node:fs';
import { setCloseOnExec } from '../posix/descriptor.js';
import type { HandedOver } from './redirect.js';

export const VARIABLE = 'DOUBLEFORK_STAGE';

/** What the launcher handed over. */
export interface Stage {
  /** Where the launcher waits for the daemon's word. */
  word: number;
  /** What to put onto fd 0-2, opened by the launcher; undefined: leave it. */
  stdio: (HandedOver | undefined)[];
  /** The locked pidfile, if there is one. */
  pidfile: HandedOver | undefined;
}

/** The part of the variable that JavaScript knows before there is a new process. */
export const format = (descriptors: readonly (HandedOver | undefined)[]): string =>
  descriptors.map((it) => (it === undefined ? '' : `${it.fd}${it.created ? '+' : ''}`)).join(':');

/** What the environment says, if it says it to this process and it is true. */
function read(): Stage | undefined {
  const match = /^(\d+):(\d+):((?:\d*\+?:){4})(\d+)$/.exec(process.env[VARIABLE] ?? '');
  if (match === null) return undefined;
  const [, inode, word, descriptors, pid] = match as unknown as [string, ...string[]];
  if (Number(pid) !== process.pid || !isPipe(Number(word), Number(inode))) return undefined;
  const [stdin, stdout, stderr, pidfile] = descriptors!.split(':').map(parse);
  return { word: Number(word), stdio: [stdin, stdout, stderr], pidfile };
}

function parse(text: string): HandedOver | undefined {
  return text === '' ? undefined : { fd: Number.parseInt(text, 10), created: text.endsWith('+') };
}

function isPipe(fd: number, inode: number): boolean {
  try {
    const stat = fstatSync(fd);
    return stat.isFIFO() && stat.ino === inode;
  } catch {
    // Not open, or not a number that could be.
    return false;
  }
}

function descriptors({ word, stdio, pidfile }: Stage): number[] {
  return [word, ...[...stdio, pidfile].flatMap((handedOver) => handedOver?.fd ?? [])];
}

/** One for all copies of this module in a process: what one has taken is gone for the others. */
const registry = globalThis as { [key: symbol]: Stage | undefined };
const KEY = Symbol.for('doublefork.stage');

// At once, not when daemonize() is called: nothing of it may reach what the program starts before.
const arrived = read();
delete process.env[VARIABLE];
if (arrived !== undefined) {
  for (const fd of descriptors(arrived)) setCloseOnExec(fd, true);
  registry[KEY] = arrived;
}

/**
 * Whether this is the exec engine's new image on its way to daemonize(): what the launcher has done
 * before it, and must happen once, is done.
 */
export function isSecondRun(): boolean {
  return registry[KEY] !== undefined;
}

/** What the launcher handed over to this process, once; undefined: this is no daemon yet. */
export function takeStage(): Stage | undefined {
  const stage = registry[KEY];
  delete registry[KEY];
  return stage;
}
