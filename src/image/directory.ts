// Where relative paths begin. daemonize() moves to `/`, and paths that are given to this package after
// it mean what they meant on the command line.

import { resolve } from '../builtin/path.js';
import { shared } from '../posix/shared.js';
import { workingDirectory } from './image.js';

/** From where daemonize() has moved the process, and to where. */
const move = shared<{ from: string; to: string | undefined }>('move', () => ({
  from: '/',
  to: undefined,
}));

/** Changes the working directory, and remembers the old one for {@link startDirectory}. */
export function moveTo(directory: string): void {
  const from = startDirectory();
  process.chdir(directory);
  move.from = from;
  move.to = process.cwd();
}

/**
 * Where the program was started, unless it has changed its directory itself: then that. Empty: it was
 * removed, which matters to relative paths only.
 */
export function startDirectory(): string {
  const here = workingDirectory() ?? '';
  return here === move.to ? move.from : here;
}

/** The absolute path of one that was given to this package. */
export function absolutePath(path: string): string {
  return path.startsWith('/') ? resolve(path) : resolve(startDirectory(), path);
}
