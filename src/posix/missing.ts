// What to say, and to do, when the addon is not where it should be.

import { existsSync } from '../builtin/fs.js';
import { dirname } from '../builtin/path.js';
import { here, platform, roots } from './parts.js';

/** What each package manager leaves in or beside node_modules, and how it puts a package back that lost files. */
const TRACES: readonly (readonly [file: string, reinstall: string])[] = [
  ['node_modules/.package-lock.json', 'npm ci'],
  ['node_modules/.modules.yaml', 'pnpm install --force'],
  ['node_modules/.yarn-state.yml', 'rm -r node_modules && yarn install'],
  ['.pnp.cjs', 'rm -r .yarn/unplugged && yarn install'],
  ['bun.lock', 'rm -r node_modules && bun install'],
  ['bun.lockb', 'rm -r node_modules && bun install'],
];

/** The command line that installs this package again; undefined: there is no trace of a package manager. */
function reinstall(): string | undefined {
  for (let folder = here; ; folder = dirname(folder)) {
    const trace = TRACES.find(([file]) => existsSync(`${folder}/${file}`));
    if (trace !== undefined) return trace[1];
    if (folder === dirname(folder)) return undefined;
  }
}

const COMPILE =
  'To compile it: npm run build:addon in the package’s directory, see docs/packaging.md there';

/** The error for an addon that is not there. */
export function missing(): Error {
  return Object.assign(new Error(reason()), { code: 'MODULE_NOT_FOUND' });
}

function reason(): string {
  const packed = [...roots()].some((root) => existsSync(`${root}/prebuilds`));
  if (packed) return `doublefork comes without a binary for ${platform()}. ${COMPILE}`;
  const file = `prebuilds/${platform()}/doublefork.node`;
  const command = reinstall();
  return command === undefined
    ? `doublefork's ${file} is not found from ${here}. In a bundle: leave doublefork out of it, as an external ` +
        'package, or copy its prebuilds/ beside the bundle. Else install it again'
    : `doublefork's ${file} is missing: not all of the package is installed. To install it again: ${command}`;
}

/** The error for an addon that does not load, `cause` being dlopen(3)'s. */
export function unloadable(file: string, cause: Error): Error {
  const remedy = /\.zip\//.test(file)
    ? 'It is in an archive of Yarn Plug’n’Play, and can only be loaded from a directory: yarn unplug doublefork'
    : COMPILE;
  return Object.assign(
    new Error(`${file} cannot be loaded: ${cause.message.trim()}. ${remedy}`, { cause }),
    {
      code: 'ERR_DLOPEN_FAILED',
    },
  );
}
