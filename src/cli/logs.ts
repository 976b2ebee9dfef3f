// doublefork logs [-f] [-n lines] [names...]

import { setTimeout as sleep } from 'node:timers/promises';
import { type Command, InvalidArgumentError } from 'commander';
import colors from 'picocolors';
import { closeSync, existsSync, fstatSync, openSync, readSync, statSync } from '../builtin/fs.js';
import { logFor } from '../control/folders.js';
import { readRecord } from '../control/record.js';
import { archivesOf, linesOf } from '../logs/history.js';
import { logInUse } from '../logs/in-use.js';
import { type Line, parseLine } from '../logs/lines.js';
import { isMessageLog } from '../logs/options.js';
import { isAll, isWanted, level, moment, pattern, readable, type Wanted } from './log-filter.js';
import { print, write } from './output.js';
import {
  declareManyTargets,
  isKnown,
  type Subject,
  subjects,
  type TargetOptions,
  unheardOf,
} from './targets.js';

interface Options extends TargetOptions, Wanted {
  lines?: number;
  follow?: boolean;
  json?: boolean;
}

/** How often to look for more, in ms. */
const PAUSE = 200;
const CHUNK = 65_536;
/** How many lines are printed of all that there are. */
const LINES = 10;

export function declare(command: Command): void {
  declareManyTargets(command)
    .option(
      '-n, --lines <count>',
      'how many of its last lines; default: 10, or all that are asked for',
      count,
    )
    .option('-f, --follow', 'go on, also when the log is rotated')
    .option(
      '--since <time>',
      'from then on: a date and time, or how long ago, such as 10min',
      moment,
    )
    .option('--until <time>', 'up to then', moment)
    .option('--grep <pattern>', 'lines in which this regular expression is found', pattern)
    .option(
      '--level <level>',
      'lines of JSON that are so bad, or worse: debug, info, warn, error',
      level,
    )
    .option('--worker <number>', 'lines of this worker, of a log in JSON', count)
    .option('--json', 'print lines of JSON as they are, on a terminal, too')
    .addHelpText(
      'after',
      `
Rotated files are read as well, by what name soever the logger or logrotate(8) has given them. Lines of several
daemons are merged by their times, if they have some.`,
    )
    .action(logs);
}

function count(text: string): number {
  if (!/^(0|[1-9]\d{0,8})$/.test(text))
    throw new InvalidArgumentError('It must be a number of lines.');
  return Number(text);
}

async function logs(names: string[], options: Options): Promise<void> {
  const found = await subjects(names, options);
  const sources = found.map((subject) => ({ label: subject.label, path: logOf(subject) }));
  const { since, until, grep, level, worker } = options;
  const wanted = { since, until, grep, level, worker } as Wanted;
  const pretty = process.stdout.isTTY === true && options.json !== true;
  const all = isAll(wanted);
  const lines = options.lines ?? (all ? LINES : undefined);
  if (all && !pretty && (sources.length === 1 || sources.some(({ path }) => !hasTimes(path)))) {
    return await plain(sources, lines!, options.follow === true);
  }
  await chosen(sources, { wanted, lines, pretty, follow: options.follow === true });
}

function logOf(subject: Subject): string {
  const { label, target, app } = subject;
  if (!('name' in target) && app === undefined) {
    throw new Error('which log belongs to a pidfile is not known; give a name');
  }
  const record = readRecord(label);
  // A program that has a log of its own has left the one that it was given.
  const own = record?.isRunning === true ? logInUse(record.pid) : undefined;
  const path = own?.path ?? record?.log ?? logFor(app ?? { name: label, log: undefined });
  if (isMessageLog(path)) throw new Error(`${label} writes no file; ${elsewhere(path, label)}`);
  // The log may be there still when nothing else is: state is gone after a boot.
  if (!isKnown(subject) && !existsSync(path)) throw unheardOf(label);
  return path;
}

/** Where to read a log that is no file. */
function elsewhere(log: 'syslog' | 'journal', name: string): string {
  return log === 'journal'
    ? `read its entries with: journalctl -t ${name}`
    : `its messages are where the syslog daemon writes them, as those of ${name}`;
}

interface Source {
  label: string;
  path: string;
}

/** Whether its lines can be merged with others. */
function hasTimes(path: string): boolean {
  for (const line of linesOf(path, CHUNK)) return parseLine(line).time !== undefined;
  return true;
}

/** Byte by byte, under the names of their daemons if there are several. */
async function plain(sources: readonly Source[], lines: number, follow: boolean): Promise<void> {
  const tails = sources.map(({ label, path }) => new Tail(label, path, lines));
  if (tails.length > 1) heading = undefined;
  for (const tail of tails) tail.begin();
  while (follow) {
    await sleep(PAUSE);
    for (const tail of tails) tail.follow();
  }
}

interface Choice {
  wanted: Wanted;
  /** The last of them; undefined: all. */
  lines: number | undefined;
  pretty: boolean;
  follow: boolean;
}

interface Entry extends Line {
  label: string;
}

const COLOURS = [colors.cyan, colors.magenta, colors.yellow, colors.green, colors.blue];

