// What people read, and what machines do.

import colors from 'picocolors';
import { sentenceOf } from '../posix/errors.js';
import { EXIT } from './exit.js';

/**
 * Whether errors are to be in JSON, as what is printed: `--json` stands before the words of another
 * program.
 */
export function inJson(): boolean {
  const words = process.argv.slice(2);
  const dashes = words.indexOf('--');
  return words.slice(0, dashes < 0 ? words.length : dashes).includes('--json');
}

/**
 * Prints an error, or a sentence that is one: a sentence for people, with `--json` an object. Its
 * stack, too, if it is a fault of ours, or `$DOUBLEFORK_DEBUG` asks for it.
 */
export function complain(problem: unknown): void {
  const { code, stack, name, pid } = problem as NodeJS.ErrnoException & { pid?: number };
  const text = sentenceOf(problem).trimEnd();
  // An error that nobody expected.
  const fault = problem instanceof Error && code === undefined && name !== 'Error';
  const debug = (fault || process.env.DOUBLEFORK_DEBUG) && stack !== undefined;
  const lines = inJson()
    ? [JSON.stringify({ error: text, code, pid, ...(debug ? { stack } : {}) })]
    : [
        `${colors.red('doublefork:')} ${text}`,
        ...(fault
          ? ['This is a fault of doublefork itself; please report it with what follows.']
          : []),
        ...(debug ? [stack] : []),
      ];
  // Who does not listen cannot be told.
  process.stderr.on('error', () => {});
  process.stderr.write(`${lines.join('\n')}\n`);
}

/** 128 and SIGPIPE: what the shell says of a program that ends so. */
const READER_GONE = 141;

function onGone(error: NodeJS.ErrnoException): never {
  // `| head` has what it wanted.
  if (error.code === 'EPIPE') process.exit(READER_GONE);
  // Not of a terminal that was closed: nobody is there to read it.
  if (error.code !== 'EIO') complain(error);
  process.exit(EXIT.failed);
}

/** Prints some text, or bytes. Once nobody reads them, the command ends, and says nothing. */
export function write(text: string | Uint8Array): void {
  // Not at the beginning: a terminal that is open would keep a daemon from leaving it.
  if (process.stdout.listenerCount('error') === 0) process.stdout.on('error', onGone);
  process.stdout.write(text);
}

/** Prints a line. */
export function print(text: string): void {
  write(`${text}\n`);
}

/** Prints a value for machines. */
export function printJson(value: unknown): void {
  print(JSON.stringify(value, null, 2));
}

/** Columns of texts, each as wide as its widest; colours do not count. */
export function table(rows: readonly (readonly string[])[]): string {
  const widths: number[] = [];
  for (const row of rows) {
    for (const [column, text] of row.entries()) {
      widths[column] = Math.max(widths[column] ?? 0, width(text));
    }
  }
  const line = (row: readonly string[]) =>
    row.map((text, column) => text + ' '.repeat(widths[column]! - width(text))).join('  ');
  return rows.map((row) => line(row).trimEnd()).join('\n');
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: the codes of colours
const PIECES = /\x1b\[\d+m|./gu;

/** What takes two columns of a terminal: of Unicode's East Asian Width, what is wide throughout. */
const WIDE =
  /[\u1100-\u115f\u2e80-\u303e\u3041-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6\u{1f300}-\u{1f64f}\u{1f680}-\u{1f6ff}\u{1f900}-\u{1f9ff}\u{20000}-\u{3fffd}]/u;

function widthOf(piece: string): number {
  if (piece.startsWith('\x1b') || /\p{Mn}/u.test(piece)) return 0;
  return WIDE.test(piece) ? 2 : 1;
}

function width(text: string): number {
  return (text.match(PIECES) ?? []).reduce((sum, piece) => sum + widthOf(piece), 0);
}

/** A line with what does not fit into so many columns cut off; colours end where they would. */
export function cut(text: string, columns: number): string {
  let room = columns;
  return text.replace(PIECES, (piece) => {
    room -= widthOf(piece);
    return room < 0 && widthOf(piece) > 0 ? '' : piece;
  });
}

/** Words of somebody else's, in one line and without what a terminal would obey. */
export function clean(text: string): string {
  return text.replace(/\p{Cc}+/gu, ' ').trim();
}

/** `3 s`, `5 min`, `2 h 10 min`, `3 d 4 h`: two units at most. */
export function duration(ms: number): string {
  const seconds = Math.max(0, Math.floor(ms / 1000));
  const units: [number, string][] = [
    [Math.floor(seconds / 86_400), 'd'],
    [Math.floor(seconds / 3600) % 24, 'h'],
    [Math.floor(seconds / 60) % 60, 'min'],
    [seconds % 60, 's'],
  ];
  const first = units.findIndex(([count]) => count > 0);
  if (first < 0) return '0 s';
  const shown = units.slice(first, first + 2).filter(([count]) => count > 0);
  return shown.map(([count, unit]) => `${count} ${unit}`).join(' ');
}

/** `1.6 MB`. */
export function size(bytes: number): string {
  const units = ['B', 'kB', 'MB', 'GB'];
  let at = 0;
  let amount = bytes;
  while (amount >= 1000 && at < units.length - 1) {
    amount /= 1000;
    at++;
  }
  return `${at === 0 || amount >= 100 ? Math.round(amount) : amount.toFixed(1)} ${units[at]}`;
}
