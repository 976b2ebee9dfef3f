// Throughput of two workers, and how evenly connections are spread over them.

import { spawn, spawnSync } from 'node:child_process';
import { answer, ask } from './client.mjs';
import { workersOf } from './memory.mjs';
import { peers } from './peers.mjs';

const SECONDS = 3;
const CONNECTIONS = 64;

function wrk(port) {
  return new Promise((resolve, reject) => {
    let output = '';
    const url = `http://127.0.0.1:${port}/`;
    const child = spawn('wrk', ['-t1', `-c${CONNECTIONS}`, `-d${SECONDS}s`, url]);
    child.stdout.on('data', (data) => {
      output += data;
    });
    child.on('close', () => {
      const rate = Number(/Requests\/sec:\s+([\d.]+)/.exec(output)?.[1]);
      if (rate > 0) resolve(rate);
      else reject(new Error(`wrk: ${output}`));
    });
  });
}

/** How many requests each worker has answered, by its pid: asked until all have said it. */
async function served(port, workers) {
  const counts = new Map();
  while (counts.size < workers.length) {
    const said = await ask(port, '/served');
    if (said !== undefined) counts.set(Number(said.slice(0, -9)), Number(said.slice(-9)));
  }
  return workers.map((pid) => counts.get(pid));
}

/** @returns requests per second, and how many the busiest worker has answered for one of the idlest's */
export async function measureServing(rounds) {
  const results = {};
  if (spawnSync('wrk', ['-v']).error !== undefined) throw new Error('wrk is missing');
  for (const app of ['hello', 'express']) {
    const started = ['doublefork', 'node:cluster'].map((name) => ({
      name,
      ...peers[name]({ WORKERS: 2, APP: app }),
    }));
    for (const { port } of started) await answer(port);
    for (let round = 0; round <= rounds; round++) {
      for (const { name, port, pid } of round % 2 === 0 ? started : started.toReversed()) {
        const workers = workersOf(pid);
        const before = await served(port, workers);
        const rate = await wrk(port);
        const after = await served(port, workers);
        const answered = after.map((count, index) => count - before[index]);
        if (round === 0) continue;
        results[`${name} ${app}`] ??= { rate: [], spread: [] };
        results[`${name} ${app}`].rate.push(rate);
        results[`${name} ${app}`].spread.push(
          Math.max(...answered) / Math.max(1, Math.min(...answered)),
        );
      }
    }
    for (const { stop } of started) await stop();
  }
  return results;
}
