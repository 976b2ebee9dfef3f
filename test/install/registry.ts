// Packages of the registry that the tests run: package managers, Node for other processors.

import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { root } from '../support/node.js';

/**
 * Installs a package into a folder of its own, once. Nothing that it installs is run: the flags have npm take
 * those for another processor, too.
 * @returns the path of a file in node_modules
 */
export function fetched(name: string, version: string, file: string): string {
  const folder = join(root, '.managers', `${name.replace('/', '+')}@${version}`);
  const path = join(folder, 'node_modules', file);
  if (!existsSync(path)) {
    mkdirSync(folder, { recursive: true });
    const words = [
      'install',
      '--no-save',
      '--no-audit',
      '--no-fund',
      '--force',
      '--prefix',
      folder,
    ];
    execFileSync('npm', [...words, `${name}@${version}`], { stdio: ['ignore', 'ignore', 'pipe'] });
  }
  return path;
}
