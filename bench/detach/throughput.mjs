// What a daemon does with its time, against the same program in the foreground.

import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { connect } from 'node:net';
import { json, text } from 'node:stream/consumers';
import { setTimeout } from 'node:timers/promises';
import { interleave } from '../support/statistics.mjs';
import { spawnNode } from './programs.mjs';
import { firstPage, freePort, stopServer } from './server.mjs';

const SECONDS = 1;
const CONNECTIONS = 16;
/** One compiled program differs from the next by a percent: new ones every so often. */
const ROUNDS_PER_PAIR = 4;

/** @param {number} pairs of servers @returns {Promise<{ plain: number[], daemon: number[] }>} requests per second */
export async function measureHttp(pairs) {
  const load = spawnSync('wrk', ['-v']).error === undefined ? wrk : ownLoad;
  const all = { plain: [], daemon: [] };
  for (let pair = 0; pair < pairs; pair++) {
    const plain = await startServer('app.mjs');
    const daemon = await startServer('app-doublefork.mjs');
    const taken = await interleave(
      { plain: () => load(plain.port), daemon: () => load(daemon.port) },
      ROUNDS_PER_PAIR,
    );
    for (const name of ['plain', 'daemon']) all[name].push(...taken[name]);
    await stopServer(plain.page, plain.port);
    await stopServer(daemon.page, daemon.port);
  }
  return all;
}

/** @param {number} rounds @returns {Promise<{ plain: number[], daemon: number[] }>} ms */
export function measureCompute(rounds) {
  return interleave({ plain: () => compute('0'), daemon: () => compute('1') }, rounds);
}

async function compute(daemon) {
  const child = spawnNode('compute.mjs', {
    env: { ...process.env, DAEMON: daemon },
    stdio: ['ignore', 'ignore', 'inherit', 'pipe'],
  });
  const { ms } = await json(child.stdio[3]);
  return ms;
}

async function startServer(file) {
  const port = await freePort();
  spawnNode(file, {
    env: { ...process.env, PORT: String(port) },
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  return { port, page: await firstPage(port) };
}

async function wrk(port) {
  const child = spawn(
    'wrk',
    ['-t1', `-c${CONNECTIONS}`, `-d${SECONDS}s`, `http://127.0.0.1:${port}/`],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  );
  const report = await text(child.stdout);
  return Number(/^Requests\/sec: +([\d.]+)/m.exec(report)[1]);
}

/** Where wrk is missing. Slower than the server, so it shows less of a difference. */
async function ownLoad(port) {
  let answers = 0;
  const sockets = Array.from({ length: CONNECTIONS }, () => {
    const socket = connect(port, '127.0.0.1');
    const ask = () => socket.write('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n');
    socket.on('connect', ask).on('data', () => {
      answers++;
      ask();
    });
    return socket;
  });
  const start = performance.now();
  await setTimeout(SECONDS * 1000);
  const rate = (answers * 1000) / (performance.now() - start);
  await Promise.all(sockets.map((socket) => once(socket.destroy(), 'close')));
  return rate;
}
