// Journal: records that are there again after a crash, and snapshots that replace them.

import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { temporaryFolder } from '../../support/folder.js';
import { node } from '../../support/node.js';
import { execute, inline, run, start } from '../../support/program.js';
import { testAsRoot } from '../../support/root.js';

const PROGRAM = `
const { Journal } = await import('doublefork/state');
const [folder] = process.argv.slice(1);
const directory = folder + '/journal';
const failed = async (promise) => { try { await (typeof promise === 'function' ? promise() : promise); return 'nothing'; } catch (error) { return error; } };
const open = (records) => Journal.open(directory, {
  restore: (bytes) => records.push(...JSON.parse(bytes)),
  apply: (bytes) => records.push(JSON.parse(bytes)),
});
`;

async function program(folder: string, source: string) {
  const { code, reports, stderr } = await run(PROGRAM + source, { args: [folder] });
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  return reports;
}

/** What a new process finds. */
async function recovered(folder: string) {
  const [found] = await program(
    folder,
    'const records = []; const journal = open(records); report([records, journal.recovered]); await journal.close();',
  );
  return found as [unknown[], { snapshot: boolean; records: number; torn: number }];
}

describe('records', () => {
  test('are there again, in order, after a close and after a kill', async () => {
    const folder = temporaryFolder();
    await program(
      folder,
      `
      const journal = open([]);
      await Promise.all([1, 2, 3].map((n) => journal.append(JSON.stringify(n))));
      await journal.append(Buffer.from('"bytes"'));
      await journal.close();
    `,
    );
    expect(await recovered(folder)).toEqual([
      [1, 2, 3, 'bytes'],
      { snapshot: false, records: 4, torn: 0 },
    ]);
    const { signal } = await run(
      `${PROGRAM}
      const journal = open([]);
      await journal.append('"last"');
      process.kill(process.pid, 'SIGKILL');`,
      { args: [folder] },
    );
    expect(signal).toBe('SIGKILL');
    expect((await recovered(folder))[0]).toEqual([1, 2, 3, 'bytes', 'last']);
  });

  test('of many writers are made durable together, each acknowledged one is there after kill -9', async () => {
    const folder = temporaryFolder();
    const acknowledged = new Set<unknown>();
    for (let round = 0; round < 5; round++) {
      const running = start(
        `${PROGRAM}
        const records = [];
        const journal = open(records);
        let n = records.length;
        const write = async () => {
          for (;;) {
            const value = '${round}:' + n++;
            records.push(value);
            await journal.append(JSON.stringify(value));
            report(value);
          }
        };
        for (let i = 0; i < 32; i++) void write();
        const picture = () => journal.snapshot(({ write }) => write(JSON.stringify(records))).catch(() => {});
        if (${round} % 2 === 1) setInterval(picture, 5);
        `,
        { args: [folder] },
      );
      for (let i = 0; i < 300; i++) await running.report();
      process.kill(running.pid, 'SIGKILL');
      const ended = await running.ended;
      for (const value of ended.reports) acknowledged.add(value);
      const [records] = await recovered(folder);
      expect(new Set(records).size).toBe(records.length);
      expect([...acknowledged].filter((value) => !records.includes(value))).toEqual([]);
    }
  });
});

describe('a snapshot', () => {
  test('replaces what came before it, and what is appended meanwhile is kept', async () => {
    const folder = temporaryFolder();
    const reports = await program(
      folder,
      `
      const state = [];
      const journal = open(state);
      const add = (value) => { state.push(value); return journal.append(JSON.stringify(value)); };
      await add('a');
      const waiting = add('b');
      const done = journal.snapshot(({ write }) => write(JSON.stringify(state)));
      const later = add('c');
      report((await failed(journal.snapshot(() => {}))).code);
      await Promise.all([waiting, later, done]);
      await add('d');
      await journal.close();
      report(fs.readdirSync(directory).toSorted());
    `,
    );
    expect(reports).toEqual(['ERR_SNAPSHOT_RUNNING', ['journal-2', 'lock', 'snapshot-2']]);
    expect(await recovered(folder)).toEqual([
      ['a', 'b', 'c', 'd'],
      { snapshot: true, records: 2, torn: 0 },
    ]);
  });

  test('that fails loses nothing', async () => {
    const folder = temporaryFolder();
    const reports = await program(
      folder,
      `
      const journal = open([]);
      await journal.append('1');
      report((await failed(journal.snapshot(() => { throw new Error('no'); }))).message);
      await journal.append('2');
      await journal.close();
    `,
    );
    expect(reports).toEqual(['no']);
    expect((await recovered(folder))[0]).toEqual([1, 2]);
  });
});

