// doublefork logs [-f] [-n lines] [name]

import { setTimeout as sleep } from 'node:timers/promises';
import { type Command, InvalidArgumentError } from 'commander';
import { closeSync, existsSync, fstatSync, openSync, readSync, statSync } from '../builtin/fs.js';
import { logFor } from '../control/folders.js';
import { readRecord } from '../control/record.js';
import { write } from './output.js';
import { declareTargets, isKnown, subjects, type TargetOptions, unheardOf } from './targets.js';

interface Options extends TargetOptions {
  lines: number;
  follow?: boolean;
}

/** How often to look for more, in ms. */
const PAUSE = 200;
const CHUNK = 65_536;

export function declare(command: Command): void {
  declareTargets(command)
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
  const [subject, ...others] = await subjects(names, options);
  if (others.length > 0) throw new Error('the log of one at a time');
  const { label, target, app } = subject!;
  if (!('name' in target) && app === undefined) {
    throw new Error('which log belongs to a pidfile is not known; give a name');
  }
  const path = readRecord(label)?.log ?? logFor(app ?? { name: label, log: undefined });
  // The log may be there still when nothing else is: state is gone after a boot.
  if (!isKnown(subject!) && !existsSync(path)) throw unheardOf(label);
  let fd = openSync(path, 'r');
  let at = lastLines(fd, options.lines);
  for (;;) {
    at = copy(fd, at);
    if (!options.follow) break;
    await sleep(PAUSE);
    const { size, ino } = fstatSync(fd);
    // copytruncate
    if (size < at) at = 0;
    if (size > at) continue;
    const current = statSync(path, { throwIfNoEntry: false });
    if (current !== undefined && current.ino !== ino) {
      // Its last lines may have come since.
      copy(fd, at);
      closeSync(fd);
      fd = openSync(path, 'r');
      at = 0;
    }
  }
  closeSync(fd);
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

/** Prints from there to the end. @returns the end */
function copy(fd: number, from: number): number {
  const buffer = Buffer.alloc(CHUNK);
  let at = from;
  for (
    let got = readSync(fd, buffer, 0, CHUNK, at);
    got > 0;
    got = readSync(fd, buffer, 0, CHUNK, at)
  ) {
    write(Buffer.from(buffer.subarray(0, got)));
    at += got;
  }
  return at;
}
