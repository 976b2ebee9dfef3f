// C12, C15: many starts, one after the other.

import { existsSync, readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { testFork } from '../../support/engine.js';
import { temporaryFolder } from '../../support/folder.js';
import { run } from '../../support/program.js';
import { ROUNDS, TOOLS } from './tools.js';

testFork(
  `C12: the pidfile is the daemon’s pid, complete when the launcher exits, in ${ROUNDS * 20} starts`,
  async () => {
    const { code, reports, stderr } = await run(
      `${TOOLS}
    const wrong = [];
    let count = 0;
    // 20 at a time, each with a file of its own; SIGKILL ends them, so each start but the first 20
    // finds a stale file (C15).
    for (let round = 0; round < ${ROUNDS}; round++) {
      const launchers = new Map();
      for (let n = 0; n < 20; n++) {
        const file = dir + '/' + n;
        const launcher = fork();
        if (launcher === 0) {
          daemonize({ pidfile: file });
          stay();
        }
        launchers.set(launcher, file);
      }
      while (launchers.size > 0) {
        const { pid, exitCode } = posix.waitpid(-1);
        const file = launchers.get(pid);
        launchers.delete(pid);
        const text = fs.readFileSync(file, 'latin1');
        const found = Pidfile.inspect(file);
        if (exitCode !== 0 || !/^\\d+\\n$/.test(text) || found.state !== 'held' || found.pid !== +text) {
          wrong.push({ exitCode, text, found });
        } else {
          count++;
          end(found.pid, file);
        }
      }
    }
    report({ count, wrong });
  `,
      { args: [temporaryFolder()], deadline: 150_000 },
    );
    expect(stderr).toBe('');
    expect(code).toBe(0);
    expect(reports).toEqual([{ count: ROUNDS * 20, wrong: [] }]);
  },
);

test('C15: a clean exit removes the pidfile, an uncaught exception too', async () => {
  const file = `${temporaryFolder()}/pid`;
  const start = (how: string) =>
    run(
      `daemonize({ pidfile: process.argv[1], keepFds: [3], stderr: 'null' });
       report(fs.readFileSync(process.argv[1], 'latin1') === process.pid + '\\n');
       ${how}`,
      { args: [file] },
    );
  for (const how of ['', 'process.exit(1)', 'throw new Error("x")']) {
    const { reports } = await start(how);
    expect(reports).toEqual([true]);
    expect(existsSync(file)).toBe(false);
  }
});

test('C15: a pidfile that others have replaced or removed is left', async () => {
  const file = `${temporaryFolder()}/pid`;
  const start = (meanwhile: string) =>
    run(
      `const file = process.argv[1];
       daemonize({ pidfile: file, keepFds: [3] });
       ${meanwhile}`,
      { args: [file] },
    );
  await start('fs.unlinkSync(file); fs.writeFileSync(file, "somebody’s")');
  expect(readFileSync(file, 'utf8')).toBe('somebody’s');
  await start('fs.unlinkSync(file)');
  expect(existsSync(file)).toBe(false);
});
