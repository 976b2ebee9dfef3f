// A daemon takes over its launcher's memory (native/fork/move.cc): what two processes in one memory
// must not do to each other.

import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect } from 'vitest';
import { testFork } from '../../support/engine.js';
import { node } from '../../support/node.js';
import { inline, launch, run } from '../../support/program.js';

/** Workers, the threadpool and a collector that all must go on in the daemon. */
const BUSY = `
  import { once } from 'node:events';
  import { Worker } from 'node:worker_threads';
  import { pbkdf2 } from 'node:crypto';
  import { promisify } from 'node:util';
  const echo = \`require('node:worker_threads').parentPort.on('message', function (n) {
    this.postMessage(n + 1);
  })\`;
  const workers = Array.from({ length: 4 }, () => new Worker(echo, { eval: true, execArgv: [] }));
  await Promise.all(workers.map((worker) => once(worker, 'online')));
  const answers = () => Promise.all(workers.map(async (worker) => {
    worker.postMessage(1);
    return (await once(worker, 'message'))[0];
  }));
  const work = async () => {
    const junk = Array.from({ length: 50_000 }, (_, i) => ({ i, text: 'x' + i }));
    await promisify(pbkdf2)('a', 'b', 100, 8, 'sha1');
    return junk.length + (await answers()).length;
  };
  await work();
  const end = () => Promise.all(workers.map((worker) => worker.terminate()));
`;
const WORKED = 50_004;

describe('while the launcher waits', () => {
  testFork('the daemon works, whatever signals the launcher gets', async () => {
    const program = launch(
      node,
      inline(`${BUSY}
        process.on('SIGWINCH', () => report('SIGWINCH'));
        process.on('SIGUSR2', () => report('SIGUSR2'));
        process.on('SIGCHLD', () => report('SIGCHLD'));
        const launcher = process.pid;
        const daemon = daemonize({ keepFds: [3], ready: 'manual' });
        report(launcher);
        for (let i = 0; i < 30; i++) {
          for (const name of ['SIGWINCH', 'SIGUSR2', 'SIGCHLD', 'SIGCONT']) process.kill(launcher, name);
          await work();
        }
        report(await work());
        daemon.ready('it works');
        await end();
      `),
    );
    const { reports, code } = await program.ended;
    expect(reports).toEqual([program.pid, WORKED]);
    expect(code).toBe(0);
  });

  testFork('it has none of the descriptors that the daemon has', async () => {
    const { reports } = await run(`
      const fillers = Array.from({ length: 6000 }, () => fs.openSync('/dev/null'));
      for (const fd of fillers.slice(0, 20)) fs.closeSync(fd);
      const launcher = process.pid;
      const daemon = daemonize({ keepFds: [3], ready: 'manual' });
      // fd 0-2, and the daemon's word.
      report(fs.readdirSync('/proc/' + launcher + '/fd').length);
      daemon.ready();
    `);
    expect(reports).toEqual([4]);
  });

  testFork('the daemon may fork, spawn and become another program', async () => {
    const { reports, code, stdout, stderr } = await run(`${BUSY}
      import { execFileSync } from 'node:child_process';
      const daemon = daemonize({ keepFds: [3], ready: 'manual', stdout: 'keep' });
      for (let i = 0; i < 3; i++) {
        const child = fork();
        if (child === 0) {
          report(await work());
          process.exit(0);
        }
        posix.waitpid(child);
      }
      report(String(execFileSync('/bin/echo', ['spawned'])));
      await end();
      daemon.exec('/bin/sh', ['sh', '-c', 'echo became; sleep 1.5']);
    `);
    expect(reports).toEqual([WORKED, WORKED, WORKED, 'spawned\n']);
    expect({ stdout, stderr }).toEqual({ stdout: 'became\n', stderr: '' });
    expect(code).toBe(0);
  });
});

describe('a launcher that is killed', () => {
  testFork('at any moment leaves a daemon that works, or none', async () => {
    const fates = new Set<string>();
    for (let round = 0; round < 40; round++) {
      const program = launch(
        node,
        inline(`${BUSY}
          report('now');
          daemonize({ keepFds: [3], ready: 'manual' });
          report('began');
          report(await work());
          await end();
          report('ended');
          process.exit(0);
        `),
      );
      await program.report();
      // Between 0 and 4 ms later, through all of the move.
      const until = process.hrtime.bigint() + BigInt(round) * 100_000n;
      while (process.hrtime.bigint() < until);
      process.kill(program.pid, 'SIGKILL');
      const { reports } = await program.ended;
      fates.add(reports.join(' '));
      await sleep(0);
    }
    fates.delete('now');
    expect([...fates].filter((fate) => fate !== `now began ${WORKED} ended`)).toEqual([]);
  });
});

describe('a refusal leaves the launcher as it was', () => {
  testFork('its Workers work, and a later call succeeds', async () => {
    const { reports, code } = await run(`${BUSY}
      for (let i = 0; i < 5; i++) {
        try { daemonize({ chroot: '/proc/self/fdinfo/1' }); } catch (error) { report(error.code); }
        report(await work());
      }
      daemonize({ keepFds: [3] });
      report(await work());
      await end();
    `);
    expect(reports.filter((it) => it === WORKED)).toHaveLength(6);
    expect(code).toBe(0);
  });

  testFork('threads that fork() has stopped for good are not begun anew', async () => {
    const { reports } = await run(`${BUSY}
      const child = fork({ parent: 'main-thread' });
      if (child === 0) process.exit(0);
      posix.waitpid(child);
      try { daemonize({ keepFds: [3] }); } catch (error) { report([error.code, error.message]); }
      posix._exit(0);
    `);
    expect(reports).toEqual([['EBUSY', 'fork() has stopped threads of this process for good']]);
  });
});
