// sqlite (where the runtime has it): a database, a prepared statement and a transaction open at the midpoint.
process.removeAllListeners('warning');
const sqlite = await import('node:sqlite').catch((error) => error.code);
const database = sqlite.DatabaseSync && new sqlite.DatabaseSync(':memory:');
const insert = database?.exec('create table item (id integer primary key, name text, data blob)') ??
  database?.prepare('insert into item (name, data) values (?, ?)');
database?.exec('begin');
insert?.run('before', new Uint8Array([1, 2]));
await globalThis.midpoint?.();
if (database) {
  console.log(insert.run('after', null).lastInsertRowid);
  database.exec('commit');
  console.log(database.prepare('select id, name, hex(data) as data from item order by id').all());
  database.function('double', (value) => value * 2);
  console.log(database.prepare('select double(21) as answer, sum(id) as total from item').get());
  try {
    database.exec('select nothing from nowhere');
  } catch (error) {
    console.log(error.code, error.message);
  }
  database.close();
} else {
  console.log(sqlite);
}
