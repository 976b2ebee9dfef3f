// A function that is named by the module it is in, so that it can be had in another process or thread.

import { existsSync } from '../builtin/fs.js';
import { resolve } from '../builtin/path.js';
import { invalidType } from '../posix/errors.js';

/**
 * The URL of a module that is there.
 * @param module a path, as of the working directory, or a file: URL
 * @throws ERR_INVALID_ARG_TYPE; ENOENT
 */
export function moduleUrl(module: unknown, name: string): string {
  const { fileURLToPath, pathToFileURL } = process.getBuiltinModule('node:url');
  const isUrl = module instanceof URL || (typeof module === 'string' && /^file:/.test(module));
  if (!isUrl && typeof module !== 'string') {
    throw invalidType(name, 'a function, or the path or URL of a module', module);
  }
  const path = isUrl ? fileURLToPath(module) : resolve(module);
  if (!existsSync(path)) {
    throw Object.assign(new Error(`${name}: there is no module ${path}`), {
      code: 'ENOENT',
      path,
    });
  }
  return pathToFileURL(path).href;
}

/** Calls what the module exports as its default. @throws ERR_INVALID_ARG_TYPE if that is no function */
export async function callModule(url: string, argument: unknown): Promise<unknown> {
  const { default: run } = (await import(url)) as { default?: unknown };
  if (typeof run !== 'function') {
    throw invalidType(`the default export of ${url}`, 'of type function', run);
  }
  return run(argument);
}
