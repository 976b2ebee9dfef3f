// What a crash leaves behind: Node's own reports.

import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { temporaryFolder } from '../../support/folder.js';
import { run } from '../../support/program.js';

const reportsIn = (directory: string) =>
  readdirSync(directory)
    .filter((name) => name.endsWith('.json'))
    .map((name) => JSON.parse(readFileSync(join(directory, name), 'utf8')));

describe('crashReports', () => {
  test.each(['fork', 'exec'])('of a daemon, and of its workers (%s)', async (engine) => {
    const directory = temporaryFolder();
    await run(
      `const { supervise } = doublefork;
      process.env.SECRET = 'hidden';
      daemonize({ engine: '${engine}', crashReports: '${directory}', keepFds: [3] });
      const worker = supervise({ workers: 1, engine: '${engine}', restart: 'never' });
      report(process.pid);
      if (worker.id === 1) setTimeout(() => { throw new Error('of the worker'); }, 1);`,
    ).then(({ reports: [pid] }) => {
      const [report, ...rest] = reportsIn(directory);
      expect(rest).toEqual([]);
      expect(report.header).toMatchObject({ processId: pid, trigger: 'Exception' });
      expect(report.javascriptStack.message).toBe('Error: of the worker');
      const [major] = report.header.nodejsVersion.slice(1).split('.');
      if (Number(major) >= 24) expect(report).not.toHaveProperty('environmentVariables');
    });
  });

  test('the newest are kept; other files are', async () => {
    const directory = temporaryFolder();
    const name = (i: number) => `report.20261126.12000${i}.77.0.001.json`;
    for (let i = 0; i < 5; i++) writeFileSync(join(directory, name(i)), '{}');
    writeFileSync(join(directory, 'mine.json'), '{}');
    await run(`daemonize({ crashReports: { directory: '${directory}', keep: 2 } });`);
    expect(readdirSync(directory).sort()).toEqual(['mine.json', name(3), name(4)]);
  });

  test('a directory that is missing is a start that fails', async () => {
    const { code, stderr } = await run("daemonize({ crashReports: '/nowhere/at/all' });");
    expect(code).not.toBe(0);
    expect(stderr).toContain('/nowhere/at/all');
  });

  test.each([
    [1, 'ERR_INVALID_ARG_TYPE'],
    [{ directory: '/tmp', keep: -1 }, 'ERR_OUT_OF_RANGE'],
    [{ directory: '/tmp', max: 1 }, 'ERR_INVALID_ARG_VALUE'],
  ])('options %j', async (crashReports, code) => {
    const { reports } = await run(
      `try { daemonize({ crashReports: ${JSON.stringify(crashReports)} }); } catch (error) { report(error.code); }`,
    );
    expect(reports).toEqual([code]);
  });
});
