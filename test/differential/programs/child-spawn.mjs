// child_process: spawn with pipes, environment, extra descriptors and an exit code.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';

await globalThis.midpoint?.();
const upper = spawn('tr', ['a-z', 'A-Z']);
upper.stdin.end('through a pipe\n'.repeat(1000));
const loud = await text(upper.stdout);
console.log(loud.length, loud.slice(0, 14));

const shell = spawn('sh', ['-c', 'echo "$GREETING" >&3; echo err >&2; exit 5'], {
  env: { ...process.env, GREETING: 'good day' },
  stdio: ['ignore', 'ignore', 'pipe', 'pipe'],
});
const exit = once(shell, 'close');
const [third, err] = await Promise.all([text(shell.stdio[3]), text(shell.stderr)]);
console.log(JSON.stringify(third), JSON.stringify(err), ...(await exit));

const inherit = spawn('echo', ['straight to the inherited output'], { stdio: ['ignore', 'inherit', 'inherit'] });
console.log(...(await once(inherit, 'close')));
