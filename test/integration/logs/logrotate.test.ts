// C22: logs that the real logrotate rotates.

import { spawnSync } from 'node:child_process';
import { chmodSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import { temporaryFolder } from '../../support/folder.js';
import { until } from '../../support/processes.js';
import { start } from '../../support/program.js';
import { Place } from '../cli/command.js';
import { faultsAmong, finished, WRITE_LINES } from './tools.js';

const LOGROTATE = ['/usr/sbin/logrotate', '/usr/bin/logrotate'].find((path) =>
  statSync(path, { throwIfNoEntry: false }),
);
const testWithLogrotate = test.skipIf(LOGROTATE === undefined);
/** Of each of four workers; `npm run test:logs` has more. */
const COUNT = Number(process.env.DOUBLEFORK_LINES ?? 40_000) / 4;
const OPTIONS = { deadline: 800_000 };

class Rotation {
  readonly folder = temporaryFolder();
  readonly file = join(this.folder, 'app.log');
  readonly #conf = join(this.folder, 'conf');
  count = 0;

  configure(lines: readonly string[]): void {
    chmodSync(this.folder, 0o755);
    writeFileSync(
      this.#conf,
      `${this.file} {\n rotate 100000\n su root root\n ${lines.join('\n ')}\n}\n`,
      { mode: 0o644 },
    );
  }

  now(): void {
    const { status, stderr } = spawnSync(
      LOGROTATE!,
      ['-f', '-s', join(this.folder, 'state'), this.#conf],
      { encoding: 'utf8' },
    );
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    this.count++;
  }

  /** How much was written. */
  size(): number {
    const names = readdirSync(this.folder).filter((name) => name.startsWith('app.log'));
    const sizes = names.map((name) => statSync(join(this.folder, name)).size);
    return sizes.reduce((sum, size) => sum + size, 0);
  }

  /** All that was written. */
  bytes(): Buffer {
    const names = readdirSync(this.folder).filter((name) => name.startsWith('app.log'));
    return Buffer.concat(
      names.map((name) => {
        const bytes = readFileSync(join(this.folder, name));
        return name.endsWith('.gz') ? gunzipSync(bytes) : bytes;
      }),
    );
  }

  lines(): string[] {
    return this.bytes().toString('latin1').split('\n').slice(0, -1);
  }
}

const program = (setUp: string) => `const { supervise } = doublefork; ${WRITE_LINES} ${setUp}
  const worker = supervise({ workers: 4, restart: 'never' });
  for (let i = 0; i < ${COUNT}; i += 500) {
    await writeLines(worker.id, i, i + 500);
    await new Promise((go) => setTimeout(go, 50));
  }
  process.exit(0);`;

describe('C22', () => {
  testWithLogrotate(
    'create and SIGUSR2, the one signal: each line of four workers exactly once',
    async () => {
      const rotation = new Rotation();
      rotation.configure([
        'create',
        `postrotate\n  kill -USR2 $(cat ${rotation.folder}/pid 2>/dev/null) 2>/dev/null || true\n endscript`,
      ]);
      const running = start(
        program(
          `daemonize({ log: '${rotation.file}', pidfile: '${rotation.folder}/pid', keepFds: [3] });`,
        ),
        OPTIONS,
      );
      await running.exited;
      for (let i = 0; i < 8 && statSync(`${rotation.folder}/pid`, { throwIfNoEntry: false }); i++) {
        const before = rotation.size();
        rotation.now();
        await until(
          () =>
            rotation.size() > before + 20_000 ||
            !statSync(`${rotation.folder}/pid`, { throwIfNoEntry: false }),
          'it writes',
        );
      }
      await running.ended;
      expect(rotation.count).toBeGreaterThan(0);
      expect(faultsAmong(rotation.lines(), 4, COUNT)).toEqual([]);
    },
  );

  testWithLogrotate('a captured log needs no signal, with create and compress', async () => {
    const rotation = new Rotation();
    rotation.configure(['create', 'compress', 'delaycompress']);
    const running = start(
      program(
        `daemonize({ log: { file: '${rotation.file}', onFull: 'wait' }, pidfile: '${rotation.folder}/pid', keepFds: [3] });`,
      ),
      OPTIONS,
    );
    await running.exited;
    while (statSync(`${rotation.folder}/pid`, { throwIfNoEntry: false }) && rotation.count < 20) {
      rotation.now();
      // Into the new file: until it has looked, it writes to the one before, which must not be compressed.
      await until(
        () =>
          statSync(rotation.file).size > 2000 ||
          !statSync(`${rotation.folder}/pid`, { throwIfNoEntry: false }),
        'it writes',
      );
    }
    await running.ended;
    await finished(rotation.file);
    expect(rotation.count).toBeGreaterThan(0);
    expect(faultsAmong(rotation.lines(), 4, COUNT)).toEqual([]);
  });

  testWithLogrotate.each(["'FILE'", "{ file: 'FILE', onFull: 'wait' }"])(
    'copytruncate loses lines by its nature, but doubles none, and leaves no gap of zeros: log: %s',
    async (log) => {
      const rotation = new Rotation();
      rotation.configure(['copytruncate']);
      const running = start(
        program(
          `daemonize({ log: ${log.replace('FILE', rotation.file)}, pidfile: '${rotation.folder}/pid', keepFds: [3] });`,
        ),
        OPTIONS,
      );
      await running.exited;
      for (let i = 0; i < 5; i++) rotation.now();
      await running.ended;
      await finished(rotation.file);
      expect(rotation.bytes().includes(0)).toBe(false);
      const faults = faultsAmong(rotation.lines(), 4, COUNT).filter(
        (fault) => !/^(missing|damaged)/.test(fault),
      );
      expect(faults).toEqual([]);
    },
  );

  testWithLogrotate(
    'what doublefork logrotate prints is accepted, and fits: captured, listening, and neither',
    async () => {
      const place = new Place();
      const stanzaOf = async (options: string, command: string[]) => {
        const { code, stderr } = await place.startIt(options, command);
        expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
        const { stdout } = await place.run('logrotate', 'it');
        const file = join(place.folder, 'stanza');
        writeFileSync(file, stdout, { mode: 0o644 });
        const { status, stderr: complaints } = spawnSync(
          LOGROTATE!,
          ['-d', '-s', '/dev/null', file],
          { encoding: 'utf8' },
        );
        expect(status).toBe(0);
        expect(complaints).not.toMatch(/^error/m);
        await place.run('stop', 'it');
        return stdout;
      };
      const captured = await stanzaOf('--log-max-size 1M', ['sleep', '100']);
      expect(captured).toContain('create 0640 root');
      expect(captured).not.toMatch(/postrotate|copytruncate/);
      expect(await stanzaOf('', ['sleep', '100'])).toContain('copytruncate');
      const listens = await stanzaOf('', [
        'node',
        '-e',
        "process.on('SIGUSR2', () => {}); setInterval(() => {}, 1e6)",
      ]);
      expect(listens).toMatch(/postrotate\n.* signal reopen it\n +endscript/);
    },
  );
});
