// daemonize() against the least that a double fork can cost: two bare clones of the same process.

import { json } from 'node:stream/consumers';
import { interleave } from '../support/statistics.mjs';
import { spawnNode } from './programs.mjs';

/**
 * @param {number} megabytes size of the process; a plain one has about 45
 * @param {number} rounds
 * @returns {Promise<{ clones: number[], daemonize: number[] }>} ms
 */
export function measureDetach(megabytes, rounds) {
  const env = { ...process.env, MEGABYTES: String(megabytes) };
  // Each in a process of its own, once: so is daemonize() called, and a second clone finds the
  // pages write-protected already.
  return interleave(
    { clones: () => run('clones.mjs', env), daemonize: () => run('detach.mjs', env) },
    rounds,
  );
}

/** What the program, or the daemon it becomes, writes to fd 3. */
async function run(file, env) {
  const child = spawnNode(file, {
    env,
    stdio: ['ignore', 'ignore', 'inherit', 'pipe'],
  });
  const { ms } = await json(child.stdio[3]);
  return ms;
}
