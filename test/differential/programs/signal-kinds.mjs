// signals: several handlers, installed before and after the midpoint, added, removed, sent by a child.
import { spawnSync } from 'node:child_process';
import { once } from 'node:events';

const lines = [];
const note = (name) => lines.push(name);
const keepAlive = setInterval(() => {}, 1000);
for (const name of ['SIGHUP', 'SIGUSR2', 'SIGWINCH', 'SIGINT']) process.on(name, note);
const received = async (name, send) => {
  const arrival = once(process, name);
  send();
  await arrival;
};
await received('SIGUSR2', () => process.kill(process.pid, 'SIGUSR2'));
await globalThis.midpoint?.();
for (const name of ['SIGHUP', 'SIGUSR2', 'SIGWINCH', 'SIGINT']) await received(name, () => process.kill(process.pid, name));
process.on('SIGCONT', note);
await received('SIGCONT', () => spawnSync('kill', ['-CONT', String(process.pid)]));
process.off('SIGWINCH', note);
process.on('SIGPIPE', note);
await received('SIGPIPE', () => process.kill(process.pid, 'SIGPIPE'));
process.kill(process.pid, 'SIGWINCH');
clearInterval(keepAlive);
console.log(lines.join(' '));
