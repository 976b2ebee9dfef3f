// worker_threads: Workers made after the midpoint: data, environment, limits, output, transfer, exit code.
import { once } from 'node:events';
import { SHARE_ENV, Worker, isMainThread, setEnvironmentData, threadId } from 'node:worker_threads';

setEnvironmentData('key', 'inherited');
await globalThis.midpoint?.();
const source = `
  const { parentPort, workerData, getEnvironmentData, isMainThread } = require('node:worker_threads');
  parentPort.once('message', (buffer) => {
    process.env.FROM_WORKER = 'shared environment';
    console.log('from the worker', getEnvironmentData('key'), isMainThread, workerData);
    parentPort.postMessage(buffer, [buffer]);
    process.exitCode = 3;
  });`;
const worker = new Worker(source, { eval: true, execArgv: [], env: SHARE_ENV, workerData: { a: [1] }, resourceLimits: { maxOldGenerationSizeMb: 64 } });
const buffer = new Uint8Array([1, 2, 3]).buffer;
const exit = once(worker, 'exit');
worker.postMessage(buffer, [buffer]);
const [returned] = await once(worker, 'message');
console.log(...(await exit), buffer.byteLength, returned.byteLength, process.env.FROM_WORKER);
console.log(isMainThread, threadId, worker.resourceLimits);
const few = Array.from({ length: 3 }, (_, index) => new Worker(`process.exit(${index} + 10)`, { eval: true, execArgv: [] }));
console.log((await Promise.all(few.map((one) => once(one, 'exit')))).join());
