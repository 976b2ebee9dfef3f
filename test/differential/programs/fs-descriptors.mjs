// fs: 300 descriptors open at the midpoint, each with an offset of its own.
import fs from 'node:fs';
import { join } from 'node:path';
import { temporaryDirectory } from './support/temporary.mjs';

const directory = temporaryDirectory();
const descriptors = [];
for (let index = 0; index < 300; index++) {
  const path = join(directory, `f${index % 10}`);
  if (index < 10) fs.writeFileSync(path, String(index).repeat(600));
  const fd = fs.openSync(path, 'r');
  fs.readSync(fd, Buffer.alloc(index));
  descriptors.push(fd);
}
await globalThis.midpoint?.();
let sum = 0;
for (const [index, fd] of descriptors.entries()) {
  const buffer = Buffer.alloc(1000);
  if (fs.readSync(fd, buffer) !== 600 - index) console.log('wrong offset', index);
  sum += buffer[0] * index;
  fs.closeSync(fd);
}
console.log('sum', sum, 'distinct', new Set(descriptors).size);
