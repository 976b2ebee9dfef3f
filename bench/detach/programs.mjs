import { spawn } from 'node:child_process';
import { join } from 'node:path';

/**
 * Starts one of the programs that are measured.
 *
 * In a session of its own, as the daemon has it: Linux shares the processors out among sessions first
 * (sched_autogroup_enabled), and on a busy machine that is all that one would measure.
 * @param {string} file
 * @param {import('node:child_process').SpawnOptions} options
 */
export function spawnNode(file, options) {
  const path = join(import.meta.dirname, 'programs', file);
  return spawn(process.execPath, [path], { ...options, detached: true });
}
