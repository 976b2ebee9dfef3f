// worker_threads: an error thrown in a Worker, a clone that fails, a Worker that runs out of memory.
import { once } from 'node:events';
import { Worker } from 'node:worker_threads';

const make = (source, options) => new Worker(source, { eval: true, execArgv: [], ...options });
const thrower = make(`require('worker_threads').parentPort.once('message', () => { throw new TypeError('in the worker'); })`);
await once(thrower, 'online');
await globalThis.midpoint?.();
const failed = once(thrower, 'error').catch((error) => [error]);
try {
  thrower.postMessage(() => {});
} catch (cloneError) {
  console.log(cloneError.name);
}
const exited = new Promise((resolve) => thrower.on('exit', resolve));
thrower.postMessage('go');
const [error] = await failed;
console.log(error.name, error.message, await exited);
const rejecting = make(`Promise.reject(new Error('rejected in the worker'))`);
console.log((await once(rejecting, 'message').catch((reason) => reason)).message);
const hungry = make(`const all = []; for (;;) all.push(new Array(10_000).fill(all.length));`, {
  resourceLimits: { maxOldGenerationSizeMb: 12, maxYoungGenerationSizeMb: 2 },
});
console.log((await once(hungry, 'message').catch((reason) => reason)).code);
