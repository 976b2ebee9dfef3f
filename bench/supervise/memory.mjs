// What workers take, and how long a start takes.

import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { answer } from './client.mjs';
import { peers } from './peers.mjs';

/** The children of a process. */
const childrenOf = (pid) =>
  readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ').filter(Boolean).map(Number);

const commandOf = (pid) => readFileSync(`/proc/${pid}/comm`, 'utf8').trim();

const isSpare = (pid) => commandOf(pid) === 'spare-worker';
/** Processes made ahead of need, by their names. */
const isAhead = (pid) => /^(spare-worker|memory-holder)$/.test(commandOf(pid));

export const workersOf = (pid) => childrenOf(pid).filter((child) => !isAhead(child));

/** In ticks. */
export function processorTime(pid) {
  const text = readFileSync(`/proc/${pid}/stat`, 'utf8');
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  return Number(fields[11]) + Number(fields[12]);
}

/** In MB. Who shares the memory of another one, and not a copy of it, takes none of its own. */
function pss(pid) {
  if (commandOf(pid) === 'memory-holder') return 0;
  return Number(/^Pss:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8'))[1]) / 1024;
}

const family = (pid) => [pid, ...childrenOf(pid).flatMap(family)];
const sum = (pids) => pids.reduce((total, pid) => total + pss(pid), 0);

export async function measureMemory(workers) {
  const result = {};
  for (const name of ['doublefork', 'node:cluster']) {
    const { port, pid, stop } = peers[name]({ WORKERS: workers });
    const seen = new Set();
    const end = Date.now() + 30_000;
    while (seen.size < workers && Date.now() < end) seen.add(await answer(port));
    // Ours has a spare, which is to be counted: made when all is well, and asleep when it has its pages.
    while (name === 'doublefork' && Date.now() < end && !childrenOf(pid).some(isSpare))
      await sleep(50);
    await sleep(500);
    const all = family(pid);
    if (name === 'doublefork' && !all.some(isSpare)) throw new Error('there is no spare yet');
    result[name] = sum(all);
    if (name === 'doublefork') result.ahead = sum(all.filter(isAhead));
    await stop();
  }
  return result;
}

/** From the start of the program to its first answer, in ms. */
export async function measureStart(rounds) {
  const result = { doublefork: [], plain: [] };
  for (let round = 0; round <= rounds; round++) {
    for (const name of Object.keys(result)) {
      const began = performance.now();
      const { port, stop } = peers[name]({ WORKERS: 1, WARM: 0 });
      await answer(port);
      if (round > 0) result[name].push(performance.now() - began);
      await stop();
    }
  }
  return result;
}
