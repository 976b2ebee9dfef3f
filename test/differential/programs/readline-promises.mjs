// readline/promises: a question pending at the midpoint, an aborted one, and a terminal with editing.
import { createInterface, Readline } from 'node:readline/promises';
import { PassThrough } from 'node:stream';

const input = new PassThrough();
const output = new PassThrough();
const face = createInterface({ input, output, terminal: true, historySize: 5, completer: (line) => [[`${line}plete`], line] });
const pending = face.question('pending? ');
await globalThis.midpoint?.();
input.write('yex\x7fs\n');
console.log(await pending);
const controller = new AbortController();
const aborted = face.question('aborted? ', { signal: controller.signal }).catch((error) => error.name);
controller.abort();
console.log(await aborted);
const completed = face.question('? ');
input.write('com');
input.write('\t');
while (face.line !== 'complete') await new Promise((resolve) => setImmediate(resolve));
input.write('\n');
console.log(await completed, face.history ?? 'no history');
face.close();
const actions = new Readline(output).cursorTo(1, 1).clearScreenDown();
output.read();
await actions.commit();
console.log(JSON.stringify(String(output.read())));
