// doublefork logs [-f] [-n lines] [names...]

import { setTimeout as sleep } from 'node:timers/promises';
import { type Command, InvalidArgumentError } from 'commander';
import { closeSync, existsSync, fstatSync, openSync, readSync, statSync } from '../builtin/fs.js';
import { logFor } from '../control/folders.js';
import { readRecord } from '../control/record.js';
import { print, write } from './output.js';
import {
  declareManyTargets,
  isKnown,
  type Subject,
  subjects,
  type TargetOptions,
  unheardOf,
} from './targets.js';

interface Options extends TargetOptions {
  lines: number;
  follow?: boolean;
}

/** How often to look for more, in ms. */
const PAUSE = 200;
const CHUNK = 65_536;

export function declare(command: Command): void {
  declareManyTargets(command)
    .option('-n, --lines <count>', 'how many of its last lines', count, 10)
    .option('-f, --follow', 'go on, also when the log is rotated')
    .action(logs);
}

function count(text: string): number {
  if (!/^(0|[1-9]\d{0,8})$/.test(text))
    throw new InvalidArgumentError('It must be a number of lines.');
  return Number(text);
}

async function logs(names: string[], options: Options): Promise<void> {
  const wanted = await subjects(names, options);
  const tails = wanted.map((subject) => new Tail(subject.label, logOf(subject), options.lines));
  if (tails.length > 1) heading = undefined;
  for (const tail of tails) tail.copy();
  while (options.follow) {
    await sleep(PAUSE);
    for (const tail of tails) tail.follow();
  }
}

function logOf(subject: Subject): string {
  const { label, target, app } = subject;
  if (!('name' in target) && app === undefined) {
    throw new Error('which log belongs to a pidfile is not known; give a name');
  }
  const path = readRecord(label)?.log ?? logFor(app ?? { name: label, log: undefined });
  // The log may be there still when nothing else is: state is gone after a boot.
  if (!isKnown(subject) && !existsSync(path)) throw unheardOf(label);
  return path;
}

/** Whose lines were printed last, where they are several's; null: they are one's. */
let heading: Tail | null | undefined = null;

/** The end of a log, which may grow, be cut or be replaced. */
class Tail {
  readonly #label: string;
  readonly #path: string;
  #fd: number;
  #at: number;

  /** @throws the error of open(2) */
  constructor(label: string, path: string, lines: number) {
    this.#label = label;
    this.#path = path;
    this.#fd = openSync(path, 'r');
    this.#at = lastLines(this.#fd, lines);
  }

  /** Prints what is there. */
  copy(): void {
    const buffer = Buffer.alloc(CHUNK);
    for (let got = this.#read(buffer); got > 0; got = this.#read(buffer)) {
      this.#head();
      write(Buffer.from(buffer.subarray(0, got)));
      this.#at += got;
    }
  }

  #read(buffer: Buffer): number {
    return readSync(this.#fd, buffer, 0, CHUNK, this.#at);
  }

  /** As tail(1) does it. */
  #head(): void {
    if (heading === null || heading === this) return;
    print(`${heading === undefined ? '' : '\n'}==> ${this.#label} <==`);
    heading = this;
  }

  /** Prints what has come since. */
  follow(): void {
    const { size, ino } = fstatSync(this.#fd);
    // copytruncate
    if (size < this.#at) this.#at = 0;
    if (size > this.#at) {
      this.copy();
      return;
    }
    const current = statSync(this.#path, { throwIfNoEntry: false });
    if (current === undefined || current.ino === ino) return;
    // Its last lines may have come since.
    this.copy();
    closeSync(this.#fd);
    this.#fd = openSync(this.#path, 'r');
    this.#at = 0;
    this.copy();
  }
}

/** Where the last lines begin. */
function lastLines(fd: number, lines: number): number {
  const { size } = fstatSync(fd);
  if (lines === 0) return size;
  const buffer = Buffer.alloc(CHUNK);
  let missing = lines;
  for (let end = size; end > 0; ) {
    const start = Math.max(0, end - CHUNK);
    const got = readSync(fd, buffer, 0, end - start, start);
    for (let at = got - 1; at >= 0; at--) {
      // The newline at the very end does not begin another line.
      if (buffer[at] !== 0x0a || start + at === size - 1) continue;
      if (--missing === 0) return start + at + 1;
    }
    end = start;
  }
  return 0;
}
