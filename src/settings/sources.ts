// Where a configuration comes from: a file, others on top of it for a place, the environment, and files
// with one secret each.

import {
  closeSync,
  constants,
  fstatSync,
  lstatSync,
  openSync,
  readSync,
  statSync,
} from '../builtin/fs.js';
import { dirname, extname, resolve } from '../builtin/path.js';
import { decode, ParseError, parse } from '../config/parse.js';
import { Numeral } from '../config/value.js';
import { whileTrying } from '../posix/errors.js';
import { isPlain, merge, valueAt, withValue } from './changes.js';
import { ConfigFileError, placeOf, placeOfValue } from './problem.js';

export interface Wanted {
  /** Absolute. */
  file: string;
  places: readonly string[];
  /** What variables begin with; undefined: none count. */
  prefix: string | undefined;
  /** Of a file, in bytes. */
  maxSize: number;
  environment: Readonly<Record<string, string | undefined>>;
}

/** What was read, and all that it depends on. */
export interface Sources {
  values: Readonly<Record<string, unknown>>;
  /** Where a value comes from, for who finds it wrong. */
  origin(path: readonly string[]): { file: string; line?: number; column?: number };
}

interface Layer {
  file: string;
  text: string;
  values: Readonly<Record<string, unknown>>;
}

/** Ends the name of what stands for the content of a file. */
const FROM_FILE = '_FILE';

/**
 * Reads all.
 * @param depends is told each file on which the result depends, also if it throws
 * @throws ConfigFileError
 */
export function readSources(wanted: Wanted, depends: (file: string) => void): Sources {
  const { file, places, prefix, maxSize } = wanted;
  const layers = [file, ...places.map((place) => fileOf(file, place))].flatMap((path, index) => {
    depends(path);
    return index > 0 && isMissing(path) ? [] : readLayer(path, maxSize, depends);
  });
  const variables = prefix === undefined ? [] : variablesOf(wanted.environment, prefix);
  let values: unknown = {};
  for (const layer of layers) values = merge(values, layer.values);
  const placed: { path: readonly string[]; name: string }[] = [];
  for (const { name, keys, text } of variables) {
    const isFile = keys.at(-1)!.endsWith(FROM_FILE);
    const path = pathIn(values, isFile ? withoutSuffix(keys) : keys);
    const twice = placed.find((other) => other.path.join('\0') === path.join('\0'));
    if (twice !== undefined) throw wrong(`$${name}`, `means the same as $${twice.name}: set one`);
    const content = isFile ? readSecret(resolve(text), maxSize, depends, `$${name}`) : text;
    values = withValue(values, path, likeBefore(valueAt(values, path), content, name));
    placed.push({ path, name });
  }
  const origin: Sources['origin'] = (path) => {
    const variable = placed.find((it) => it.path.every((key, index) => path[index] === key));
    if (variable !== undefined) return { file: `$${variable.name}` };
    const layer =
      layers.findLast((it) => valueAt(it.values, path) !== undefined) ?? (layers[0] as Layer);
    return { file: layer.file, ...placeOfValue(layer.file, layer.text, path) };
  };
  return { values: values as Sources['values'], origin };
}

/** `app.yaml` for the place `linux` is `app.linux.yaml`. */
function fileOf(file: string, place: string): string {
  const end = extname(file);
  return `${file.slice(0, file.length - end.length)}.${place}${end}`;
}

function isMissing(path: string): boolean {
  // A link that leads nowhere is there.
  return lstatSync(path, { throwIfNoEntry: false }) === undefined;
}

function readLayer(file: string, maxSize: number, depends: (file: string) => void): Layer {
  const bytes = readWhole(file, maxSize);
  let text = '';
  try {
    text = decode(bytes);
    if (text.trim() === '') throw new ParseError('the file is empty', 0);
    if (text.includes('\0')) throw new ParseError('the file is not a text', text.indexOf('\0'));
    const values = parse(file, text);
    if (!isPlain(values)) throw new ParseError('the file must be a set of names with values', 0);
    return {
      file,
      text,
      values: finish(values, file, text, [], maxSize, depends) as Layer['values'],
    };
  } catch (error) {
    if (error instanceof ConfigFileError) throw error;
    if (error instanceof ParseError) {
      throw new ConfigFileError([{ file, message: error.message, ...placeOf(text, error.offset) }]);
    }
    // A parser that gives up on what is nested too deep, or needs a package that is not there.
    throw new ConfigFileError([{ file, message: (error as Error).message }], undefined, error);
  }
}

/** Numbers that mean what they look like, and the content of files in the place of their names. */
function finish(
  value: unknown,
  file: string,
  text: string,
  path: readonly string[],
  maxSize: number,
  depends: (file: string) => void,
): unknown {
  const at = (message: string) =>
    new ConfigFileError([{ file, message, path, ...placeOfValue(file, text, path) }]);
  if (value instanceof Numeral) {
    const number = numberOf(value.source);
    if (number === undefined)
      throw at(`${value} may mean several numbers: write it as a plain one, or in quotes`);
    return number;
  }
  if (Array.isArray(value))
    return value.map((item, index) =>
      finish(item, file, text, [...path, String(index)], maxSize, depends),
    );
  if (!isPlain(value)) return value;
  const pairs = Object.entries(value).map(([key, item]): [string, unknown] => {
    const here = [...path, key];
    if (!key.endsWith(FROM_FILE) || typeof item !== 'string')
      return [key, finish(item, file, text, here, maxSize, depends)];
    const name = key.slice(0, -FROM_FILE.length);
    if (Object.hasOwn(value, name)) throw at(`has both "${name}" and "${key}": one is enough`);
    return [name, readSecret(resolve(dirname(file), item), maxSize, depends, here.join('.'))];
  });
  return Object.fromEntries(pairs);
}

