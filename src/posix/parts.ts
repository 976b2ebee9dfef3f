// Where the parts of the package are that are not in this file. What is compiled is in prebuilds/ for each
// platform; what was compiled here goes first.

import { closeSync, existsSync, openSync, readSync } from '../builtin/fs.js';
import { dirname } from '../builtin/path.js';

/** Of package.json, put in when this is bundled. */
declare const VERSION: string;

/**
 * The directory of this file; in a program's own bundle, that of the bundle. One of CommonJS has no
 * `import.meta`.
 */
export const here: string = import.meta.dirname ?? __dirname;

/**
 * The path of a compiled part of the package, such as 'doublefork.node'.
 * @returns undefined: there is none for this platform, or it is not found from here
 */
export function nativeFile(name: string): string | undefined {
  for (const root of roots()) {
    const built = `${root}/build/Release/${name}`;
    if (existsSync(built)) return built;
    const prebuilt = `${root}/prebuilds/${platform()}/${name}`;
    if (existsSync(prebuilt)) return prebuilt;
  }
  return undefined;
}

/**
 * Loads a module of dist/ that is not part of this bundle, at once: import() is not synchronous.
 * @throws MODULE_NOT_FOUND
 */
export function requirePart<T>(name: string): T {
  const file = partFile(name);
  return process.getBuiltinModule('node:module').createRequire(file)(file);
}

/** The path of a module of dist/. @throws MODULE_NOT_FOUND */
export function partFile(name: string): string {
  for (const root of roots()) {
    const file = `${root}/dist/${name}`;
    if (existsSync(file)) return file;
  }
  throw Object.assign(
    new Error(
      `doublefork's ${name} is not found from ${here}. In a bundle: leave doublefork out of it, as an ` +
        'external package; see docs/packaging.md',
    ),
    { code: 'MODULE_NOT_FOUND' },
  );
}

/** Where the package's root may be. */
export function* roots(): Generator<string> {
  // From a bundle in dist/, and from one level below that or src/.
  yield `${here}/..`;
  yield `${here}/../..`;
  // In a program's bundle: prebuilds/ copied beside it, or the package among its dependencies.
  yield here;
  const { createRequire } = process.getBuiltinModule('node:module');
  const require = createRequire(`${here}/`);
  let manifest: string;
  try {
    manifest = require.resolve('doublefork/package.json');
  } catch {
    return;
  }
  // Another version's parts would not fit.
  if (require(manifest).version === VERSION) yield dirname(manifest);
}

let known: string | undefined;

/** The name of what this process runs on, as in prebuilds/: linux-x64-glibc, darwin-arm64. */
export function platform(): string {
  known ??= [
    process.platform,
    process.arch,
    ...(process.platform === 'linux' ? [libc()] : []),
  ].join('-');
  return known;
}

/**
 * The libc of a process on Linux is that of the dynamic linker which its program names. Node's own report has it
 * too, and takes milliseconds.
 */
function libc(): 'glibc' | 'musl' {
  return interpreter(process.execPath).includes('musl') ? 'musl' : 'glibc';
}

/** What an ELF program of 64 bits has in PT_INTERP, see elf(5); '': nothing, or it cannot be read. */
function interpreter(path: string): string {
  const PT_INTERP = 3;
  const fd = openSync(path, 'r');
  try {
    const read = (length: number, position: bigint | number): Buffer => {
      const into = Buffer.alloc(length);
      readSync(fd, into, 0, length, Number(position));
      return into;
    };
    const head = read(64, 0);
    const size = head.readUInt16LE(54);
    const table = read(size * head.readUInt16LE(56), head.readBigUInt64LE(32));
    for (let at = 0; at < table.length; at += size) {
      if (table.readUInt32LE(at) !== PT_INTERP) continue;
      const [offset, length] = [table.readBigUInt64LE(at + 8), table.readBigUInt64LE(at + 32)];
      return read(Number(length), offset).toString('latin1');
    }
    return '';
  } finally {
    closeSync(fd);
  }
}
