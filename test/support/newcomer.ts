// The newcomer's path: install the package, write README's first program, run it, look at the page.

import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'vitest';
import { node } from './node.js';
import { firstProgram, freePort } from './package.js';
import { stat, until } from './processes.js';
import { execute } from './program.js';

export interface Newcomer {
  project: string;
  /** The command line that installs the package. */
  install: readonly [command: string, ...args: string[]];
  /** The command line that runs a program; node, if there is none. */
  run?: readonly [command: string, ...args: string[]];
  env: Readonly<Record<string, string>>;
}

/** Goes that path, and stops the daemon. @returns how long it took from the installation to the page, in ms */
export async function followReadme({
  project,
  install,
  run = [node],
  env,
}: Newcomer): Promise<number> {
  const port = await freePort();
  writeFileSync(join(project, 'hello.mjs'), firstProgram(port));
  const began = performance.now();
  const installed = await execute(install[0], install.slice(1), { cwd: project, env });
  expect(installed.code, installed.stdout + installed.stderr).toBe(0);
  const [command, ...words] = run;
  const started = await execute(command, [...words, 'hello.mjs'], { cwd: project, env });
  expect(started).toMatchObject({ code: 0, stderr: '' });
  const pid = Number(readFileSync(join(project, 'hello.pid'), 'utf8'));
  try {
    const page = await fetch(`http://localhost:${port}/`);
    expect(await page.text()).toBe(`Hello from ${pid}\n`);
    return performance.now() - began;
  } finally {
    process.kill(pid, 'SIGTERM');
    await until(() => stat(pid) === undefined, 'the daemon has ended');
  }
}
