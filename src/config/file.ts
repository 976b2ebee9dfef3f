// doublefork.config.{json,yaml,toml}, or the key "doublefork" of package.json.

import { pathToFileURL } from 'node:url';
import { existsSync, readFileSync } from '../builtin/fs.js';
import { basename, dirname, join, relative, resolve } from '../builtin/path.js';
import type { App } from '../control/app.js';
import { workingDirectory } from '../control/working-directory.js';
import { whileTrying } from '../posix/errors.js';
import { APP, checkApp } from './app.js';
import { startOrder } from './order.js';
import { decode, locate, ParseError, parse } from './parse.js';
import { ConfigError, entries } from './value.js';

const NAMES = [
  'doublefork.config.json',
  'doublefork.config.yaml',
  'doublefork.config.yml',
  'doublefork.config.toml',
  ...['js', 'mjs', 'cjs', 'ts', 'mts'].map((end) => `doublefork.config.${end}`),
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
    const parsed = MODULE.test(path) ? await load(path) : parse(path, text);
    const raw = isPackage ? (parsed as { doublefork?: unknown } | null)?.doublefork : parsed;
    if (raw === undefined) return undefined;
    const keys = isPackage ? ['doublefork'] : [];
    const apps = checkApps(raw, dirname(path), keys);
    const order = startOrder(apps, apps);
    if (!Array.isArray(order)) {
      throw new ConfigError(order.message, [...keys, 'apps', order.name, 'dependsOn']);
    }
    return { file: path, apps };
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

const MODULE = /\.[cm]?[jt]s$/;

/** A file in JavaScript, or in TypeScript where Node runs that. Its default export counts. */
async function load(path: string): Promise<unknown> {
  if (/ts$/.test(path) && !Reflect.get(process.features, 'typescript')) {
    throw new Error(
      `cannot read ${path}: Node ${process.version} does not run TypeScript; write it as .mjs`,
    );
  }
  try {
    const { default: config, ...named } = await import(pathToFileURL(path).href);
    return config ?? named;
  } catch (error) {
    throw new Error(`cannot run the config file ${path}: ${(error as Error).message}`, {
      cause: error,
    });
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
export function checkApps(raw: unknown, base: string, path: readonly string[]): App[] {
  // For editors.
  const { $schema: _, ...said } = (raw ?? {}) as { $schema?: unknown };
  const { apps, ...rest } = said as { apps?: unknown };
  if (apps === undefined) return [checkApp(Array.isArray(raw) ? raw : said, base, path)];
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
  const file = relative(workingDirectory() ?? '/', path);
  const where = `${file.startsWith('..') ? path : file}:${line}: ${message}`;
  return content === '' ? where : `${where}\n  ${line} | ${content}`;
}
