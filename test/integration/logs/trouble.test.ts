// What goes wrong with logs: full disks, wrong paths, no permission.

import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  mkdirSync,
  readFileSync,
  rmSync,
  statfsSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { temporaryFolder } from '../../support/folder.js';
import { node } from '../../support/node.js';
import { until } from '../../support/processes.js';
import { execute, inline, start } from '../../support/program.js';
import { testAsRoot, unprivileged } from '../../support/root.js';
import { archives, faultsAmong, finished, lines, WRITE_LINES } from './tools.js';

/** A file system of 10 MB with so many inodes. */
function smallDisk(inodes = 1000): string {
  const folder = temporaryFolder();
  execFileSync('mount', ['-t', 'tmpfs', '-o', `size=10m,nr_inodes=${inodes}`, 'tmpfs', folder]);
  onTestFinished(() => void execFileSync('umount', ['-l', folder]));
  return folder;
}

describe('a disk that is full', () => {
  testAsRoot(
    'the program waits, goes on when there is room, and the log tells of it; nothing is lost',
    async () => {
      const folder = smallDisk();
      const file = join(folder, 'app.log');
      writeFileSync(join(folder, 'ballast'), Buffer.alloc(9_500_000));
      const program = start(
        `${WRITE_LINES} const log = ${JSON.stringify({ file, onFull: 'wait' })};
      daemonize({ log, keepFds: [3] });
      process.on('uncaughtException', (error) => report(String(error)));
      report('runs');
      await writeLines(1, 0, 30000);
      report('done');`,
      );
      expect(await program.report()).toBe('runs');
      await until(() => statfsSync(folder).bavail === 0, 'it is full');
      rmSync(join(folder, 'ballast'));
      expect(await program.report()).toBe('done');
      await program.ended;
      await finished(file);
      const all = lines(file);
      const told = all.filter((line) => line.startsWith('doublefork: '));
      expect(told.length).toBeGreaterThan(0);
      expect(told[0]).toMatch(
        /could not be written for \d+\.\d s \(No space left on device\); nothing was lost/,
      );
      expect(
        faultsAmong(
          all.filter((line) => !line.startsWith('doublefork: ')),
          1,
          30_000,
        ),
      ).toEqual([]);
    },
  );

  testAsRoot(
    "with onFull: 'drop' the program does not wait, and the log tells how much it has lost",
    async () => {
      const folder = smallDisk();
      const file = join(folder, 'app.log');
      writeFileSync(join(folder, 'ballast'), Buffer.alloc(9_500_000));
      const program = start(
        `${WRITE_LINES} const log = ${JSON.stringify({ file, onFull: 'drop' })};
      daemonize({ log, keepFds: [3] });
      process.on('uncaughtException', (error) => report(String(error)));
      // 24 MB and more into half a MB.
      await writeLines(1, 0, 250000);
      report(process.pid);
      const stay = setInterval(() => {}, 1e6);
      await new Promise((go) => process.once('SIGUSR1', go));
      clearInterval(stay);
      await writeLines(2, 0, 1000);`,
      );
      // It has written all of it to a disk that is full all the time.
      const daemon = await program.report();
      rmSync(join(folder, 'ballast'));
      await until(() => readFileSync(file, 'utf8').includes('dropped'), 'the log tells of it');
      process.kill(daemon, 'SIGUSR1');
      await program.ended;
      await finished(file);
      const all = lines(file);
      const gap = all.find((line) => line.startsWith('doublefork: '))!;
      expect(Number(/: (\d+) lines, \d+ bytes, were dropped/.exec(gap)![1])).toBeGreaterThan(
        200_000,
      );
      // What comes after is whole.
      const after = all.slice(-1000).map((line) => line.replace(/^w2/, 'w0'));
      expect(faultsAmong(after, 1, 1000)).toEqual([]);
    },
  );

  testAsRoot(
    'no inode is left for another file: the log goes on in the one that it has',
    async () => {
      const folder = smallDisk(20);
      const file = join(folder, 'app.log');
      // All but one are taken, which is the log's.
      const take = (name: number) => writeFileSync(join(folder, String(name)), '');
      let count = 0;
      try {
        for (;;) take(count++);
      } catch (error) {
        expect(error).toMatchObject({ code: 'ENOSPC' });
      }
      rmSync(join(folder, '0'));
      const program = start(
        `${WRITE_LINES} daemonize({ log: ${JSON.stringify({ file, maxSize: 1000 })}, keepFds: [3] });
      await writeLines(1, 0, 1000); report('done');`,
      );
      expect(await program.ended).toMatchObject({ code: 0, stderr: '' });
      await finished(file);
      expect(faultsAmong(lines(file), 1, 1000)).toEqual([]);
    },
  );
});

