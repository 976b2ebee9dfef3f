// The text of a config file, and where in it a value is.

import { here } from '../posix/parts.js';
import { Numeral } from './value.js';

/** What is wrong with the text, and where. */
export class ParseError extends Error {
  constructor(
    message: string,
    /** How many characters stand before it. */
    readonly offset: number,
  ) {
    super(message);
  }
}

/**
 * Parses JSON, YAML or TOML, by the end of the file's name. Numbers that are not plainly decimal are
 * {@link Numeral}s.
 * @throws ParseError
 */
export function parse(file: string, text: string): unknown {
  if (file.endsWith('.toml')) return parseToml(text);
  if (file.endsWith('.json')) return parseJson(text);
  return parseYaml(text);
}

/** At once, not by import(): a supervisor, which reads configuration files too, has no event loop. */
export function packageOf<T>(name: string): T {
  return process.getBuiltinModule('node:module').createRequire(`${here}/`)(name) as T;
}

/**
 * The characters of a file: UTF-8, without the mark that some editors put in front.
 * @throws ParseError if it is something else
 */
export function decode(bytes: Uint8Array): string {
  try {
    // It takes the mark away.
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    throw new ParseError('the file is not UTF-8; save it as that', 0);
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    const [message] = (error as SyntaxError).message.split(/ in JSON at position|, (?:\.\.\.)?"/);
    throw new ParseError(message!, wrongFrom(text));
  }
}

/**
 * Where JSON is wrong: of a bad character Node does not say the position. The beginnings of the text are
 * good up to there, as far as they go.
 */
function wrongFrom(text: string): number {
  let [good, bad] = [0, text.length + 1];
  while (bad - good > 1) {
    const middle = (good + bad) >> 1;
    if (isGoodSoFar(text.slice(0, middle))) good = middle;
    else bad = middle;
  }
  return good;
}

function isGoodSoFar(beginning: string): boolean {
  try {
    JSON.parse(beginning);
    return true;
  } catch (error) {
    const { message } = error as SyntaxError;
    const position = /at position (\d+)/.exec(message)?.[1];
    return /end of JSON|Unterminated string/.test(message) || Number(position) === beginning.length;
  }
}

const PLAIN = /^-?(0|[1-9]\d*)(\.\d+)?$/;

function parseYaml(text: string): unknown {
  const { parseDocument, visit } = packageOf<typeof import('yaml')>('yaml');
  const document = parseDocument(text, { prettyErrors: false });
  // A tag that is not known would be passed over.
  const problem = document.errors[0] ?? document.warnings[0];
  if (problem !== undefined) throw new ParseError(problem.message, problem.pos[0]);
  visit(document, {
    Scalar(key, node) {
      const { value, source } = node;
      if (typeof value === 'string' || source === undefined) return;
      // `no:` is a name, not false, and 010: not 10.
      if (key === 'key') node.value = source;
      else if (isNumber(value) && !PLAIN.test(source)) node.value = new Numeral(source);
    },
  });
  try {
    return document.toJS();
  } catch (error) {
    throw new ParseError((error as Error).message, 0);
  }
}

const isNumber = (value: unknown) => typeof value === 'number' || typeof value === 'bigint';

/**
 * What a TOML file consists of, as far as it matters here: strings and comments, in which nothing is a
 * number; and numbers that are not decimal, where a value may be: keys may look like that, too.
 */
const TOML =
  /("""[\s\S]*?"""|'''[\s\S]*?'''|"(?:\\.|[^"\\\n])*"|'[^'\n]*'|#[^\n]*)|(?<=[=,[\s])(0[xob][\da-fA-F_]+)(?=[\s,\]}#]|$)(?!\s*=)/g;
/** No string begins with it: NUL cannot be in any value. */
const MARK = '\\u0000';

/** smol-toml does not tell how a number was written; so those that matter go in as strings. */
function parseToml(text: string): unknown {
  const { parse, TomlError } = packageOf<typeof import('smol-toml')>('smol-toml');
  const marked = text.replace(TOML, (all, other: string | undefined, numeral: string) =>
    other === undefined ? `"${MARK}${numeral}"` : all,
  );
  try {
    return revive(parse(marked));
  } catch (error) {
    if (!(error instanceof TomlError)) throw error;
    const column = Math.max(1, error.column) - 1;
    throw new ParseError(error.message.split('\n')[0]!, startOf(text, error.line) + column);
  }
}

function revive(value: unknown): unknown {
  if (typeof value === 'string') {
    return value.startsWith('\0') ? new Numeral(value.slice(1)) : value;
  }
  if (Array.isArray(value)) return value.map(revive);
  if (typeof value !== 'object' || value === null || value instanceof Date) return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, revive(item)]));
}

function startOf(text: string, line: number): number {
  const before = text.split('\n').slice(0, line - 1);
  return before.reduce((sum, { length }) => sum + length + 1, 0);
}

/** Where a value is: after each key that leads to it, one behind the other. */
export function locate(text: string, path: readonly string[]): number {
  let at = 0;
  for (const key of path) {
    if (/^\d+$/.test(key)) break;
    const escaped = key.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
    // As a key of JSON, YAML or TOML, or in the header of a table: [apps.web]
    const found = new RegExp(`(?<![\\w-])${escaped}["']?\\s*[:=\\].]`, 'm').exec(text.slice(at));
    if (found === null) break;
    at += found.index;
  }
  return at;
}
