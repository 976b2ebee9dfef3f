// Checks that imports only ever point down: `npm run lint` runs it. A directory may use those of the
// layers below its own, not its neighbours; and no file may import itself by way of others.

import { readdirSync, readFileSync, statSync } from 'node:fs';
import { dirname, join, normalize, relative, sep } from 'node:path';

/**
 * @typedef House
 * @property {string} root
 * @property {string[][]} layers from the top down; directories of `root`, or files in it
 * @property {RegExp} files those that are read
 * @property {RegExp} imports with the imported path as its group
 * @property {(path: string, from: string) => string} resolve the file that is imported
 */

/** @type {House[]} */
const houses = [
  {
    root: 'src',
    layers: [
      ['index.ts', 'cli'],
      ['health', 'settings', 'state'],
      ['config', 'supervise', 'jobs'],
      // Finds, signals and stops a daemon; its record.
      ['control'],
      ['detach'],
      ['listen', 'logs', 'pidfile'],
      // What a service and its manager tell each other.
      ['systemd'],
      // A program started again: what it was, what is handed to it.
      ['image'],
      // One typed function per system call.
      ['posix'],
      // Node's own modules, as the bundles load them.
      ['builtin'],
    ],
    files: /\.ts$/,
    imports: /(?:\bfrom|\bimport|\brequire)\s*\(?\s*'(\.[^']+)'/g,
    resolve: (path, from) => join(dirname(from), path).replace(/\.js$/, '.ts'),
  },
  {
    root: 'native',
    layers: [
      ['addon.cc'],
      ['exec', 'fork', 'logger', 'supervise'],
      ['confine', 'detach', 'syscalls'],
      // What several need: failure, message, pipe, system calls past libc.
      ['base'],
    ],
    files: /\.(cc|h)$/,
    imports: /^#include "([^"]+)"/gm,
    resolve: (path) => join('native', path),
  },
];

process.chdir(join(import.meta.dirname, '..'));
const faults = houses.flatMap(faultsOf);
for (const fault of faults) console.error(fault);
process.exitCode = faults.length === 0 ? 0 : 1;

/** @param {House} house @returns {string[]} */
function faultsOf(house) {
  const imports = readImports(house);
  return [...arrowsUp(house, imports), ...cycles(imports)];
}

/** By file, what it imports of the same house. @param {House} house */
function readImports({ root, files, imports, resolve }) {
  const paths = readdirSync(root, { recursive: true, encoding: 'utf8' })
    .map((path) => join(root, path))
    .filter((path) => files.test(path) && statSync(path).isFile());
  const known = new Set(paths);
  return new Map(
    paths.map((path) => {
      const found = [...readFileSync(path, 'utf8').matchAll(imports)];
      const targets = found.map(([, target]) =>
        normalize(resolve(/** @type {string} */ (target), path)),
      );
      return [path, targets.filter((target) => known.has(target))];
    }),
  );
}

/** @param {House} house @param {Map<string, string[]>} imports @returns {string[]} */
function arrowsUp({ root, layers }, imports) {
  /** @param {string} path */
  const roomOf = (path) => /** @type {string} */ (relative(root, path).split(sep)[0]);
  /** @param {string} path */
  const levelOf = (path) => layers.findIndex((layer) => layer.includes(roomOf(path)));
  const faults = [];
  for (const [path, targets] of imports) {
    if (levelOf(path) < 0) {
      faults.push(
        `${path}: ${root}/${roomOf(path)} is in no layer; say in tools/layers.mjs which it is in`,
      );
      continue;
    }
    for (const target of targets) {
      if (roomOf(target) === roomOf(path) || levelOf(target) > levelOf(path)) continue;
      if (levelOf(target) < 0) continue;
      const how = levelOf(target) === levelOf(path) ? 'in the same layer' : 'above it';
      faults.push(`${path} imports ${target}, which is ${how}: see tools/layers.mjs`);
    }
  }
  return faults;
}

/** Each cycle once, as the way around. @param {Map<string, string[]>} imports @returns {string[]} */
function cycles(imports) {
  /** @type {string[]} */
  const faults = [];
  const done = new Set();
  /** @param {string} path @param {string[]} way */
  const walk = (path, way) => {
    const at = way.indexOf(path);
    if (at >= 0) faults.push(`a cycle: ${[...way.slice(at), path].join(' -> ')}`);
    if (at >= 0 || done.has(path)) return;
    for (const target of imports.get(path) ?? []) walk(target, [...way, path]);
    done.add(path);
  };
  for (const path of imports.keys()) walk(path, []);
  return faults;
}
