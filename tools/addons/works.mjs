// What is done with each addon. tools/soak takes some of them into its scenarios.

import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { directoryOf, isInstalled, root } from './install.mjs';
import { building } from './works/building.mjs';
import { computing } from './works/computing.mjs';
import { databases } from './works/databases.mjs';
import { engine } from './works/engine.mjs';
import { pictures } from './works/pictures.mjs';
import { system } from './works/system.mjs';

/**
 * What a program has of an addon: opened, warmed up, before anything is called.
 * @typedef Work
 * @property {() => void | Promise<void>} check uses what was opened before; throws if an answer is wrong
 * @property {() => void | Promise<void>} [checkCopy] the same for a copy of the process, of what two
 *   processes cannot both use: a socket, whose messages either of them would take. It opens its own
 * @property {() => Promise<void>} [inFlight] begins something in a thread, or with the kernel, that takes
 *   a while; rejects if the answer is wrong
 */

/**
 * @callback Start
 * @param {NodeJS.Require} load as from where the addon is installed
 * @param {string} directory for its files, empty
 * @returns {Work | Promise<Work>}
 */

/** @type {Record<string, Start>} */
export const works = { ...building, ...computing, ...databases, ...engine, ...pictures, ...system };

/** @param {string} major of Node @param {string} name @param {string} directory */
export async function startWork(major, name, directory) {
  const load = createRequire(join(directoryOf(major, name), 'package.json'));
  return works[name](load, directory);
}

/** Hang, as `doublefork doctor` says of them. */
const UNSAFE = ['zeromq'];

/** Names of those that are installed for that Node, and known to work. @param {string} major */
export function installedWorks(major) {
  if (!existsSync(join(root, '.addons', major))) return [];
  return Object.keys(works).filter((name) => isInstalled(major, name) && !UNSAFE.includes(name));
}
