// npm start: starts the server, shows what makes it a daemon, and fetches a page from it.

import { join } from 'node:path';
import { doublefork, NAME, statusOf } from './doublefork.mjs';
import { link, stat, status } from './proc.mjs';

// It returns when the server serves; what goes wrong is printed, and its code is the one of this.
const server = join(import.meta.dirname, 'server.mjs');
doublefork('start', '--name', NAME, '--ready', 'notify', '--', process.execPath, server);

const { pid, supervisor } = statusOf();
const url = supervisor.workers[0].status;
const here = stat(process.pid);
const there = stat(pid);

/** @type {[name: string, value: unknown, meaning: string][]} */
const table = [
  ['pid', pid, 'stays when a new version takes over'],
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
console.log(`\nGET ${url}\n  ${page.trimEnd()}

Change the greeting in examples/http-server/server.mjs, then: npx doublefork reload
The version before again: npx doublefork rollback
Stop it with: npm stop`);
