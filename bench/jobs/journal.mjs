// Durable appends with 64 writers: Journal beside SQLite (WAL, synchronous=FULL), in turns: appends per second.
// node bench/jobs/journal.mjs ROUNDS DIRECTORY

import { mkdtempSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { Journal } from 'doublefork/state';
import { interleave, median } from '../support/statistics.mjs';

const rounds = Number(process.argv[2]);
const WRITERS = 64;
const EACH = 50;
/** On a disk: where /tmp is memory nothing is durable. */
const directory = mkdtempSync(join(process.argv[3] ?? import.meta.dirname, 'state-'));
const record = 'r'.repeat(200);

const journal = Journal.open(join(directory, 'journal'), { apply() {} });
const database = await openDatabase(join(directory, 'sqlite'));
database.exec(
  'PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; CREATE TABLE log (id INTEGER PRIMARY KEY, record TEXT)',
);
const insert = database.prepare('INSERT INTO log (record) VALUES (?)');
const begin = database.prepare('BEGIN IMMEDIATE');
const commit = database.prepare('COMMIT');

/** All that was handed in since the last turn in one transaction: the group commit of a program that has SQLite. */
let batch = [];
function insertTogether(text) {
  return new Promise((resolve) => {
    batch.push({ text, resolve });
    if (batch.length > 1) return;
    setImmediate(() => {
      const all = batch;
      batch = [];
      begin.run();
      for (const each of all) insert.run(each.text);
      commit.run();
      for (const each of all) each.resolve();
    });
  });
}

const perSecond = (append) => async () => {
  const start = performance.now();
  const writer = async () => {
    for (let i = 0; i < EACH; i++) await append(record);
  };
  await Promise.all(Array.from({ length: WRITERS }, writer));
  return ((WRITERS * EACH) / (performance.now() - start)) * 1000;
};
const taken = await interleave(
  {
    journal: perSecond(journal.append),
    sqlite: perSecond(async (text) => void insert.run(text)),
    sqliteTogether: perSecond(insertTogether),
  },
  rounds,
);
await journal.close();
database.close();
rmSync(directory, { recursive: true });
console.log(
  JSON.stringify(
    Object.fromEntries(Object.entries(taken).map(([name, all]) => [name, median(all)])),
  ),
);

/** better-sqlite3 of tools/databases.mjs, or Node's own. */
async function openDatabase(path) {
  try {
    const require = createRequire(new URL('../../.databases/', import.meta.url));
    return new (require('better-sqlite3'))(path);
  } catch {
    const { DatabaseSync } = await import('node:sqlite');
    return new DatabaseSync(path);
  }
}
