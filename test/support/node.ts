// Which Node the programs under test run on. The matrix sets it; vitest itself runs on one only.

import { execFileSync } from 'node:child_process';

export const node = process.env.DOUBLEFORK_NODE ?? process.execPath;

/** The major version of that Node. */
export const nodeMajor = Number(
  execFileSync(node, ['-p', 'process.versions.node.split(".")[0]'], { encoding: 'utf8' }),
);

/** The root of the checkout, in which `import 'doublefork'` finds the package itself. */
export const root = new URL('../..', import.meta.url).pathname.replace(/\/$/, '');
