// fs: a watcher and a watchFile started before the midpoint notice changes after it.
import fs from 'node:fs';
import { watch } from 'node:fs/promises';
import { join } from 'node:path';
import { temporaryDirectory } from './support/temporary.mjs';

const directory = temporaryDirectory();
const seen = new Set();
let notify;
const complete = new Promise((resolve) => {
  notify = resolve;
});
const watcher = fs.watch(directory, (event, name) => {
  seen.add(`${event} ${name}`);
  if (seen.has('rename created') && seen.has('change created')) notify();
});
let absent;
const missed = new Promise((resolve) => {
  absent = resolve;
});
const polled = new Promise((resolve) => {
  fs.watchFile(join(directory, 'polled'), { interval: 10 }, ({ size, nlink }) => {
    if (size === 5) resolve('polled');
    else if (nlink === 0) absent();
  });
});
await globalThis.midpoint?.();
fs.writeFileSync(join(directory, 'created'), 'data');
await complete;
await missed;
watcher.close();
console.log([...seen].sort().join(', '));
fs.writeFileSync(join(directory, 'polled'), '12345');
console.log(await polled);
fs.unwatchFile(join(directory, 'polled'));
const controller = new AbortController();
const events = watch(directory, { signal: controller.signal });
setTimeout(() => fs.mkdirSync(join(directory, 'made')), 5);
for await (const event of events)
  if (event.filename === 'made') {
    console.log(event.eventType);
    break;
  }
const idle = watch(directory, { signal: controller.signal });
controller.abort();
console.log((await idle.next().catch((error) => error)).name);