/** @returns undefined if people read it in more than one way: 077, 1:30 */
function numberOf(source: string): number | undefined {
  if (/^[-+]?0\d|:/.test(source)) return undefined;
  const special = /^([-+]?)\.(inf|nan)$/i.exec(source);
  if (special !== null) {
    if (special[2]!.toLowerCase() === 'nan') return Number.NaN;
    return special[1] === '-' ? Number.NEGATIVE_INFINITY : Number.POSITIVE_INFINITY;
  }
  const number = Number(source.replaceAll('_', ''));
  return Number.isNaN(number) ? undefined : number;
}

/** The content of a file, without the end of its last line. */
function readSecret(
  file: string,
  maxSize: number,
  depends: (file: string) => void,
  asked: string,
): string {
  depends(file);
  try {
    return decode(readWhole(file, maxSize)).replace(/\r?\n$/, '');
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw new ConfigFileError([{ file: asked, message: (error as Error).message }], code, error);
  }
}

/** @throws ConfigFileError for what is no file, is too large, or cannot be read */
function readWhole(file: string, maxSize: number): Buffer {
  try {
    // A FIFO that nobody writes to would have us wait.
    const fd = openSync(file, constants.O_RDONLY | constants.O_NONBLOCK);
    try {
      const stat = fstatSync(fd);
      if (!stat.isFile()) throw wrong(file, stat.isDirectory() ? 'is a directory' : 'is no file');
      if (stat.size > maxSize) throw wrong(file, `is larger than ${maxSize} bytes`);
      return readUpTo(fd, file, maxSize);
    } finally {
      closeSync(fd);
    }
  } catch (error) {
    if (error instanceof ConfigFileError) throw error;
    const { code } = error as NodeJS.ErrnoException;
    const message = whileTrying('cannot be read', error).message;
    throw new ConfigFileError([{ file, message }], code, error);
  }
}

/** What st_size says may be wrong already, and is 0 for files of /proc. */
function readUpTo(fd: number, file: string, maxSize: number): Buffer {
  const chunks: Buffer[] = [];
  for (let size = 0; ; ) {
    const chunk = Buffer.alloc(65_536);
    const count = readSync(fd, chunk);
    if (count === 0) return Buffer.concat(chunks);
    size += count;
    if (size > maxSize) throw wrong(file, `is larger than ${maxSize} bytes`);
    chunks.push(chunk.subarray(0, count));
  }
}

function wrong(file: string, message: string): ConfigFileError {
  return new ConfigFileError([{ file, message }]);
}

/** `APP_DATABASE__POOL_SIZE=5` is poolSize of database, with the prefix `APP_`. */
function variablesOf(environment: Wanted['environment'], prefix: string) {
  return Object.entries(environment).flatMap(([name, text]) => {
    if (text === undefined || !name.startsWith(prefix) || name === prefix) return [];
    const keys = name.slice(prefix.length).split('__');
    return keys.every((key) => key !== '') ? [{ name, keys, text }] : [];
  });
}

function withoutSuffix(keys: readonly string[]): string[] {
  return [...keys.slice(0, -1), keys.at(-1)!.slice(0, -FROM_FILE.length)];
}

/** The keys that are meant: those that there are, whichever way they are written, else in camel case. */
function pathIn(values: unknown, keys: readonly string[]): string[] {
  const letters = (key: string) => key.replace(/[_-]/g, '').toLowerCase();
  let at = values;
  return keys.map((key) => {
    const known = isPlain(at)
      ? Object.keys(at).find((it) => letters(it) === letters(key))
      : undefined;
    const name =
      known ?? key.toLowerCase().replace(/_(.)/g, (_, next: string) => next.toUpperCase());
    at = valueAt(at, [name]);
    return name;
  });
}

/** A variable is a text; it becomes what the value is whose place it takes. */
function likeBefore(before: unknown, text: string, name: string): unknown {
  const isText = before === undefined || before === null || typeof before === 'string';
  if (isText || before instanceof Date) return text;
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === typeof before && Array.isArray(value) === Array.isArray(before))
      return value;
  } catch {
    // Told below.
  }
  const kind = Array.isArray(before)
    ? 'list, as JSON'
    : isPlain(before)
      ? 'set, as JSON'
      : typeof before;
  throw wrong(`$${name}`, `must be a ${kind}, as what it stands in place of`);
}

/** What tells a version of files from another: a link counts by itself and by what it leads to. */
export function signatureOf(files: Iterable<string>): string {
  return [...files].map(signature).join('\n');
}

function signature(file: string): string {
  return [lstatSync, statSync]
    .map((look) => {
      try {
        // The time of change is not anybody's to set, unlike that of modification.
        const it = look(file, { bigint: true });
        return `${it.dev}:${it.ino}:${it.ctimeNs}:${it.size}`;
      } catch (error) {
        return (error as NodeJS.ErrnoException).code;
      }
    })
    .join(' ');
}
