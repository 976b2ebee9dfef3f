// Which process serves, and where: a file in a folder that only this user can write to.

import { lstatSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startTime } from './proc.mjs';

const folder = join(
  process.env.XDG_RUNTIME_DIR || tmpdir(),
  `doublefork-http-server-${process.getuid()}`,
);
const file = join(folder, 'state.json');

/** What the server writes to stdout and stderr. */
export const log = join(folder, 'server.log');

// In a shared /tmp somebody else may have made it first, and would choose whom we signal.
mkdirSync(folder, { recursive: true, mode: 0o700 });
const { uid, mode } = lstatSync(folder);
if (uid !== process.getuid() || (mode & 0o170777) !== 0o040700) {
  console.error(`${folder} must be a folder that belongs to you, with mode 0700. Remove it.`);
  process.exit(1);
}

/**
 * @typedef {{ pid: number, startTime: number, url: string }} State
 * @returns {State | undefined} of the server that runs now; undefined: none does
 */
export function running() {
  try {
    const state = JSON.parse(readFileSync(file, 'utf8'));
    // After a crash the number may have gone to another process.
    return startTime(state.pid) === state.startTime ? state : undefined;
  } catch (error) {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  }
}

/** Makes this process the one that runs. @param {string} url */
export function remember(url) {
  const { pid } = process;
  // Renamed into place, so that a reader finds all of it or none.
  const draft = `${file}.${pid}`;
  writeFileSync(draft, JSON.stringify({ pid, startTime: startTime(pid), url }));
  renameSync(draft, file);
}

/** Undoes {@link remember}. */
export function forget() {
  if (running()?.pid === process.pid) rmSync(file);
}