/** Line by line: those that are wanted, in the order of their times. */
async function chosen(
  sources: readonly Source[],
  { wanted, lines, pretty, follow }: Choice,
): Promise<void> {
  const width = Math.max(...sources.map(({ label }) => label.length));
  const prefixes = new Map(
    sources.map(({ label }, index) => [
      label,
      sources.length === 1 ? '' : `${COLOURS[index % COLOURS.length]!(label.padEnd(width))} | `,
    ]),
  );
  const show = (entry: Entry) => {
    const text = pretty ? readable(entry) : entry.text;
    print(`${prefixes.get(entry.label)}${text}`);
  };
  const tails = sources.map(({ label, path }) => new Tail(label, path, 0));
  const found = tails.flatMap((tail) => {
    const all = gather(tail, wanted, lines);
    if (
      (wanted.since ?? wanted.until) !== undefined &&
      all.some(({ time }) => time === undefined)
    ) {
      process.stderr.write(
        `doublefork: lines of ${tail.label} have no time; all of them are shown\n`,
      );
    }
    return all;
  });
  // Stable: lines without a time stay where they are.
  const sorted = found.toSorted((a, b) => (a.time ?? 0) - (b.time ?? 0));
  for (const entry of lines === undefined
    ? sorted
    : sorted.slice(Math.max(0, sorted.length - lines))) {
    show(entry);
  }
  const times = new Map<string, number | undefined>();
  while (follow) {
    await sleep(PAUSE);
    for (const tail of tails) {
      for (const text of tail.moreLines()) {
        const line = parseLine(text);
        const time = line.time ?? times.get(tail.label);
        times.set(tail.label, time);
        if (isWanted(line, time, wanted)) show({ ...line, time, label: tail.label });
      }
    }
  }
}

/** What is wanted of a log up to where its tail begins, and of its rotated files, oldest first. */
function gather({ label, path, at }: Tail, wanted: Wanted, lines: number | undefined): Entry[] {
  let found: Entry[] = [];
  for (const file of [path, ...archivesOf(path)]) {
    const { since } = wanted;
    const isOlder = file !== path && since !== undefined;
    if (isOlder && (statSync(file, { throwIfNoEntry: false })?.mtimeMs ?? 0) < since) break;
    const here: Entry[] = [];
    let time: number | undefined;
    for (const text of linesOf(file, file === path ? at : undefined)) {
      const line = parseLine(text);
      // What does not say when, such as a line of a stack, belongs to the one before.
      time = line.time ?? time;
      if (isWanted(line, time, wanted)) here.push({ ...line, time, label });
      if (lines !== undefined && here.length > 2 * lines + 1000)
        here.splice(0, here.length - lines);
    }
    found = [...here, ...found];
    if (lines !== undefined && found.length >= lines) return found.slice(found.length - lines);
  }
  return found;
}

/** Whose lines were printed last, where they are several's; null: they are one's. */
let heading: Tail | null | undefined = null;

/** The end of a log, which may grow, be cut or be replaced. */
class Tail {
  readonly label: string;
  readonly path: string;
  #fd: number;
  #at: number;
  /** Lines that are in rotated files. */
  readonly #missing: number;
  #rest = '';

  /** @throws the error of open(2) */
  constructor(label: string, path: string, lines: number) {
    this.label = label;
    this.path = path;
    this.#fd = openSync(path, 'r');
    [this.#at, this.#missing] = lastLines(this.#fd, lines);
  }

  /** What is before is printed, or not wanted. */
  get at(): number {
    return this.#at;
  }

  /** Prints its last lines, from rotated files on. */
  begin(): void {
    let older: string[] = [];
    for (const file of this.#missing > 0 ? archivesOf(this.path) : []) {
      older = [...linesOf(file), ...older].slice(-this.#missing);
      if (older.length >= this.#missing) break;
    }
    for (const line of older) {
      this.#head();
      print(line);
    }
    this.copy();
  }

  /** The lines that have come since. */
  moreLines(): string[] {
    const pieces: Buffer[] = [];
    this.follow((bytes) => pieces.push(bytes));
    const lines = (this.#rest + Buffer.concat(pieces).toString('utf8')).split('\n');
    this.#rest = lines.pop()!;
    return lines;
  }

  readonly #print = (bytes: Buffer): void => {
    this.#head();
    write(bytes);
  };

  /** Prints what is there. */
  copy(take: (bytes: Buffer) => void = this.#print): void {
    const buffer = Buffer.alloc(CHUNK);
    for (let got = this.#read(buffer); got > 0; got = this.#read(buffer)) {
      take(Buffer.from(buffer.subarray(0, got)));
      this.#at += got;
    }
  }

  #read(buffer: Buffer): number {
    return readSync(this.#fd, buffer, 0, CHUNK, this.#at);
  }

  /** As tail(1) does it. */
  #head(): void {
    if (heading === null || heading === this) return;
    print(`${heading === undefined ? '' : '\n'}==> ${this.label} <==`);
    heading = this;
  }

  /** Prints what has come since. */
  follow(take: (bytes: Buffer) => void = this.#print): void {
    const { size, ino } = fstatSync(this.#fd);
    // copytruncate
    if (size < this.#at) this.#at = 0;
    if (size > this.#at) {
      this.copy(take);
      return;
    }
    const current = statSync(this.path, { throwIfNoEntry: false });
    if (current === undefined || current.ino === ino) return;
    // Its last lines may have come since.
    this.copy(take);
    closeSync(this.#fd);
    this.#fd = openSync(this.path, 'r');
    this.#at = 0;
    this.copy(take);
  }
}

/** Where the last lines begin, and how many of them are elsewhere. */
function lastLines(fd: number, lines: number): [at: number, missing: number] {
  const { size } = fstatSync(fd);
  if (lines === 0) return [size, 0];
  const buffer = Buffer.alloc(CHUNK);
  let missing = lines;
  for (let end = size; end > 0; ) {
    const start = Math.max(0, end - CHUNK);
    const got = readSync(fd, buffer, 0, end - start, start);
    for (let at = got - 1; at >= 0; at--) {
      // The newline at the very end does not begin another line.
      if (buffer[at] !== 0x0a || start + at === size - 1) continue;
      if (--missing === 0) return [start + at + 1, 0];
    }
    end = start;
  }
  // Before the first line there is no newline.
  return [0, size === 0 ? missing : missing - 1];
}
