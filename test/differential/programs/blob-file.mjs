// buffer: Blob and File read, sliced and streamed over the midpoint; a blob URL resolved.
import { Blob, File, resolveObjectURL } from 'node:buffer';

const blob = new Blob(['first ', Buffer.from('second '), new Uint8Array([116, 104, 105, 114, 100])], {
  type: 'text/plain',
});
const url = URL.createObjectURL(blob);
const reader = blob.stream().getReader();
const first = await reader.read();
await globalThis.midpoint?.();
const parts = [first.value];
for (let next; !(next = await reader.read()).done; ) parts.push(next.value);
const text = await blob.text();
console.log(Buffer.concat(parts).toString() === text, text);
console.log(blob.size, blob.type, await blob.slice(6, 12).text());
console.log((await resolveObjectURL(url).arrayBuffer()).byteLength);
URL.revokeObjectURL(url);
console.log(resolveObjectURL(url));
const file = new File([blob], 'notes.txt', { lastModified: 0 });
console.log(file.name, file.lastModified, file.size, await file.text());
