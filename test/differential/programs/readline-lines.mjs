// readline: an interface half-way through its input at the midpoint; a question; line events.
import readline from 'node:readline';
import { PassThrough } from 'node:stream';

const input = new PassThrough();
const output = new PassThrough();
const lines = [];
const face = readline.createInterface({ input, output, terminal: false, crlfDelay: Infinity });
const ended = new Promise((resolve) => face.on('close', resolve));
face.on('line', (line) => lines.push(JSON.stringify(line)));
input.write('first\nsec');
await new Promise((resolve) => setImmediate(resolve));
await globalThis.midpoint?.();
input.write('ond\r\nthird\r');
input.write('\n');
await new Promise((resolve) => setImmediate(resolve));
const answer = new Promise((resolve) => face.question('name? ', resolve));
input.write('somebody\n');
lines.push(`answer ${await answer}`);
input.end('no newline at the end');
await ended;
console.log(lines.join(' '), JSON.stringify(String(output.read())));
readline.cursorTo(output, 3, 4);
readline.clearLine(output, 0);
console.log(JSON.stringify(String(output.read())));
