// examples/order-book: the same book, in memory with a journal, and in SQLite; killed, and started again.

import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { expect, test } from 'vitest';
import { temporaryFolder } from '../../support/folder.js';
import { node, root } from '../../support/node.js';
import { execute } from '../../support/program.js';

const databases = `${root}/.databases/`;
const version = execFileSync(node, ['-p', 'process.versions.node'], { encoding: 'utf8' });
/** better-sqlite3 is compiled for the Node that ran tools/databases.mjs. */
const hasSqlite =
  Number.parseInt(version, 10) >= 22 ||
  (node === process.execPath && existsSync(`${databases}node_modules/better-sqlite3`));

/** Talks to the server, kills it, and says what is there afterwards. */
const CLIENT = `
import { spawn } from 'node:child_process';
import { once } from 'node:events';
const [kind, directory] = process.argv.slice(1);
async function start() {
  const child = spawn(process.execPath, ['--no-warnings', 'examples/order-book/server.mjs', kind, directory],
    { stdio: ['ignore', 'pipe', 'inherit'], env: { ...process.env, PORT: '0', SNAPSHOT_EVERY: '20' } });
  const [line] = await once(child.stdout, 'data');
  const url = 'http://localhost:' + /port (\\d+)/.exec(line)[1];
  const ask = async (command) => (await fetch(url, command && { method: 'POST', body: JSON.stringify(command) })).json();
  return { ask, end: async (signal) => { child.kill(signal); return (await once(child, 'exit'))[0]; } };
}
const lives = [];
let id = 0;
for (const signal of ['SIGKILL', 'SIGKILL', 'SIGTERM']) {
  const { ask, end } = await start();
  const before = await ask();
  const trades = [];
  for (let i = 0; i < 30; i++) {
    const side = id % 3 === 0 ? 'sell' : 'buy';
    trades.push(...await ask({ place: { id: ++id, side, price: 10 + (id * 7) % 5, amount: 1 + id % 4 } }));
  }
  await ask({ cancel: id });
  lives.push({ before, trades, after: await ask() });
  const code = await end(signal);
  if (signal === 'SIGTERM') lives.push({ code });
}
console.log(JSON.stringify(lives));
`;

async function lives(kind: string) {
  const { code, stdout, stderr } = await execute(
    node,
    ['--input-type=module', '-e', CLIENT, '--', kind, temporaryFolder()],
    { env: { SQLITE_FROM: databases } },
  );
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  return JSON.parse(stdout);
}

test('an order book with a journal and snapshots is there again after kill -9', async () => {
  const [first, second, third, { code }] = await lives('journal');
  expect(first.before).toEqual([]);
  expect(first.trades.length).toBeGreaterThan(5);
  expect(first.after.length).toBeGreaterThan(5);
  expect(second.before).toEqual(first.after);
  expect(third.before).toEqual(second.after);
  expect(code).toBe(0);
});

test.skipIf(!hasSqlite)('an order book in SQLite is the same book', async () => {
  expect(await lives('sqlite')).toEqual(await lives('journal'));
});
