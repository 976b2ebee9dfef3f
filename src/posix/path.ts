// Programs by name, as a shell finds them: execve(2) does not search.

import { accessSync, constants, statSync } from '../builtin/fs.js';
import { constants as os } from '../builtin/os.js';
import { delimiter, resolve } from '../builtin/path.js';
import { posixError } from './errors.js';

/**
 * Finds a program.
 * @param program a path, or a name to look for
 * @param cwd where a relative path begins
 * @param path the directories to look in, as in PATH
 * @throws ENOENT; EACCES if there is one that may not be executed
 */
export function findExecutable(program: string, cwd: string, path: string): string {
  const directories = program.includes('/') ? [''] : path.split(delimiter);
  let unusable: Unusable = 'ENOENT';
  for (const directory of directories) {
    const file = resolve(cwd, directory, program);
    const reason = whyNot(file);
    if (reason === undefined) return file;
    if (reason === 'EACCES') unusable = reason;
  }
  const where = program.includes('/') ? 'there' : 'in PATH';
  const why =
    unusable === 'ENOENT'
      ? `there is no such program ${where}`
      : `what is ${where} is not an executable file`;
  throw posixError(-os.errno[unusable], 'execve', program, `cannot run ${program}: ${why}`);
}

type Unusable = 'ENOENT' | 'EACCES';

function whyNot(file: string): Unusable | undefined {
  try {
    if (!statSync(file).isFile()) return 'EACCES';
  } catch {
    // Nor can anybody tell who may not look into the directory: root's, in a PATH that was kept.
    return 'ENOENT';
  }
  try {
    accessSync(file, constants.X_OK);
    return undefined;
  } catch {
    return 'EACCES';
  }
}
