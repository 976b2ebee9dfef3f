// child_process: a child killed by a signal, by an abort and by a timeout.
import { spawn } from 'node:child_process';
import { once } from 'node:events';

await globalThis.midpoint?.();
const killed = spawn('sleep', ['30']);
await once(killed, 'spawn');
console.log(killed.kill('SIGKILL'), ...(await once(killed, 'exit')), killed.killed);

const controller = new AbortController();
const aborted = spawn('sleep', ['30'], { signal: controller.signal });
const failure = once(aborted, 'error').catch((error) => error);
const left = new Promise((resolve) => aborted.on('exit', (...args) => resolve(args)));
aborted.on('error', (error) => console.log(error.name, error.code));
controller.abort();
await failure;
console.log(...(await left));

const late = spawn('sleep', ['30'], { timeout: 20, killSignal: 'SIGINT' });
console.log(...(await once(late, 'exit')));
