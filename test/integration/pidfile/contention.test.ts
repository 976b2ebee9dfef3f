// C13: many starts at once.

import { expect } from 'vitest';
import { testFork } from '../../support/engine.js';
import { temporaryFolder } from '../../support/folder.js';
import { run } from '../../support/program.js';
import { ROUNDS, TOOLS } from './tools.js';

testFork(
  `C13: of 64 starts at once one wins; the others name its pid and leave the file alone, ${ROUNDS} times`,
  async () => {
    const { code, reports, stderr } = await run(
      `${TOOLS}
    const file = dir + '/pid';
    for (let round = 0; round < ${ROUNDS}; round++) {
      const [gate, opener] = posix.pipe();
      const [losers, complaint] = posix.pipe();
      for (let n = 0; n < 64; n++) {
        if (fork() !== 0) continue;
        posix.close(opener);
        posix.poll([{ fd: gate, events: posix.POLLIN }]);
        try {
          daemonize({ pidfile: file });
          posix.close(complaint);
          stay();
        } catch (error) {
          fs.writeSync(complaint, [error.code, error.pid, error.message.includes('pid ' + error.pid)] + '\\n');
          posix._exit(3);
        }
      }
      posix.close(complaint);
      posix.close(opener);
      const codes = [];
      let atWin;
      for (let n = 0; n < 64; n++) {
        const { exitCode } = posix.waitpid(-1);
        codes.push(exitCode);
        if (exitCode === 0) atWin = fs.readFileSync(file, 'latin1') + fs.statSync(file).ino;
      }
      const winner = Number(fs.readFileSync(file, 'latin1'));
      const complaints = fs.readFileSync(losers, 'latin1').trim().split('\\n');
      posix.close(gate);
      posix.close(losers);
      report({
        won: codes.filter((code) => code === 0).length,
        lost: codes.filter((code) => code === 3).length,
        named: complaints.filter((text) => text === 'EEXIST,' + winner + ',true').length,
        same: atWin === fs.readFileSync(file, 'latin1') + fs.statSync(file).ino,
      });
      end(winner, file);
    }
  `,
      { args: [temporaryFolder()], deadline: 150_000 },
    );
    expect(stderr).toBe('');
    expect(code).toBe(0);
    expect(reports).toEqual(Array(ROUNDS).fill({ won: 1, lost: 63, named: 63, same: true }));
  },
);

testFork('two never have it at the same time, while it is removed and made again', async () => {
  const { code, reports, stderr } = await run(
    `const { Pidfile } = doublefork;
    const [, dir] = process.argv;
    for (let n = 0; n < 6; n++) {
      if (fork() !== 0) continue;
      // Not so many attempts: one who has it may be kept from running for all of them.
      for (let had = 0; had < 100; ) {
        try {
          using_(Pidfile.acquire(dir + '/pid'));
          had++;
        } catch (error) {
          if (error.syscall !== 'flock' || error.code !== 'EEXIST') throw error;
        }
      }
      posix._exit(0);

      function using_(pidfile) {
        pidfile.write();
        fs.closeSync(fs.openSync(dir + '/in use', 'wx'));
        fs.unlinkSync(dir + '/in use');
        pidfile.remove();
      }
    }
    for (let n = 0; n < 6; n++) report(posix.waitpid(-1).exitCode);
    report(fs.readdirSync(dir));
  `,
    { args: [temporaryFolder()] },
  );
  expect(stderr).toBe('');
  expect(code).toBe(0);
  expect(reports).toEqual([0, 0, 0, 0, 0, 0, []]);
});

testFork('of several that clear the pidfile of a killed daemon none leaves another', async () => {
  const { code, reports, stderr } = await run(
    `${TOOLS}
    const file = dir + '/pid';
    const killed = 2 ** 22 - 7;
    for (let round = 0; round < 40; round++) {
      fs.writeFileSync(file, killed + '\\n');
      const [gate, opener] = posix.pipe();
      for (let n = 0; n < 4; n++) {
        if (fork() !== 0) continue;
        posix.close(opener);
        posix.poll([{ fd: gate, events: posix.POLLIN }]);
        Pidfile.clear(file, killed);
        posix._exit(0);
      }
      posix.close(gate);
      posix.close(opener);
      for (let n = 0; n < 4; n++) if (posix.waitpid(-1).exitCode !== 0) report('failed');
      if (fs.existsSync(file)) report('left');
      fs.rmSync(file, { force: true });
    }
  `,
    { args: [temporaryFolder()] },
  );
  expect({ code, stderr, reports }).toEqual({ code: 0, stderr: '', reports: [] });
});