describe('trouble', () => {
  test('a write that was cut off at any byte: what came before it is there, and it goes on', async () => {
    const folder = temporaryFolder();
    await program(
      folder,
      `const journal = open([]); for (const n of ['"one"', '"two"', '"three"']) await journal.append(n); await journal.close();`,
    );
    const file = join(folder, 'journal', 'journal-1');
    const whole = readFileSync(file);
    const lengths = [13, 26, 41];
    expect(whole.length).toBe(lengths[2]);
    const [found] = await program(
      folder,
      `
      const file = directory + '/journal-1';
      const whole = fs.readFileSync(file);
      const results = [];
      for (let size = 0; size <= whole.length; size++) {
        for (const tail of [Buffer.alloc(0), Buffer.alloc(20), Buffer.alloc(20, 255)]) {
          for (const name of fs.readdirSync(directory)) if (name !== 'lock') fs.rmSync(directory + '/' + name);
          fs.writeFileSync(file, Buffer.concat([whole.subarray(0, size), tail]));
          const records = [];
          const journal = open(records);
          await journal.append('"more"');
          await journal.close();
          const again = [];
          await open(again).close();
          results.push([size, records.length, journal.recovered.torn > 0, JSON.stringify(again) === JSON.stringify([...records, 'more'])]);
        }
      }
      report(results);
    `,
    );
    const results = found as [size: number, records: number, torn: boolean, again: boolean][];
    expect(results).toHaveLength((whole.length + 1) * 3);
    for (const [i, [size, records, torn, again]] of results.entries()) {
      const expected = lengths.filter((length) => length <= size).length;
      expect([size, records, again]).toEqual([size, expected, true]);
      expect(torn).toBe(i % 3 > 0 || ![0, ...lengths].includes(size));
    }
  });

  test('a changed byte in an older journal is told, with file and place', async () => {
    const folder = temporaryFolder();
    await program(
      folder,
      `const journal = open([]); await journal.append('1'); await journal.append('2'); await journal.close();`,
    );
    await recovered(folder);
    const file = join(folder, 'journal', 'journal-1');
    const bytes = readFileSync(file);
    bytes[bytes.length - 1]! ^= 1;
    writeFileSync(file, bytes);
    const reports = await program(
      folder,
      `const { code, path, offset } = await failed(() => open([])); report([code, path === directory + '/journal-1', offset]);`,
    );
    expect(reports).toEqual([['ERR_JOURNAL_CORRUPT', true, 9]]);
  });

  test('a full disk: the record is refused, and the journal goes on when there is room', async () => {
    const folder = temporaryFolder();
    const { code, reports, stderr } = await run(
      `${PROGRAM}
      const journal = open([]);
      await journal.append('1');
      const limit = posix.getrlimit('fsize');
      process.on('SIGXFSZ', () => {});
      posix.setrlimit('fsize', { soft: 4096, hard: limit.hard });
      report((await failed(journal.append(JSON.stringify('x'.repeat(10_000))))).code);
      report(fs.statSync(directory + '/journal-1').size);
      posix.setrlimit('fsize', limit);
      await journal.append('2');
      await journal.close();
    `,
      { args: [folder] },
    );
    expect({ code, stderr, reports }).toEqual({ code: 0, stderr: '', reports: ['EFBIG', 9] });
    expect((await recovered(folder))[0]).toEqual([1, 2]);
  });

  test('no file for what comes after a snapshot: there is no snapshot, and nothing is lost', async () => {
    const folder = temporaryFolder();
    const reports = await program(
      folder,
      `
      const records = [];
      const journal = open(records);
      const add = (value) => { records.push(value); return journal.append(JSON.stringify(value)); };
      await add(1);
      // What is there already is not written over.
      fs.writeFileSync(directory + '/journal-2', '');
      report((await failed(journal.snapshot(({ write }) => write(JSON.stringify(records))))).code);
      await new Promise((resolve) => setTimeout(resolve, 200));
      await add(2);
      await journal.close();
    `,
    );
    expect(reports).toEqual(['EEXIST']);
    expect((await recovered(folder))[0]).toEqual([1, 2]);
  });

  test('a disk that is full at any byte of a record, or of a batch: refused, cut off, and it goes on', async () => {
    const folder = temporaryFolder();
    const { code, reports, stderr } = await run(
      `${PROGRAM}
      const journal = open([]);
      await journal.append('"first"');
      const file = directory + '/journal-1';
      const limit = posix.getrlimit('fsize');
      process.on('SIGXFSZ', () => {});
      const kept = ['first'];
      const faults = [];
      for (let more = 0; more < 40; more++) {
        const { size } = fs.statSync(file);
        posix.setrlimit('fsize', { soft: size + more, hard: limit.hard });
        const batch = ['"' + 'a'.repeat(10) + '"', '"' + 'b'.repeat(10) + '"'];
        const results = await Promise.all(batch.map((record) => failed(journal.append(record))));
        posix.setrlimit('fsize', limit);
        if (results.some(({ code }) => code !== 'EFBIG')) faults.push([more, 'taken']);
        if (fs.statSync(file).size !== size) faults.push([more, 'left over']);
        await journal.append(JSON.stringify(more));
        kept.push(more);
      }
      report([kept, faults]);
      await journal.close();
    `,
      { args: [folder] },
    );
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    const [[kept, faults]] = reports;
    expect(faults).toEqual([]);
    expect((await recovered(folder))[0]).toEqual(kept);
  });

  testAsRoot(
    'a file system without space: appends and snapshots are refused, and it goes on',
    async () => {
      const folder = temporaryFolder();
      const source = `${PROGRAM}
      const records = [];
      const journal = open(records);
      const add = (value) => { records.push(value); return journal.append(JSON.stringify(value)); };
      await add('first');
      const ballast = folder + '/ballast';
      const fill = () => { const fd = fs.openSync(ballast, 'w'); try { for (;;) fs.writeSync(fd, Buffer.alloc(4096)); } catch {} fs.closeSync(fd); };
      fill();
      report((await failed(journal.append(JSON.stringify('x'.repeat(10_000))))).code);
      report((await failed(journal.snapshot(({ write }) => write(JSON.stringify([...records, 'x'.repeat(100_000)]))))).code);
      fs.rmSync(ballast);
      await add('second');
      await journal.snapshot(({ write }) => write(JSON.stringify(records)));
      await add('third');
      await journal.close();
      const again = [];
      await open(again).close();
      report(again);
    `;
      const { code, reports, stderr } = await execute('unshare', [
        ...['--mount', 'sh', '-c', 'mount -t tmpfs -o size=256k none "$0" && exec "$@"', folder],
        ...[node, ...inline(source, { args: [folder] })],
      ]);
      expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
      expect(reports).toEqual(['ENOSPC', 'ENOSPC', ['first', 'second', 'third']]);
    },
  );

  test('killed at any moment, again and again: nothing acknowledged is lost, nothing applied twice', async () => {
    // The thousand are npm run soak:state.
    const { code, stdout, stderr } = await execute(node, ['test/soak/state.mjs', '16']);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toContain('none lost or applied twice');
  });

  test('one process has it, and a copy of that does not write to it', async () => {
    const folder = temporaryFolder();
    const reports = await program(
      folder,
      `
      const journal = open([]);
      await journal.append('1');
      report(await doublefork.inFork(async () => (await failed(() => journal.append('2'))).code));
      const { spawnSync } = await import('node:child_process');
      const second = spawnSync(process.execPath, ['--input-type=module', '-e',
        "import { Journal } from 'doublefork/state'; try { Journal.open(process.argv[1], { apply() {} }); } catch (error) { console.log(error.code, error.message); }",
        '--', directory], { encoding: 'utf8', env: { PATH: process.env.PATH } });
      report(second.stdout.trim());
      await journal.close();
      report((await failed(() => journal.append('3'))).code);
    `,
    );
    expect(reports[0]).toBe('ERR_JOURNAL_FORKED');
    expect(reports[1]).toMatch(/^EBUSY .*another process has this journal open/);
    expect(reports[2]).toBe('ERR_JOURNAL_CLOSED');
  });
});
