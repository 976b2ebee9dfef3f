// stream: a slow Writable, a Transform and a Readable with full buffers at the midpoint.
import { Duplex, Readable, Transform, Writable, finished, pipeline } from 'node:stream';

const lines = [];
let produced = 0;
const source = new Readable({
  objectMode: true,
  highWaterMark: 4,
  read() {
    this.push(produced < 30 ? { number: produced++ } : null);
  },
});
const square = new Transform({
  objectMode: true,
  highWaterMark: 2,
  transform: ({ number }, _, callback) => setImmediate(callback, null, number * number),
  flush(callback) {
    this.push('flushed');
    callback();
  },
});
const consumed = [];
const slow = new Writable({
  objectMode: true,
  highWaterMark: 2,
  write: (item, _, callback) => setImmediate(() => callback(void consumed.push(item))),
});
const done = new Promise((resolve) => pipeline(source, square, slow, resolve));
while (consumed.length < 5) await new Promise((resolve) => setImmediate(resolve));
await globalThis.midpoint?.();
lines.push((await done) ?? 'no error', consumed.join(), produced);
const echo = Duplex.from(async function* upper(input) {
  for await (const chunk of input) yield String(chunk).toUpperCase();
});
echo.end('duplex');
for await (const chunk of echo) lines.push(String(chunk));
const broken = new Readable({ read() {} });
const failure = new Promise((resolve) => finished(broken, (error) => resolve(`${error.code} ${broken.errored}`)));
broken.destroy();
lines.push(await failure);
console.log(lines.join('\n'));
