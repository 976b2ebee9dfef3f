// The command of this package; installed it is `npx doublefork`.

import { spawnSync } from 'node:child_process';
import { join } from 'node:path';

const command = join(import.meta.dirname, '../../dist/cli/doublefork.cjs');

/** The name of the server, for the command. */
export const NAME = 'http-server';

/** Gives a command, and ends with its code unless that is 0. @param {string[]} words */
export function doublefork(...words) {
  const { status, error } = spawnSync(process.execPath, [command, ...words], { stdio: 'inherit' });
  if (error !== undefined) throw error;
  if (status !== 0) process.exit(status ?? 1);
}

/** What `doublefork status --json` says of the server. */
export function statusOf() {
  const { stdout } = spawnSync(process.execPath, [command, 'status', NAME, '--json']);
  return JSON.parse(String(stdout))[0];
}
