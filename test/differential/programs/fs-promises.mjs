// fs/promises: a file handle opened before the midpoint, written, read by lines and closed after it.
import { appendFile, mkdir, open, readdir, readFile, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { temporaryDirectory } from './support/temporary.mjs';

const directory = temporaryDirectory();
const handle = await open(join(directory, 'log'), 'w+');
await handle.write('first line\n');
const pending = handle.write('second line\n');
await globalThis.midpoint?.();
await pending;
await handle.writev([Buffer.from('third '), Buffer.from('line\n')]);
await handle.sync();
const { buffer, bytesRead } = await handle.read({ buffer: Buffer.alloc(10), position: 6 });
console.log(bytesRead, JSON.stringify(buffer.toString()));
await handle.close();
const reopened = await open(join(directory, 'log'));
for await (const line of reopened.readLines()) console.log(line);
await mkdir(join(directory, 'a/b/c'), { recursive: true });
await rename(join(directory, 'log'), join(directory, 'a/b/log'));
await appendFile(join(directory, 'a/b/log'), 'end');
console.log((await readdir(directory, { recursive: true })).sort());
console.log((await readFile(join(directory, 'a/b/log'), 'utf8')).length, (await stat(directory)).isDirectory());
await rm(join(directory, 'a'), { recursive: true });
console.log(await readdir(directory));
