// What is wrong with a configuration, and where.

import { locate, packageOf } from '../config/parse.js';

/** Most problems that one message tells. */
const MOST = 5;

/** A problem, and where it is. */
export interface Problem {
  message: string;
  /** Of the file, or the variable of the environment as `$NAME`. */
  file: string;
  /** Both from 1; undefined: it is not about one place of the file. */
  line?: number | undefined;
  column?: number | undefined;
  /** The keys that lead to the value. */
  path?: readonly string[] | undefined;
}

/**
 * A configuration that is refused: `code` is ERR_INVALID_CONFIG, or that of the system call that could not read it.
 * The message has every problem, with file, line and column.
 */
export class ConfigFileError extends Error {
  readonly code: string;
  /** The first one. */
  readonly file: string;
  readonly line: number | undefined;
  readonly column: number | undefined;
  readonly problems: readonly Problem[];

  constructor(problems: readonly Problem[], code = 'ERR_INVALID_CONFIG', cause?: unknown) {
    const told = problems.slice(0, MOST).map(sentence);
    if (problems.length > MOST) told.push(`and ${problems.length - MOST} more`);
    super(told.join('\n'), cause === undefined ? undefined : { cause });
    this.name = 'ConfigFileError';
    this.code = code;
    const [{ file, line, column }] = problems as [Problem];
    this.file = file;
    this.line = line;
    this.column = column;
    this.problems = problems;
  }
}

function sentence({ message, file, line, column, path = [] }: Problem): string {
  const where = line === undefined ? file : `${file}:${line}:${column}`;
  return path.length === 0 ? `${where}: ${message}` : `${where}: ${path.join('.')}: ${message}`;
}

/** Line and column of a character, both from 1. */
export function placeOf(text: string, offset: number): { line: number; column: number } {
  const before = text.slice(0, offset).split('\n');
  return { line: before.length, column: before.at(-1)!.length + 1 };
}

/** Where a value is in the text of a file; what is not there, where it would have to be. */
export function placeOfValue(
  file: string,
  text: string,
  path: readonly string[],
): { line: number; column: number } {
  if (file.endsWith('.toml')) return placeOf(text, locate(text, path));
  // JSON is YAML, too.
  const { parseDocument, isNode } = packageOf<typeof import('yaml')>('yaml');
  const document = parseDocument(text, { prettyErrors: false, uniqueKeys: false });
  for (let depth = path.length; depth > 0; depth--) {
    const keys = path.slice(0, depth).map((key) => (/^\d+$/.test(key) ? Number(key) : key));
    const node = document.getIn(keys, true);
    if (isNode(node) && node.range) return placeOf(text, node.range[0]);
  }
  return placeOf(text, 0);
}
