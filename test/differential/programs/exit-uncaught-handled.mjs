// process: an uncaughtException listener swallows errors from a timer, nextTick and a stream.
import { Readable } from 'node:stream';

const lines = [];
process.on('uncaughtException', (error, origin) => lines.push(`${origin}: ${error.message}`));
setTimeout(() => {
  throw new Error('timer');
}, 20);
await globalThis.midpoint?.();
process.nextTick(() => {
  throw new Error('tick');
});
await new Promise((resolve) => setImmediate(resolve));
new Readable({ read() {} }).destroy(new Error('stream'));
await new Promise((resolve) => setTimeout(resolve, 40));
console.log(lines.sort().join('\n'));
