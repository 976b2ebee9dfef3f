// From the start of a command to the first byte that its server sends.

import { once } from 'node:events';
import { interleave } from '../support/statistics.mjs';
import { spawnNode } from './programs.mjs';
import { firstPage, freePort, stopServer } from './server.mjs';

const VARIANTS = {
  plain: 'app.mjs',
  doublefork: 'app-doublefork.mjs',
  exec: 'app-exec.mjs',
  spawn: 'app-spawn.mjs',
  'daemonize-process': 'app-daemonize-process.mjs',
};

/** @param {number} rounds @returns {Promise<Record<keyof typeof VARIANTS, number[]>>} ms */
export function measureStart(rounds) {
  const entries = Object.entries(VARIANTS).map(([name, file]) => [name, () => startToServed(file)]);
  return interleave(Object.fromEntries(entries), rounds);
}

async function startToServed(file) {
  const port = await freePort();
  const start = performance.now();
  const launcher = spawnNode(file, {
    env: { ...process.env, PORT: String(port) },
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  const ended = once(launcher, 'exit');
  const page = await firstPage(port);
  const ms = performance.now() - start;
  await stopServer(page, port);
  await ended;
  return ms;
}
