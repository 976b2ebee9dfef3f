// stream/consumers: text, json, buffer, arrayBuffer and blob of streams that end after the midpoint.
import { PassThrough } from 'node:stream';
import { arrayBuffer, blob, buffer, json, text } from 'node:stream/consumers';

const consumers = { text, json, buffer, arrayBuffer, blob };
const streams = Object.keys(consumers).map(() => new PassThrough());
const results = Object.values(consumers).map((consume, index) => consume(streams[index]));
for (const stream of streams) stream.write('{"key": "va');
await new Promise((resolve) => setImmediate(resolve));
await globalThis.midpoint?.();
for (const stream of streams) stream.end('lüe"}');
const [string, object, bytes, array, binary] = await Promise.all(results);
console.log(string, object, bytes.toString('hex'), array.byteLength, binary.size, await binary.text());
