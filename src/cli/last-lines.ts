// The last lines that a program has written before it failed: what there is to know of a SIGKILL or a SIGSEGV.

import { closeSync, constants, fstatSync, openSync, readSync } from '../builtin/fs.js';
import { parseLine } from '../logs/lines.js';
import { isMessageLog } from '../logs/options.js';

/** How many are shown. */
const LINES = 10;
/** How much of the end of a log is looked at, in bytes. */
const LOOKED_AT = 65_536;

/**
 * @param log a path, or a word for a log that is no file; undefined: there is none
 * @param worker its number: those before its last end, and where the log tells whose lines are, its own alone
 * @returns none also if the log cannot be read
 */
export function lastLines(log: string | undefined, worker?: number): string[] {
  if (log === undefined || isMessageLog(log)) return [];
  const all = endOf(log).map(parseLine);
  const isEnd = ({ fields }: (typeof all)[number]) =>
    fields?.name === 'doublefork' && fields.event === 'exit' && fields.worker === worker;
  const end = worker === undefined ? all.length : all.findLastIndex(isEnd);
  return all
    .slice(0, Math.max(0, end))
    .filter(({ fields }) => fields?.name !== 'doublefork')
    .filter((line) => worker === undefined || (line.worker ?? worker) === worker)
    .map(({ text }) => text)
    .slice(-LINES);
}

function endOf(log: string): string[] {
  let fd: number;
  try {
    // A FIFO that was given as a log is not waited for.
    fd = openSync(log, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch {
    return []; // It was removed, or is another user's: the line above says where it is.
  }
  try {
    const stat = fstatSync(fd);
    if (!stat.isFile()) return [];
    const from = Math.max(0, stat.size - LOOKED_AT);
    const buffer = Buffer.alloc(stat.size - from);
    const got = readSync(fd, buffer, 0, buffer.length, from);
    const lines = buffer.toString('utf8', 0, got).split('\n');
    // The first is cut, the last is what is behind the last newline.
    if (from > 0) lines.shift();
    if (lines.at(-1) === '') lines.pop();
    return lines;
  } finally {
    closeSync(fd);
  }
}
