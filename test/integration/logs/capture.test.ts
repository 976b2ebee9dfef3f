// A captured log: nothing is lost, nothing doubled, no line cut by another's.

import { readFileSync, renameSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { temporaryFolder } from '../../support/folder.js';
import { killQuietly, until } from '../../support/processes.js';
import { run, start } from '../../support/program.js';
import { testAsRoot } from '../../support/root.js';
import {
  archives,
  content,
  faultsAmong,
  finished,
  lines,
  loggersOf,
  WRITE_LINES,
} from './tools.js';

const SUPERVISE = `const { supervise } = doublefork; ${WRITE_LINES}`;
const stateOf = (log: object) => `const log = ${JSON.stringify(log)};`;

describe('what workers print', () => {
  test.each(['fork', 'exec'])(
    'four workers (%s), each line exactly once, across rotations',
    async (engine) => {
      const file = join(temporaryFolder(), 'app.log');
      const log = { file, maxSize: 400_000, maxFiles: 0, compress: true };
      const ended = await run(
        `${SUPERVISE} ${stateOf(log)}
      const worker = supervise({ workers: 4, restart: 'never', log, engine: '${engine}' });
      await writeLines(worker.id, 0, 5000);`,
      );
      expect(ended.code).toBe(0);
      await finished(file);
      expect(faultsAmong(lines(file), 4, 5000)).toEqual([]);
      expect(archives(file).length).toBeGreaterThan(3);
      expect(archives(file).every((path) => path.endsWith('Z.gz'))).toBe(true);
      expect(statSync(file).size).toBeLessThanOrEqual(400_000);
    },
  );

  test('each exactly once while the logger is killed -9 a hundred times', async () => {
    const file = join(temporaryFolder(), 'app.log');
    const program = start(
      `${SUPERVISE} ${stateOf({ file, maxSize: 1_000_000, maxFiles: 0 })}
      const worker = supervise({ workers: 4, restart: 'never', log });
      report('runs');
      let i = 0;
      let on = true;
      worker.signal.addEventListener('abort', () => { on = false; });
      while (on) { await writeLines(worker.id, i, i + 100); i += 100; }
      report([worker.id, i]);
      process.exit(0);`,
    );
    for (let i = 0; i < 4; i++) await program.report();
    for (let kills = 0; kills < 100; kills++) {
      const pair = loggersOf(file);
      const victim = pair[kills % 2]!;
      killQuietly(victim);
      await until(
        () => loggersOf(file).filter((pid) => pid !== victim).length === 2,
        'another one',
      );
    }
    process.kill(program.pid, 'SIGTERM');
    const { reports } = await program.ended;
    await finished(file);
    const counts = new Map(reports.filter((it) => Array.isArray(it)) as [number, number][]);
    expect(counts.size).toBe(4);
    for (const [id, count] of counts) {
      const own = lines(file).filter((line) => line.startsWith(`w${id} `));
      expect(faultsAmong(own, 1, count)).toEqual([]);
    }
    expect(lines(file).filter((line) => !/^(w\d|\{)/.test(line))).toEqual([]);
  });

  test('what a worker has written before it is killed is there, and the next line is a line of its own', async () => {
    const file = join(temporaryFolder(), 'app.log');
    const ended = await run(
      `${SUPERVISE} ${stateOf({ file, timestamps: false })}
      const worker = supervise({ workers: 2, restart: 'never', log, minUptime: 0 });
      if (worker.id === 1) {
        fs.writeSync(1, 'whole\\nhalf');
        process.kill(process.pid, 'SIGKILL');
      }
      while (!fs.readFileSync(log.file, 'utf8').includes('half')) await new Promise((go) => setTimeout(go, 5));
      console.log('after');`,
    );
    expect(ended.code).not.toBe(null);
    await finished(file);
    const text = lines(file).filter((line) => !line.startsWith('{'));
    expect(text).toEqual(['whole', 'half', 'after']);
  });

  test('JSON has who wrote it, what is said once for all, and what the program says itself', async () => {
    const file = join(temporaryFolder(), 'app.log');
    const log = { file, json: { service: 'shop', env: 'test' } };
    await run(
      `${SUPERVISE} ${stateOf(log)}
      const worker = supervise({ workers: 2, restart: 'never', log });
      console.log('plain "text" \\t' + String.fromCodePoint(0x1f600));
      console.log(JSON.stringify({ level: 30, time: 5, service: 'own', msg: 'structured', a: { pid: 1 } }));
      console.log('{ no json }');
      report(process.pid);`,
    );
    await finished(file);
    const all = lines(file).map((line) => JSON.parse(line));
    const plain = all.filter(({ msg }) => msg.startsWith('plain'));
    expect(plain.map(({ worker }) => worker).sort()).toEqual([1, 2]);
    expect(plain[0]).toEqual({
      time: expect.any(Number),
      pid: expect.any(Number),
      worker: expect.any(Number),
      generation: 1,
      service: 'shop',
      env: 'test',
      msg: 'plain "text" \t\u{1f600}',
    });
    const own = all.filter(({ msg }) => msg === 'structured');
    expect(own[0]).toMatchObject({
      level: 30,
      time: 5,
      service: 'own',
      env: 'test',
      generation: 1,
      a: { pid: 1 },
    });
    expect(all.filter(({ msg }) => msg === '{ no json }')).toHaveLength(2);
    expect(all.filter(({ name }) => name === 'doublefork').length).toBeGreaterThan(0);
    // No name twice in any object.
    for (const line of lines(file))
      expect(JSON.stringify(JSON.parse(line)).length).toBe(line.length);
  });

  test.each([
    ['iso', /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z (.*)$/],
    ['tai64n', /^@4[0-9a-f]{23} (.*)$/],
  ] as const)('each line has the time in front: %s', async (timestamps, pattern) => {
    const file = join(temporaryFolder(), 'app.log');
    await run(
      `${stateOf({ file, timestamps })} daemonize({ log }); console.log('one\\ntwo'); console.log('three');`,
    );
    await finished(file);
    expect(lines(file).map((line) => pattern.exec(line)?.[1])).toEqual(['one', 'two', 'three']);
  });
});

describe('what a daemon prints', () => {
  test.each(['fork', 'exec'])(
    'bytes of any kind, a line of 100 MB and one without an end (%s)',
    async (engine) => {
      const file = join(temporaryFolder(), 'app.log');
      await run(
        `${stateOf({ file, onFull: 'wait' })}
      console.log('on the terminal');
      daemonize({ log, engine: '${engine}' });
      const all = Buffer.from(Array.from({ length: 256 }, (_, i) => i));
      for (let i = 0; i < 100; i++) process.stdout.write(all);
      process.stdout.write(Buffer.alloc(1e8, 'y'));
      process.stderr.write('\\nno end');`,
      );
      await finished(file);
      const all = Buffer.from(Array.from({ length: 256 }, (_, i) => i));
      const expected = Buffer.concat([
        ...Array.from({ length: 100 }, () => all),
        Buffer.alloc(1e8, 'y'),
        Buffer.from('\nno end'),
      ]);
      expect(content(file).equals(expected)).toBe(true);
    },
  );

  test('it shows a line that has no end yet, within seconds', async () => {
    const file = join(temporaryFolder(), 'app.log');
    const program = start(
      `${stateOf({ file, onFull: 'wait' })} daemonize({ log, keepFds: [3] });
      process.stdout.write('Password: ');
      process.on('SIGTERM', () => process.exit(0)); setInterval(() => {}, 1e6); report(process.pid);`,
    );
    const pid = await program.report();
    await until(() => readFileSync(file, 'utf8') === 'Password: ', 'it is shown');
    process.kill(pid, 'SIGTERM');
    await program.ended;
    await finished(file);
  });

  test('the file is moved away: without any signal the log goes on in a new one with its mode', async () => {
    const file = join(temporaryFolder(), 'app.log');
    const program = start(
      `${WRITE_LINES} ${stateOf({ file, mode: 0o604, onFull: 'wait' })} daemonize({ log, keepFds: [3] });
      let on = true;
      process.on('SIGTERM', () => { on = false; });
      report(process.pid);
      let i = 0;
      while (on) { await writeLines(1, i, i + 100); i += 100; await new Promise((go) => setTimeout(go, 1)); }
      report(i);`,
    );
    const pid = await program.report();
    await until(() => statSync(file).size > 10_000, 'it writes');
    renameSync(file, `${file}.1`);
    await until(
      () => (statSync(file, { throwIfNoEntry: false })?.size ?? 0) > 10_000,
      'it writes again',
    );
    process.kill(pid, 'SIGTERM');
    const count = await program.report();
    await program.ended;
    await finished(file);
    expect(statSync(file).mode & 0o777).toBe(0o604);
    expect(faultsAmong(lines(file), 1, count)).toEqual([]);
  });

  test('a name that is taken is not overwritten, and names are in order also if the clock was set back', async () => {
    const file = join(temporaryFolder(), 'app.log');
    const future = `${file}.29991231T235959.000001Z`;
    writeFileSync(future, 'from the future\n');
    await run(
      `${stateOf({ file, maxSize: 100, maxFiles: 0 })} daemonize({ log });
      for (let i = 0; i < 10; i++) console.log('line ' + i + ' '.repeat(50));`,
    );
    await finished(file);
    expect(readFileSync(future, 'utf8')).toBe('from the future\n');
    const numbers = lines(file).map((line) => line.trim());
    expect(numbers).toEqual([
      'from the future',
      ...Array.from({ length: 10 }, (_, i) => `line ${i}`),
    ]);
  });

  test('only so many rotated files are kept', async () => {
    const file = join(temporaryFolder(), 'app.log');
    writeFileSync(`${file}.mine`, 'not a rotated one');
    await run(
      `${stateOf({ file, maxSize: 1000, maxFiles: 3 })} daemonize({ log });
      for (let i = 0; i < 100; i++) console.log('line ' + i + ' '.repeat(90));`,
    );
    await finished(file);
    expect(archives(file)).toHaveLength(4);
    expect(lines(file).at(-1)).toMatch(/^line 99 /);
  });

  testAsRoot('the log of another user has its owner and mode after a rotation', async () => {
    const file = join(temporaryFolder(), 'app.log');
    await run(
      `${stateOf({ file, mode: 0o640, maxSize: 1000 })} daemonize({ log, user: 65533, group: 65533 });
      for (let i = 0; i < 30; i++) console.log('line ' + i + ' '.repeat(90));`,
    );
    await finished(file);
    expect(archives(file).length).toBeGreaterThan(1);
    for (const path of [file, ...archives(file)]) {
      const { uid, gid, mode } = statSync(path);
      expect([uid, gid, mode & 0o777]).toEqual([65_533, 65_533, 0o640]);
    }
  });
});
