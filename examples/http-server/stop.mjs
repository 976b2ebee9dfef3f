// npm stop: ends the server and waits until it is gone.

import { setTimeout } from 'node:timers/promises';
import { startTime } from './proc.mjs';
import { running } from './state.mjs';

const DEADLINE_MS = 10_000;

const server = running();
if (server === undefined) {
  // What was asked for is the case: success, as LSB has it for init scripts.
  console.log('The server is not running.');
  process.exit(0);
}

const { pid } = server;
process.kill(pid, 'SIGTERM');
const end = Date.now() + DEADLINE_MS;
while (startTime(pid) === server.startTime) {
  if (Date.now() > end) {
    console.error(`The server (pid ${pid}) did not end within ${DEADLINE_MS} ms of SIGTERM.`);
    process.exit(1);
  }
  await setTimeout(10);
}
console.log(`The server (pid ${pid}) has ended.`);
