// doublefork.config.{json,yaml,toml}, or the key "doublefork" of package.json.

import { existsSync, readFileSync } from '../builtin/fs.js';
import { basename, dirname, join, relative, resolve } from '../builtin/path.js';
import type { App } from '../control/app.js';
import { whileTrying } from '../posix/errors.js';
import { APP, checkApp } from './app.js';
import { decode, locate, ParseError, parse } from './parse.js';
import { ConfigError, entries } from './value.js';

const NAMES = [
  'doublefork.config.json',
  'doublefork.config.yaml',
  'doublefork.config.yml',
  'doublefork.config.toml',
];

/** A config file that was read. */
export interface Config {
  file: string;
  apps: App[];
}

/**
 * Reads the config file of a folder.
 * @param file a file to read in its place
 * @returns undefined if there is none
 * @throws Error, with file and line, for what is wrong in it; ENOENT for a `file` that there is not
 */
export async function readConfig(folder: string, file?: string): Promise<Config | undefined> {
  const path = file === undefined ? find(folder) : resolve(folder, file);
  if (path === undefined) return undefined;
  const isPackage = basename(path) === 'package.json';
  const bytes = read(path);
  let text = '';
  try {
    text = decode(bytes);
    const parsed = await parse(path, text);
    const raw = isPackage ? (parsed as { doublefork?: unknown } | null)?.doublefork : parsed;
    if (raw === undefined) return undefined;
    return { file: path, apps: checkApps(raw, dirname(path), isPackage ? ['doublefork'] : []) };
  } catch (error) {
    if (error instanceof ParseError) {
      throw new Error(excerpt(path, text, error.offset, error.message));
    }
    if (!(error instanceof ConfigError)) throw error;
    const at = locate(text, error.path);
    const what = error.path.length > 0 ? error.path.join('.') : 'the file';
    throw new Error(excerpt(path, text, at, error.about(what)));
  }
}

function read(path: string): Buffer {
  try {
    return readFileSync(path);
  } catch (error) {
    throw whileTrying(`cannot read the config file ${path}`, error);
  }
}

function find(folder: string): string | undefined {
  const named = NAMES.map((name) => join(folder, name)).filter(existsSync);
  if (named.length > 1) {
    throw new Error(`there are several config files: ${named.join(', ')}; give one by --config`);
  }
  if (named.length === 1) return named[0];
  const manifest = join(folder, 'package.json');
  return existsSync(manifest) ? manifest : undefined;
}

/** `{ apps: { name: … } }`, or one app alone. */
function checkApps(raw: unknown, base: string, path: readonly string[]): App[] {
  const { apps, ...rest } = (raw ?? {}) as { apps?: unknown };
  if (apps === undefined) return [checkApp(raw, base, path)];
  const stray = Object.keys(rest)[0];
  if (stray !== undefined) throw new ConfigError('cannot stand beside "apps"', [...path, stray]);
  return entries(apps, [...path, 'apps'], 'a set of apps by name').map(([name, app]) => {
    const here = [...path, 'apps', name];
    return checkApp({ name, ...Object.fromEntries(entries(app, here, APP)) }, base, here);
  });
}

/** `file:line: message`, and the line. */
function excerpt(path: string, text: string, offset: number, message: string): string {
  const line = text.slice(0, offset).split('\n').length;
  const content = text.split('\n')[line - 1] ?? '';
  const file = relative(process.cwd(), path);
  const where = `${file.startsWith('..') ? path : file}:${line}: ${message}`;
  return content === '' ? where : `${where}\n  ${line} | ${content}`;
}
