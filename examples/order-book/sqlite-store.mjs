// The book in SQLite: every command is a transaction, and other programs may ask questions of it.

import { createRequire } from 'node:module';
import { join } from 'node:path';

/** better-sqlite3, or what Node has of its own from version 22 on. @param {string} path */
function openDatabase(path) {
  const require = createRequire(process.env.SQLITE_FROM ?? import.meta.url);
  try {
    return new (require('better-sqlite3'))(path);
  } catch (error) {
    const sqlite = process.getBuiltinModule('node:sqlite');
    if (sqlite === undefined) throw error;
    return new sqlite.DatabaseSync(path);
  }
}

/** @param {string} directory there already */
export function openStore(directory) {
  // In the process that uses it: record locks are not for copies.
  const database = openDatabase(join(directory, 'book.sqlite'));
  database.exec(`
    PRAGMA journal_mode = WAL;
    PRAGMA synchronous = FULL;
    CREATE TABLE IF NOT EXISTS orders (
      place INTEGER PRIMARY KEY AUTOINCREMENT, id INTEGER UNIQUE, side TEXT, price REAL, amount REAL
    );
    CREATE INDEX IF NOT EXISTS best ON orders (side, price, place);
  `);
  const statement = (sql) => database.prepare(sql);
  const best = {
    buy: statement(
      "SELECT * FROM orders WHERE side = 'sell' AND price <= ? ORDER BY price, place LIMIT 1",
    ),
    sell: statement(
      "SELECT * FROM orders WHERE side = 'buy' AND price >= ? ORDER BY price DESC, place LIMIT 1",
    ),
  };
  const insert = statement('INSERT INTO orders (id, side, price, amount) VALUES (?, ?, ?, ?)');
  const reduce = statement('UPDATE orders SET amount = amount - ? WHERE id = ?');
  const remove = statement('DELETE FROM orders WHERE id = ?');
  const all = statement('SELECT id, side, price, amount FROM orders ORDER BY place');

  /** @param {import('./book.mjs').Order} order */
  function place({ id, side, price, amount }) {
    const trades = [];
    let left = amount;
    for (let other = best[side].get(price); left > 0 && other; other = best[side].get(price)) {
      const traded = Math.min(left, other.amount);
      const [buy, sell] = side === 'buy' ? [id, other.id] : [other.id, id];
      trades.push({ buy, sell, price: other.price, amount: traded });
      left -= traded;
      if (traded === other.amount) remove.run(other.id);
      else reduce.run(traded, other.id);
    }
    if (left > 0) insert.run(id, side, price, left);
    return trades;
  }

  return {
    get orders() {
      return all.all().map((row) => ({ ...row }));
    },
    /** Resolves when the command is durable. @param {import('./book.mjs').Command} command */
    async execute(command) {
      database.exec('BEGIN IMMEDIATE');
      try {
        const trades = 'place' in command ? place(command.place) : [];
        if ('cancel' in command) remove.run(command.cancel);
        database.exec('COMMIT');
        return trades;
      } catch (error) {
        database.exec('ROLLBACK');
        throw error;
      }
    },
    async close() {
      database.close();
    },
  };
}
