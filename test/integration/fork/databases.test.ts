// Real databases that are open when daemonize() is called: C29. Those that are addons are installed by
// `node tools/databases.mjs`, and not tested where that was not run.

import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { hasFork } from '../../support/engine.js';
import { temporaryFolder } from '../../support/folder.js';
import { node, nodeMajor, root } from '../../support/node.js';
import { start } from '../../support/program.js';

/** A database for the programs of a test, in JavaScript. */
interface Database {
  name: string;
  /** Whether it is there. */
  there: boolean;
  /** Opens `path` and defines `put(n)`, which commits row n to the disk, and `count()`. May throw. */
  open: string;
}

const directory = join(root, '.databases');
const installed = (name: string) => existsSync(join(directory, 'node_modules', name));
const load = `
  const { createRequire } = await import('node:module');
  const load = createRequire(${JSON.stringify(`${directory}/`)});
`;

/** A write transaction is open, of which it is never known whether others are in its way. */
const sqlite = (journal: string) => `
  db.exec('pragma journal_mode = ${journal}; pragma synchronous = full; pragma busy_timeout = 0');
  db.exec('create table if not exists t (n)');
  db.exec('begin immediate');
  const put = (n) => { db.exec('insert into t values (' + n + ')'); db.exec('commit'); db.exec('begin immediate'); };
  const count = () => Number(db.prepare('select count(*) as n from t').get().n);
`;

const databases: Database[] = ['wal', 'delete'].flatMap((journal) => [
  {
    name: `node:sqlite, journal ${journal}`,
    // Not in Node 20; behind a flag before 22.13.
    there: nodeMajor >= 22,
    open: `
      const { DatabaseSync } = process.getBuiltinModule('node:sqlite');
      const db = new DatabaseSync(path);
      ${sqlite(journal)}
    `,
  },
  {
    name: `better-sqlite3, journal ${journal}`,
    // Compiled for one Node.
    there: installed('better-sqlite3') && node === process.execPath,
    open: `${load}
      const db = new (load('better-sqlite3'))(path);
      ${sqlite(journal)}
    `,
  },
]);
databases.push(
  {
    name: 'classic-level',
    there: installed('classic-level'),
    open: `${load}
      const { ClassicLevel } = load('classic-level');
      const db = new ClassicLevel(path);
      await db.open();
      const put = (n) => db.put(String(n), '', { sync: true });
      const count = async () => (await db.keys().all()).length;
    `,
  },
  {
    name: '@duckdb/node-api',
    there: installed('@duckdb/node-api'),
    open: `${load}
      const { DuckDBInstance } = load('@duckdb/node-api');
      const db = await (await DuckDBInstance.create(path)).connect();
      await db.run('create table if not exists t (n integer)');
      const put = (n) => db.run('insert into t values (' + n + ')');
      const count = async () => Number((await db.runAndReadAll('select count(*) from t')).getRows()[0][0]);
    `,
  },
);

/** What a second process finds: the number of rows, or that it is kept out. */
function second(open: string, path: string): string {
  const source = `const path = ${JSON.stringify(path)};
    try { ${open} console.log(await count()); } catch (error) { console.log('kept out'); }
    process.exit(0);`;
  const { stdout, stderr } = spawnSync(node, ['--input-type=module', '-e', source], {
    encoding: 'utf8',
    timeout: 30_000,
  });
  return stdout.trim() || stderr;
}

for (const { name, there, open } of databases) {
  const testThere = test.skipIf(!there || !hasFork);
  describe(`C29: ${name}`, () => {
    testThere('keeps a second process out, and loses no committed row', async () => {
      const path = join(temporaryFolder(), 'database');
      const program = start(
        `
          const [path] = process.argv.slice(1);
          setInterval(() => {}, 1e6);
          ${open}
          for (let n = 0; n < 50; n++) await put(n);
          const start = new Promise((resolve) => process.once('SIGUSR2', resolve));
          report('before');
          await start;
          daemonize({ keepFds: [3] });
          const command = new Promise((resolve) => process.once('SIGUSR2', resolve));
          report(process.pid);
          await command;
          for (let n = 50; n < 100; n++) await put(n);
          report('after');
        `,
        { args: [path] },
      );
      expect(await program.report()).toBe('before');
      expect(second(open, path)).toBe('kept out');
      process.kill(program.pid, 'SIGUSR2');
      const daemon = await program.report();
      await program.exited;
      expect(second(open, path)).toBe('kept out');
      process.kill(daemon, 'SIGUSR2');
      expect(await program.report()).toBe('after');
      expect(second(open, path)).toBe('kept out');
      process.kill(daemon, 'SIGKILL');
      await program.ended;
      expect(second(open, path)).toBe('100');
    });
  });
}

/** LMDB has one writer at a time among all processes: by a mutex in memory, which record locks guard. */
describe('C29: lmdb', () => {
  test.skipIf(!installed('lmdb') || !hasFork)(
    'the daemon and a second process both write',
    async () => {
      const path = join(temporaryFolder(), 'database');
      const open = `${load}
      const db = load('lmdb').open({ path });
      const put = (n) => db.put(n, n);
      const count = () => db.getCount();
    `;
      const program = start(
        `
        const [path] = process.argv.slice(1);
        ${open}
        for (let n = 0; n < 50; n++) await put(n);
        daemonize({ keepFds: [3] });
        for (let n = 50; n < 100; n++) await put(n);
        await db.flushed;
        report(process.pid);
        setInterval(() => {}, 1e6);
      `,
        { args: [path] },
      );
      const daemon = await program.report();
      expect(second(`${open} await put(1000);`, path)).toBe('101');
      process.kill(daemon, 'SIGKILL');
      await program.ended;
      expect(second(open, path)).toBe('101');
    },
  );
});
