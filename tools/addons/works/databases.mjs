// Databases. Where they lock their file with fcntl(2), fork() and supervise() refuse by design.

import assert from 'node:assert/strict';

/** @typedef {import('../works.mjs').Start} Start */

const SLOW_SUM = `with recursive n(i) as (select 1 union all select i + 1 from n where i < 300000)
  select sum(i) as sum from n`;
const SLOW_SUM_IS = (300_000 * 300_001) / 2;

/** What better-sqlite3 and those that are called like it do. */
function synchronousSqlite(db) {
  db.exec('create table if not exists t (n integer)');
  let written = 0;
  return {
    check() {
      db.prepare('insert into t values (?)').run(process.pid);
      written++;
      const { n } = db.prepare('select count(*) as n from t where n = ?').get(process.pid);
      assert.ok(n >= 1 && n <= written);
      assert.equal(db.prepare(SLOW_SUM).get().sum, SLOW_SUM_IS);
    },
  };
}

/** The three of the abstract-leveldown family that take callbacks. */
function callbackLevel(make) {
  return async (load, directory) => {
    const db = make(load, `${directory}/level`);
    const call = (method, ...args) =>
      new Promise((resolve, reject) => {
        db[method](...args, (error, value) => (error ? reject(error) : resolve(value)));
      });
    await call('open', {});
    return {
      async check() {
        const value = `${process.pid}.${Math.random()}`;
        await call('put', 'key', value);
        assert.equal(`${await call('get', 'key')}`, value);
      },
      async inFlight() {
        const puts = Array.from({ length: 20_000 }, (_, n) => ({
          type: 'put',
          key: `k${n}`,
          value: `${n}`,
        }));
        await call('batch', puts, {});
        assert.equal(`${await call('get', 'k19999')}`, '19999');
      },
    };
  };
}

/** @type {Record<string, Start>} */
export const databases = {
  'better-sqlite3': (load, directory) =>
    synchronousSqlite(load('better-sqlite3')(`${directory}/db`)),
  libsql: (load, directory) => {
    const Database = load('libsql');
    return synchronousSqlite(new Database(`${directory}/db`));
  },
  sqlite3: async (load, directory) => {
    const { Database } = load('sqlite3');
    const db = await new Promise((resolve, reject) => {
      const opened = new Database(`${directory}/db`, (error) =>
        error ? reject(error) : resolve(opened),
      );
    });
    const get = (...args) =>
      new Promise((resolve, reject) => {
        db.get(...args, (error, row) => (error ? reject(error) : resolve(row)));
      });
    await get('create table if not exists t (n integer)');
    return {
      async check() {
        await get('insert into t values (?)', process.pid);
        assert.ok((await get('select count(*) as n from t where n = ?', process.pid)).n >= 1);
      },
      async inFlight() {
        assert.equal((await get(SLOW_SUM)).sum, SLOW_SUM_IS);
      },
    };
  },
  'classic-level': async (load, directory) => {
    const { ClassicLevel } = load('classic-level');
    const db = new ClassicLevel(`${directory}/level`);
    await db.open();
    return {
      async check() {
        const value = `${process.pid}.${Math.random()}`;
        await db.put('key', value, { sync: true });
        assert.equal(await db.get('key'), value);
      },
      async inFlight() {
        const puts = Array.from({ length: 20_000 }, (_, n) => ({
          type: 'put',
          key: `k${n}`,
          value: `${n}`,
        }));
        await db.batch(puts);
        assert.equal(await db.get('k19999'), '19999');
      },
    };
  },
  leveldown: callbackLevel((load, path) => load('leveldown')(path)),
  rocksdb: callbackLevel((load, path) => load('rocksdb')(path)),
  lmdb: async (load, directory) => {
    const db = load('lmdb').open({ path: `${directory}/lmdb` });
    return {
      async check() {
        const value = `${process.pid}.${Math.random()}`;
        await db.put(process.pid, value);
        assert.equal(db.get(process.pid), value);
      },
      async inFlight() {
        let last;
        for (let n = 0; n < 5000; n++) last = db.put(`k${n}`, n);
        await last;
        assert.equal(db.get('k4999'), 4999);
      },
    };
  },
  '@duckdb/node-api': async (load, directory) => {
    const { DuckDBInstance } = load('@duckdb/node-api');
    const instance = await DuckDBInstance.create(`${directory}/duck`, { threads: '4' });
    const connection = await instance.connect();
    await connection.run('create table if not exists t (n integer)');
    const one = async (sql) => Number((await connection.runAndReadAll(sql)).getRows()[0][0]);
    return {
      async check() {
        await connection.run(`insert into t values (${process.pid})`);
        assert.ok((await one(`select count(*) from t where n = ${process.pid}`)) >= 1);
      },
      async inFlight() {
        const sum = await one('select sum(range % 7)::bigint from range(20000000)');
        assert.equal(sum, 59_999_997);
      },
    };
  },
  'nodejs-polars': async (load) => {
    const polars = load('nodejs-polars').default ?? load('nodejs-polars');
    const numbers = Array.from({ length: 200_000 }, (_, n) => n);
    const frame = polars.DataFrame({ key: numbers.map((n) => n % 10), value: numbers });
    const grouped = (result) =>
      assert.equal(
        result.sort('key').getColumn('value').toArray()[9],
        numbers.filter((n) => n % 10 === 9).reduce((a, b) => a + b, 0),
      );
    const lazy = () => frame.lazy().groupBy('key').agg(polars.col('value').sum());
    return {
      check: () => grouped(lazy().collectSync()),
      inFlight: async () => grouped(await lazy().collect()),
    };
  },
  odbc: async (load, directory) => {
    const driver = '/usr/lib/x86_64-linux-gnu/odbc/libsqlite3odbc.so';
    const connection = await load('odbc').connect(`Driver=${driver};Database=${directory}/odbc`);
    await connection.query('create table if not exists t (n integer)');
    return {
      async check() {
        await connection.query(`insert into t values (${process.pid})`);
        const [{ n }] = await connection.query(
          `select count(*) as n from t where n = ${process.pid}`,
        );
        assert.ok(Number(n) >= 1);
      },
      async inFlight() {
        // The driver gives no integer of more than 32 bits.
        const text = SLOW_SUM.replace('sum(i)', 'cast(sum(i) as text)');
        assert.equal(Number((await connection.query(text))[0].sum), SLOW_SUM_IS);
      },
    };
  },
  libpq: (load) => {
    const Libpq = load('libpq');
    const refused = () => {
      assert.throws(() => new Libpq().connectSync('host=/nowhere'), /No such file/);
    };
    return { check: refused };
  },
  'sql.js': async (load) => {
    const SQL = await load('sql.js')();
    const db = new SQL.Database();
    return {
      check() {
        assert.equal(db.exec(SLOW_SUM)[0].values[0][0], SLOW_SUM_IS);
      },
    };
  },
  'node-sqlite3-wasm': (load, directory) => {
    const { Database } = load('node-sqlite3-wasm');
    const db = new Database(`${directory}/db`);
    db.exec('create table if not exists t (n integer)');
    return {
      check() {
        db.run('insert into t values (?)', process.pid);
        assert.equal(db.get(SLOW_SUM).sum, SLOW_SUM_IS);
      },
    };
  },
};
