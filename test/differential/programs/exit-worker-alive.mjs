// process: exit() while a Worker spins and threadpool work is in flight.
import { pbkdf2 } from 'node:crypto';
import { once } from 'node:events';
import { Worker } from 'node:worker_threads';

const source = `require('node:worker_threads').parentPort.postMessage('up'); for (;;) Math.sqrt(2);`;
await globalThis.midpoint?.();
const worker = new Worker(source, { eval: true, execArgv: [] });
await once(worker, 'message');
pbkdf2('a', 'b', 1_000_000, 64, 'sha512', () => console.log('never'));
console.log('leaving');
process.exit(6);
