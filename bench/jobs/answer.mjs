// What a Worker, or a process of child_process.fork(), runs to give an answer.

import { parentPort } from 'node:worker_threads';

if (parentPort === null) process.send(42, () => process.disconnect());
else parentPort.postMessage(42);
