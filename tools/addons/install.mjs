// Installs addons into .addons/MAJOR/NAME/, one by one: what one of them needs shall not keep another
// out. Each is compiled, where it has no binary, for the Node that is asked for. One that cannot be
// installed leaves the reason in its directory, and is not tried again until the directory is removed.

import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

export const root = join(import.meta.dirname, '../..');

/** One name in a path: '@swc/core' is swc+core. @param {string} name */
const plain = (name) => name.replace(/^@/, '').replace('/', '+');

/** @param {string} major @param {string} name */
export const directoryOf = (major, name) => join(root, '.addons', major, plain(name));

/** @param {string} major @param {string} name */
export const isInstalled = (major, name) => existsSync(join(directoryOf(major, name), 'installed'));

/** Why it could not be installed; undefined: it was, or nobody has tried. */
export function failureOf(major, name) {
  const path = join(directoryOf(major, name), 'failed');
  return existsSync(path) ? readFileSync(path, 'utf8').trim() : undefined;
}

/** Longer than any but duckdb's sources take. */
const PATIENCE_MINUTES = 25;

/** The line of npm's output that says most. @param {string} output */
function reasonIn(output) {
  const lines = output.split('\n').map((line) => line.replace(/^npm (?:error|ERR!) /, '').trim());
  const telling = [
    /fatal error: .*/,
    /Package .* was not found.*/,
    /error: .*/,
    /ModuleNotFoundError.*/,
    /(?:ENOTFOUND|ECONNREFUSED|ETIMEDOUT|EBADENGINE|ETARGET|E404).*/,
    /Error: .*/,
  ];
  for (const pattern of telling) {
    const found = lines.map((line) => pattern.exec(line)?.[0]).find((match) => match);
    if (found !== undefined) return found.slice(0, 160);
  }
  return lines.filter((line) => line !== '').at(-1) ?? 'npm said nothing';
}

/**
 * @param {string} node the binary
 * @param {string} major
 * @param {import('./packages.mjs').Package} wanted
 */
export async function install(node, major, { name, version, versions, beside = [], env, debian }) {
  const directory = directoryOf(major, name);
  if (isInstalled(major, name) || failureOf(major, name) !== undefined) return;
  mkdirSync(directory, { recursive: true });
  // Else npm looks for a package.json further up.
  writeFileSync(join(directory, 'package.json'), '{"private":true}\n');
  const headers = join(dirname(node), '..');
  const options = ['--no-audit', '--no-fund', '--foreground-scripts', '--ignore-scripts=false'];
  const words = [
    'npm',
    'install',
    ...options,
    `${name}@${versions?.[major] ?? version}`,
    ...beside,
  ];
  const child = spawn('nice', ['-n', '15', ...words], {
    cwd: directory,
    // A group of its own: compilers, too, end when the time is up.
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: {
      ...process.env,
      ...env,
      PATH: `${dirname(node)}:${process.env.PATH}`,
      JOBS: '2',
      MAKEFLAGS: '-j2',
      ...(existsSync(join(headers, 'include/node/node.h')) && { npm_config_nodedir: headers }),
    },
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text) => {
      output = (output + text).slice(-2_000_000);
    });
  }
  let late = false;
  const timer = setTimeout(() => {
    late = true;
    process.kill(-child.pid, 'SIGKILL');
  }, PATIENCE_MINUTES * 60_000);
  const code = await new Promise((resolve) => child.on('close', resolve));
  clearTimeout(timer);
  writeFileSync(join(directory, 'install.log'), output);
  if (code === 0) {
    writeFileSync(join(directory, 'installed'), '');
    return;
  }
  const hint = debian === undefined ? '' : ` (Debian: ${debian.join(', ')})`;
  const reason = late ? `it was not done in ${PATIENCE_MINUTES} minutes` : reasonIn(output);
  writeFileSync(join(directory, 'failed'), `${reason}${hint}\n`);
}
