// fs: a read stream half-way and a write stream with pending writes at the midpoint.
import { createHash } from 'node:crypto';
import { createReadStream, createWriteStream, statSync, writeFileSync } from 'node:fs';
import { once } from 'node:events';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { temporaryDirectory } from './support/temporary.mjs';

const directory = temporaryDirectory();
const source = join(directory, 'source');
writeFileSync(source, Buffer.alloc(2_000_000, 'pattern '));
const reader = createReadStream(source, { highWaterMark: 16_384 });
const writer = createWriteStream(join(directory, 'target'));
const hash = createHash('sha256');
let chunks = 0;
for await (const chunk of reader) {
  if (++chunks === 40) await globalThis.midpoint?.();
  hash.update(chunk);
  if (!writer.write(chunk)) await once(writer, 'drain');
}
writer.end();
await once(writer, 'close');
console.log(chunks, hash.digest('hex'), writer.bytesWritten, statSync(writer.path).size);
await pipeline(createReadStream(source, { start: 10, end: 99 }), createWriteStream(join(directory, 'part')));
console.log(statSync(join(directory, 'part')).size);
