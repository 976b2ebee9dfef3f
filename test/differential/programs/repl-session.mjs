// repl: a session that keeps its variables over the midpoint, prints errors, awaits and knows commands.
import repl from 'node:repl';
import { PassThrough } from 'node:stream';

const input = new PassThrough();
const output = new PassThrough();
let text = '';
output.on('data', (chunk) => {
  text += chunk;
});
const until = async (mark) => {
  while (!text.includes(mark)) await new Promise((resolve) => setTimeout(resolve, 1));
};
const server = repl.start({ prompt: '> ', input, output, terminal: false, useColors: false });
server.context.given = { a: 1 };
server.defineCommand('shout', function shout(word) {
  this.output.write(`${word.toUpperCase()}\n`);
  this.displayPrompt();
});
input.write('const kept = { b: given.a + 1 }\n');
await until('undefined');
await globalThis.midpoint?.();
input.write('kept\n[1, 2].map((x) => {\nreturn x * 2;\n})\n');
await until('[ 2, 4 ]');
input.write('undefinedName\n.shout loud\n_error.name\n');
await until("'ReferenceError'");
const exit = new Promise((resolve) => server.on('exit', resolve));
input.write('.exit\n');
await exit;
console.log(text);
