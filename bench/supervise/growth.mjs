// Kills the only worker of a supervisor, again and again, and looks at what the supervisor has grown
// by: memory, descriptors, children, spares and holders among them. Usage: node bench/supervise/growth.mjs [kills, default 10000]

import { spawn } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

const kills = Number(process.argv[2] ?? 10_000);
const program = `
  import { supervise } from 'doublefork';
  import { writeSync } from 'node:fs';
  supervise({ minUptime: 0, log: 'none' });
  writeSync(1, process.pid + '\\n');
  setInterval(() => {}, 1e6);
`;

const supervisor = spawn(process.execPath, ['--input-type=module', '-e', program], {
  stdio: ['ignore', 'pipe', 'inherit'],
});

const field = (name) =>
  Number(readFileSync(`/proc/${supervisor.pid}/status`, 'utf8').match(`${name}:\\s+(\\d+)`)[1]);
const look = () => ({
  rss: field('VmRSS'),
  anonymous: field('RssAnon'),
  descriptors: readdirSync(`/proc/${supervisor.pid}/fd`).length,
  threads: field('Threads'),
  children: readFileSync(`/proc/${supervisor.pid}/task/${supervisor.pid}/children`, 'utf8')
    .split(' ')
    .filter(Boolean).length,
});

/** A holder stays for 50 ms after its worker, and the next spare is made meanwhile. */
async function settled() {
  await sleep(500);
  return look();
}

// The first ones fill caches and let the compiler do its work.
const WARM = Math.min(1000, kills / 10);
let done = 0;
let first;
const began = performance.now();
for await (const text of supervisor.stdout.setEncoding('utf8')) {
  const pid = Number(text);
  // Of every fourth a spare takes the place, which is made after 40 ms.
  if (done % 4 === 0) await sleep(60);
  if (done === WARM) first = await settled();
  if (done % 1000 === 0) console.log(String(done).padStart(6), JSON.stringify(look()));
  if (done === kills + WARM) break;
  process.kill(pid, 'SIGKILL');
  done++;
}
const last = await settled();
const seconds = (performance.now() - began) / 1000;
const grown = Object.fromEntries(Object.keys(last).map((key) => [key, last[key] - first[key]]));
console.log(JSON.stringify({ kills, perSecond: Math.round(done / seconds), first, last, grown }));
supervisor.kill('SIGTERM');
const ok = grown.rss < 1024 && grown.descriptors === 0 && grown.children === 0;
console.log(ok ? 'within the limit' : 'OVER the limit: 1024 kB, no descriptors, no children');
process.exitCode = ok ? 0 : 1;
