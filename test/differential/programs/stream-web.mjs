// stream/web: readable, writable, transform and byte streams, tee and text codecs over the midpoint.
import { Readable } from 'node:stream';
import { ReadableStream, TextDecoderStream, TransformStream, WritableStream } from 'node:stream/web';

let pulled = 0;
const source = new ReadableStream({
  async pull(controller) {
    await new Promise((resolve) => setTimeout(resolve, 1));
    if (pulled === 8) controller.close();
    else controller.enqueue(pulled++);
  },
});
const [left, right] = source.tee();
const reader = left.getReader();
const seen = [(await reader.read()).value];
const pending = reader.read();
await globalThis.midpoint?.();
seen.push((await pending).value);
reader.releaseLock();
for await (const value of left) seen.push(value);
const written = [];
await right
  .pipeThrough(new TransformStream({ transform: (value, controller) => controller.enqueue(value ** 2) }))
  .pipeTo(new WritableStream({ write: (value) => void written.push(value) }));
console.log(seen.join(), written.join());
const bytes = new ReadableStream({
  type: 'bytes',
  start(controller) {
    for (const byte of Buffer.from('bÿtes 🐚')) controller.enqueue(new Uint8Array([byte]));
    controller.close();
  },
});
let text = '';
for await (const part of bytes.pipeThrough(new TextDecoderStream())) text += part;
console.log(text, await Readable.fromWeb(ReadableStream.from(['a', 'b'])).toArray());
