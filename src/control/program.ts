// Which file a program is, and how it is run.

import { pathToFileURL } from 'node:url';
import { accessSync, constants } from '../builtin/fs.js';
import { constants as os } from '../builtin/os.js';
import { extname, isAbsolute, join } from '../builtin/path.js';
import type { Executable } from '../detach/exec-into.js';
import { posixError } from '../posix/errors.js';
import { findExecutable } from '../posix/path.js';

const JAVASCRIPT = new Set(['.js', '.mjs', '.cjs']);
const TYPESCRIPT = new Set(['.ts', '.mts', '.cts']);

/**
 * Finds a program: a path, or a name to look for in PATH. JavaScript and TypeScript files are run
 * with this very node.
 * @throws ENOENT, EACCES, ENOTSUP for TypeScript that this node cannot run
 */
export function findProgram(
  program: string,
  args: readonly string[],
  cwd: string,
  search = process.env.PATH ?? '',
): Executable {
  const extension = extname(program);
  if (JAVASCRIPT.has(extension) || TYPESCRIPT.has(extension)) {
    const script = isAbsolute(program) ? program : join(cwd, program);
    try {
      accessSync(script, constants.R_OK);
    } catch (error) {
      // As of any program that is not there, or may not be read.
      const { errno = 0, code } = error as NodeJS.ErrnoException;
      const why = code === 'ENOENT' ? 'there is no such file' : 'it cannot be read';
      throw posixError(errno, 'execve', script, `cannot run ${script}: ${why}`);
    }
    const flags = TYPESCRIPT.has(extension) ? typescriptFlags(script) : [];
    return { path: process.execPath, argv: [process.execPath, ...flags, script, ...args] };
  }
  const path = findExecutable(program, cwd, search);
  return { path, argv: [program, ...args] };
}

/** Newer versions of Node run TypeScript as it is; for others the project may have tsx. */
function typescriptFlags(script: string): string[] {
  if (Reflect.get(process.features, 'typescript')) return [];
  try {
    const { createRequire } = process.getBuiltinModule('node:module');
    const tsx = createRequire(script).resolve('tsx');
    return ['--import', pathToFileURL(tsx).href];
  } catch (error) {
    const why = `cannot run ${script}: Node ${process.version} does not run TypeScript, and tsx is not installed here`;
    throw Object.assign(posixError(-os.errno.ENOTSUP, 'execve', script, why), { cause: error });
  }
}
