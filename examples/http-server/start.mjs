// npm start: starts the server, shows what makes it a daemon, and fetches a page from it.

import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { link, stat, status } from './proc.mjs';
import { log, running } from './state.mjs';

// The server prints what goes wrong itself, and this returns when it serves, or has failed.
const launcher = spawnSync(process.execPath, [join(import.meta.dirname, 'server.mjs')], {
  stdio: 'inherit',
});
if (launcher.error !== undefined) throw launcher.error;
if (launcher.status !== 0) process.exit(launcher.status ?? 1);

const server = running();
if (server === undefined) {
  console.error(`The server was ready and is gone. Its log: ${log}`);
  process.exit(1);
}
const { pid, url } = server;
const here = stat(process.pid);
const there = stat(pid);

/** @type {[name: string, value: unknown, meaning: string][]} */
const table = [
  ['pid', pid, `started by ${launcher.pid}, which is gone`],
  ['parent', `${there.parent} (${status(there.parent, 'Name')})`, 'adopts orphans'],
  ['session', there.session, `its own: this shell's is ${here.session}`],
  ['group', there.group, `led by nobody: ${there.group} forked, and exited`],
  ['terminal', there.terminal || 'none', 'and only a session leader can get one'],
  ['cwd', link(pid, 'cwd'), 'keeps no file system from being unmounted'],
  ['umask', status(pid, 'Umask'), `its own: this shell's is ${status(process.pid, 'Umask')}`],
  ['fd 0', link(pid, 'fd/0'), 'reads nothing from a terminal'],
  ['fd 1', link(pid, 'fd/1'), 'its log'],
  ['fd 2', link(pid, 'fd/2'), 'the same'],
];
const width = Math.max(...table.map(([, value]) => String(value).length));
console.log(`The server is a daemon now. What /proc/${pid} says:\n`);
for (const [name, value, meaning] of table) {
  console.log(`  ${name.padEnd(8)}  ${String(value).padEnd(width)}  ${meaning}`);
}

const page = await (await fetch(url)).text();
console.log(`\nGET ${url}\n  ${page.trimEnd()}\n\nStop it with: npm stop`);
