// What people read, and what machines do.

import colors from 'picocolors';

/** Prints an error, or a sentence that is one, in one line; its stack if it is a fault of ours. */
export function complain(problem: unknown): void {
  process.stderr.write(`${colors.red('doublefork:')} ${sentence(problem).trimEnd()}\n`);
}

function sentence(problem: unknown): string {
  if (!(problem instanceof Error)) return String(problem);
  const { code, stack, message, name } = problem as NodeJS.ErrnoException;
  // An error that nobody expected.
  const fault = code === undefined && name !== 'Error' && stack !== undefined;
  return fault ? stack : message;
}

/** Prints a line. */
export function print(text: string): void {
  process.stdout.write(`${text}\n`);
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

function width(text: string): number {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: the codes of colours
  return [...text.replace(/\x1b\[\d+m/g, '')].length;
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
