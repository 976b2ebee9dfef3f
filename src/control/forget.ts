// Forgets a daemon that has stopped: its record, its pidfile, its own directory. Not its log.

import { rmSync } from '../builtin/fs.js';
import { dirname } from '../builtin/path.js';
import { controlFor } from './folders.js';
import { removeRecord } from './record.js';
import { findDaemon, pidfileOf, type Target } from './target.js';

/** @returns false if it runs: then nothing was done. @throws as {@link findDaemon} does */
export function forget(target: Target): boolean {
  if (findDaemon(target) !== undefined) return false;
  // The record last: it says where the pidfile is.
  rmSync(pidfileOf(target), { force: true });
  if (!('name' in target)) return true;
  rmSync(dirname(controlFor(target.name)), { recursive: true, force: true });
  removeRecord(target.name);
  return true;
}
