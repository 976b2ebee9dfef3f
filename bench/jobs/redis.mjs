// As much data in redis-server, as many writes a second, and BGSAVE meanwhile: the longest that a command takes.
// node bench/jobs/redis.mjs ENTRIES

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const entries = Number(process.argv[2]);
const directory = mkdtempSync(join(tmpdir(), 'doublefork-bench-'));
const socketPath = join(directory, 'redis.sock');
const server = spawn(
  'redis-server',
  [
    '--port',
    '0',
    '--unixsocket',
    socketPath,
    '--save',
    '',
    '--dir',
    directory,
    '--rdbcompression',
    'no',
  ],
  { stdio: ['ignore', 'pipe', 'inherit'] },
);
let log = '';
server.stdout.on('data', (text) => {
  log += text;
});
while (!log.includes('Ready to accept') && !log.includes('ready to accept'))
  await once(server.stdout, 'data');
server.stdout.resume();

const socket = connect(socketPath);
await once(socket, 'connect');
/** Those who wait for an answer, in order. */
const waiting = [];
let rest = '';
socket.setEncoding('latin1').on('data', (text) => {
  const parts = (rest + text).split('\r\n');
  rest = parts.pop();
  for (const part of parts) {
    if (part.startsWith('$')) continue;
    waiting.shift()?.(part);
  }
});
const bulk = (text) => `$${text.length}\r\n${text}\r\n`;
const command = (...words) =>
  new Promise((resolve) => {
    waiting.push(resolve);
    socket.write(`*${words.length}\r\n${words.map(bulk).join('')}`);
  });

const VALUE = 'v'.repeat(400);
for (let id = 0; id < entries; ) {
  const some = [];
  for (let n = 0; n < 5000 && id < entries; n++, id++)
    some.push(command('SET', `key:${id}`, `${id}${VALUE}`));
  await Promise.all(some);
}

const RATE = 10_000;
/** @returns the longest that a command has taken, in ms */
async function writing(isDone) {
  const begin = performance.now();
  let longest = 0;
  let written = 0;
  while (!isDone(performance.now() - begin)) {
    const due = ((performance.now() - begin) * RATE) / 1000;
    for (; written < due; written++) {
      const sent = performance.now();
      const id = Math.floor(Math.random() * entries);
      void command('SET', `key:${id}`, `${written}${VALUE}`).then(() => {
        longest = Math.max(longest, performance.now() - sent);
      });
    }
    await new Promise((resolve) => setImmediate(resolve));
  }
  return { longest, took: performance.now() - begin, written };
}

const nothing = await writing((ms) => ms > 3000);
log = '';
void command('BGSAVE');
const bgsave = await writing(() => log.includes('Background saving terminated'));
console.log(JSON.stringify({ nothing, bgsave }));
socket.destroy();
server.kill();
await once(server, 'exit');
rmSync(directory, { recursive: true });
