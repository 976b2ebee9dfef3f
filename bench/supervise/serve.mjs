// Throughput of two workers, and how evenly connections are spread over them.

import { spawn, spawnSync } from 'node:child_process';
import { answer } from './client.mjs';
import { processorTime, workersOf } from './memory.mjs';
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

/** @returns requests per second, and by how much the busiest worker has worked more than the idlest */
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
        const before = workers.map(processorTime);
        const rate = await wrk(port);
        const used = workers.map((worker, index) => processorTime(worker) - before[index]);
        if (round === 0) continue;
        results[`${name} ${app}`] ??= { rate: [], spread: [] };
        results[`${name} ${app}`].rate.push(rate);
        results[`${name} ${app}`].spread.push(Math.max(...used) / Math.max(1, Math.min(...used)));
      }
    }
    for (const { stop } of started) await stop();
  }
  return results;
}