describe('a path that cannot be', () => {
  const attempt = async (log: object | string, prefix: readonly string[] = []) => {
    const program = inline(`try { daemonize({ log: ${JSON.stringify(log)} }); } catch (error) {
      report({ code: error.code, message: error.message }); }`);
    const [command, ...words] = [...prefix, node];
    const { reports } = await execute(command!, [...words, ...program], { deadline: 20_000 });
    return reports[0];
  };
  const captured = (file: string) => ({ file, maxSize: 1000 });

  test('the directory is missing, or the path is a directory', async () => {
    const folder = temporaryFolder();
    expect(await attempt(captured(join(folder, 'no/app.log')))).toMatchObject({ code: 'ENOENT' });
    expect(await attempt(captured(folder))).toMatchObject({ code: 'EISDIR' });
  });

  test('a directory that is read-only', async () => {
    const folder = temporaryFolder();
    chmodSync(folder, 0o555);
    const error = await attempt(captured(join(folder, 'app.log')), unprivileged);
    expect(error).toMatchObject({ code: 'EACCES' });
  });

  test('a FIFO that nobody reads, and a device: refused, where the start would wait for ever', async () => {
    const fifo = join(temporaryFolder(), 'fifo');
    execFileSync('mkfifo', [fifo]);
    for (const log of [captured(fifo), fifo]) {
      const error = await attempt(log);
      expect(error).toMatchObject({ code: 'ENXIO' });
      expect(error.message).toContain('nobody reads');
    }
    const error = await attempt(captured('/dev/null'));
    expect(error).toMatchObject({ code: 'EINVAL' });
    expect(error.message).toContain('no regular file');
  });

  test.each([
    [{ file: '/tmp/x', maxSize: -1 }, 'ERR_OUT_OF_RANGE'],
    [{ file: '/tmp/x', maxsize: 1, compress: true }, 'ERR_INVALID_ARG_VALUE'],
    [{ file: '/tmp/x', timestamps: 'unix' }, 'ERR_OUT_OF_RANGE'],
    [{ file: '/tmp/x', json: { a: {} } }, 'ERR_INVALID_ARG_TYPE'],
    [{ file: '/tmp/x', onFull: 'crash' }, 'ERR_OUT_OF_RANGE'],
    [{ file: '', compress: true }, 'ERR_OUT_OF_RANGE'],
    [{ file: '/tmp/x', append: false, maxSize: 1 }, 'ERR_INVALID_ARG_VALUE'],
  ])('options %j', async (log, code) => {
    expect(await attempt(log)).toMatchObject({ code });
  });

  test('the directory goes and comes again while it runs', async () => {
    const folder = join(temporaryFolder(), 'logs');
    mkdirSync(folder);
    const file = join(folder, 'app.log');
    const program = start(
      `${WRITE_LINES} daemonize({ log: ${JSON.stringify(captured(file))}, keepFds: [3] });
      process.on('SIGTERM', () => process.exit(0));
      setInterval(() => console.log('still here'), 10); report(process.pid);`,
    );
    const pid = await program.report();
    rmSync(folder, { recursive: true });
    mkdirSync(folder);
    await until(
      () => (statSync(file, { throwIfNoEntry: false })?.size ?? 0) > 0,
      'it writes again',
    );
    process.kill(pid, 'SIGTERM');
    await program.ended;
    await finished(file);
    expect(archives(file).length).toBeGreaterThanOrEqual(0);
  });
});
