// Where the command was given.

import { statSync } from '../builtin/fs.js';
import { isAbsolute } from '../builtin/path.js';

/**
 * The working directory by the way that the user has gone there: what is started in `current`, a link, is
 * started again in what that leads to then. Shells keep that way in PWD.
 * @returns undefined if the directory was removed
 */
export function workingDirectory(): string | undefined {
  const { PWD } = process.env;
  if (PWD !== undefined && isAbsolute(PWD) && isHere(PWD)) return PWD;
  try {
    return process.cwd();
  } catch {
    return undefined;
  }
}

function isHere(path: string): boolean {
  const there = statSync(path, { throwIfNoEntry: false });
  const here = statSync('.');
  return there?.ino === here.ino && there.dev === here.dev;
}
