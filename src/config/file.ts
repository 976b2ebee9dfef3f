// doublefork.config.{json,yaml,toml}, or the key "doublefork" of package.json.

import { existsSync, readFileSync } from 'node:fs';
import { basename, dirname, join, relative, resolve } from 'node:path';
import type { App } from '../control/app.js';
import { ConfigError, checkApp } from './app.js';

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
  const text = readFileSync(path, 'utf8');
  const isPackage = basename(path) === 'package.json';
  const parsed = await parse(path, text);
  const raw = isPackage ? (parsed as { doublefork?: unknown } | null)?.doublefork : parsed;
  if (raw === undefined) return undefined;
  try {
    return { file: path, apps: checkApps(raw, dirname(path), isPackage ? ['doublefork'] : []) };
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    const at = locate(text, error.path);
    const what = error.path.length > 0 ? `${error.path.join('.')} ` : 'it ';
    throw new Error(excerpt(path, text, at, what + error.message));
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
  if (typeof apps !== 'object' || apps === null || Array.isArray(apps)) {
    throw new ConfigError('must be a set of apps by name', [...path, 'apps']);
  }
  return Object.entries(apps).map(([name, app]) =>
    checkApp({ name, ...app }, base, [...path, 'apps', name]),
  );
}

async function parse(path: string, text: string): Promise<unknown> {
  const wrong = (offset: number, message: string) =>
    new Error(excerpt(path, text, offset, message));
  if (path.endsWith('.toml')) {
    const { parse: parseToml, TomlError } = await import('smol-toml');
    try {
      return parseToml(text);
    } catch (error) {
      if (!(error instanceof TomlError)) throw error;
      throw wrong(offsetOf(text, error.line), error.message.split('\n')[0]!);
    }
  }
  if (path.endsWith('.json')) {
    try {
      return JSON.parse(text);
    } catch (error) {
      const { message } = error as SyntaxError;
      // Node says the position, except at the end.
      const position = /at position (\d+)/.exec(message)?.[1];
      throw wrong(position === undefined ? text.length : Number(position), message);
    }
  }
  const { parseDocument } = await import('yaml');
  const document = parseDocument(text, { prettyErrors: false });
  const error = document.errors[0];
  if (error !== undefined) throw wrong(error.pos[0], error.message);
  return document.toJS();
}

function offsetOf(text: string, line: number): number {
  return (
    text
      .split('\n')
      .slice(0, line - 1)
      .join('\n').length + 1
  );
}

/** Where a value is: after each key that leads to it, one behind the other. */
function locate(text: string, path: readonly string[]): number {
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

/** `file:line: message`, and the line. */
function excerpt(path: string, text: string, offset: number, message: string): string {
  const line = text.slice(0, offset).split('\n').length;
  const content = text.split('\n')[line - 1] ?? '';
  const file = relative(process.cwd(), path);
  return `${file.startsWith('..') ? path : file}:${line}: ${message}\n  ${line} | ${content}`;
}
