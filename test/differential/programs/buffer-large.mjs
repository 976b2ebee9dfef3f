// buffer: 48 MB filled before the midpoint are intact, and writable, after it.
import { Buffer } from 'node:buffer';
import { createHash } from 'node:crypto';

const size = 48 * 2 ** 20;
const buffer = Buffer.alloc(size);
for (let offset = 0; offset < size; offset += 4096) buffer.writeUInt32LE(offset * 2654435761 % 2 ** 32, offset);
const before = createHash('sha1').update(buffer).digest('hex');
const view = new Float64Array(buffer.buffer, buffer.byteOffset, 4);
await globalThis.midpoint?.();
const after = createHash('sha1').update(buffer).digest('hex');
buffer.fill('abc', size / 2);
console.log(before === after, after);
console.log(createHash('sha1').update(buffer).digest('hex'), view.length);
