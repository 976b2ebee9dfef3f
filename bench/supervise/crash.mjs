// From the death of the only worker to the next answer.

import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { answer, ask, counts } from './client.mjs';
import { isAvailable, peers } from './peers.mjs';

/** How a worker dies. @type {Record<string, (pid: number, port: number) => unknown>} */
const deaths = {
  SIGKILL: (pid) => process.kill(pid, 'SIGKILL'),
  SIGSEGV: (pid) => process.kill(pid, 'SIGSEGV'),
  exception: (_pid, port) => ask(port, '/throw'),
};

/** Of runit and s6: what has lived for less is held back. In ms. */
const LEAST_LIFE = 1200;
/** Longer than the supervisor waits with the next spare, and with that made. In ms. */
const BETWEEN = 150;

async function crash(port, death, megabytes) {
  const pid = await answer(port);
  for (let i = 0; i < 20; i++) await ask(port);
  if (megabytes > 0) await ask(port, `/grow?mb=${megabytes}`, 5000);
  const private_ = privateMemory(pid);
  counts.refused = 0;
  const began = performance.now();
  deaths[death](Number(pid), port);
  await answer(port, pid);
  return { ms: performance.now() - began, refused: counts.refused, private: private_ };
}

/** In MB. */
function privateMemory(pid) {
  const text = readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8');
  const kilobytes = [...text.matchAll(/^Private_\w+:\s+(\d+)/gm)].map((match) => Number(match[1]));
  return kilobytes.reduce((sum, value) => sum + value, 0) / 1024;
}

/**
 * @param {number} rounds in each of which every peer has its turn once, and we nine times
 * @returns {Promise<Record<string, { ms: number[], refused: number, private: number[] }>>} by name and
 * kind of death
 */
export async function measureCrashes(rounds, only) {
  const names = Object.keys(peers).filter((name) => name !== 'plain' && isAvailable(name));
  const chosen = only === undefined ? names : names.filter((name) => only.includes(name));
  const started = chosen.map((name) => ({ name, ...peers[name]({ WORKERS: 1 }) }));
  for (const { port } of started) await answer(port);
  console.error(`up: ${chosen.join(', ')}`);
  const results = {};
  const take = async (name, port, death, megabytes) => {
    const taken = await crash(port, death, megabytes);
    const key = `${name} ${death}${megabytes > 0 ? ` ${megabytes} MB` : ''}`;
    results[key] ??= { ms: [], refused: 0, private: [] };
    results[key].ms.push(taken.ms);
    results[key].private.push(taken.private);
    results[key].refused += taken.refused;
  };
  for (let round = 0; round < rounds; round++) {
    const began = performance.now();
    for (const { name, port } of started) {
      const times = name === 'doublefork' ? 3 : 1;
      for (let i = 0; i < times; i++) {
        if (i > 0) await sleep(BETWEEN);
        await take(name, port, 'SIGKILL', 0);
      }
      if (name !== 'doublefork') continue;
      for (const [death, megabytes] of [
        ['SIGKILL', 300],
        ['SIGSEGV', 0],
        ['exception', 0],
        ['SIGKILL', 300],
        ['SIGSEGV', 0],
        ['exception', 0],
      ]) {
        await sleep(BETWEEN);
        await take(name, port, death, megabytes);
      }
    }
    await sleep(Math.max(BETWEEN, LEAST_LIFE - (performance.now() - began)));
  }
  for (const { stop } of started) await stop();
  return results;
}
