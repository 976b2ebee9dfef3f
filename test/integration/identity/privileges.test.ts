// C30: no process that keeps privileges is in the hands of one that gave them up.

import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ControlClient } from 'doublefork/control';
import { describe, expect, test } from 'vitest';
import { hasFork } from '../../support/engine.js';
import { temporaryFolder } from '../../support/folder.js';
import { node } from '../../support/node.js';
import { until } from '../../support/processes.js';
import { inline, launch, start } from '../../support/program.js';
import { isRoot, unprivileged } from '../../support/root.js';

const testForkAsRoot = test.skipIf(!isRoot || !hasFork);

const adjustment = (pid: number) => readFileSync(`/proc/${pid}/oom_score_adj`, 'utf8').trim();

/** The kernel keeps oom_score_adj for a memory: proc(5). */
function shareMemory(a: number, b: number): boolean {
  writeFileSync(`/proc/${a}/oom_score_adj`, '321');
  return adjustment(b) === '321';
}

/** Reports from the daemon while its launcher waits, and again when it has dropped by itself. */
const daemonWith = (options: string) => `
  const daemon = daemonize({ keepFds: [3], ready: 'manual', ${options} });
  process.on('SIGUSR2', () => { daemon.ready(); process.exit(0); });
  report(process.pid);
  setInterval(() => {}, 1e6);
`;

describe('C30: a launcher that waits shares no memory with a daemon', () => {
  testForkAsRoot.each([
    "user: 'nobody'",
    "group: 'nogroup'",
    'groups: []',
    'capabilities: []',
    "capabilities: ['net_bind_service'], user: 'nobody'",
    'noNewPrivileges: true',
    // The program may give up what it likes before it is ready.
    '',
  ])('of root, with { %s }', async (options) => {
    const program = start(daemonWith(options));
    const daemon = await program.report();
    expect(shareMemory(daemon, program.pid)).toBe(false);
    process.kill(daemon, 'SIGUSR2');
    expect((await program.exited).code).toBe(0);
    await program.ended;
  });

  testForkAsRoot('of a user, if it asks for noNewPrivileges', async () => {
    const [command, ...words] = unprivileged;
    const program = launch(command!, [
      ...words,
      node,
      ...inline(daemonWith('noNewPrivileges: true')),
    ]);
    const daemon = await program.report();
    expect(shareMemory(daemon, program.pid)).toBe(false);
    process.kill(daemon, 'SIGUSR2');
    await program.ended;
  });
});

describe('C30: a launcher that has nothing more than the daemon', () => {
  testForkAsRoot('is in its memory, and can be given nothing by a setuid program', async () => {
    const [command, ...words] = unprivileged;
    const program = launch(command!, [...words, node, ...inline(daemonWith(''))]);
    const daemon = await program.report();
    // Else the tests above cannot fail.
    expect(shareMemory(daemon, program.pid)).toBe(true);
    const noNewPrivileges = (pid: number) =>
      /^NoNewPrivs:\s*(\d)$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
    expect([noNewPrivileges(program.pid), noNewPrivileges(daemon)]).toEqual(['1', '0']);
    process.kill(daemon, 'SIGUSR2');
    await program.ended;
  });
});

describe('C30: a worker that gave up its privileges', () => {
  testForkAsRoot(
    'shares no memory with its supervisor, and cannot end it by what it writes',
    async () => {
      const control = join(temporaryFolder(), 'control');
      const program = start(
        `
      const worker = doublefork.supervise({ restart: 'never', log: 'none', control: process.argv[1] });
      worker.ready();
      const supervisor = process.ppid;
      const linkOf = (pid, fd) => { try { return fs.readlinkSync('/proc/' + pid + '/fd/' + fd); } catch { return ''; } };
      const fds = (pid) => fs.readdirSync('/proc/' + pid + '/fd').filter((fd) => fd > 3);
      const read = new Set(fds(supervisor).map((fd) => linkOf(supervisor, fd)).filter((link) => link.startsWith('pipe:')));
      const isWriter = (fd) => /^flags:\\s*\\d*1$/m.test(fs.readFileSync('/proc/self/fdinfo/' + fd, 'utf8'));
      const pipes = fds('self').filter((fd) => read.has(linkOf('self', fd)) && isWriter(fd)).map(Number);
      process.setgroups([]); process.setgid(65533); process.setuid(65533);
      const tried = (act) => { try { act(); return 'done'; } catch ({ code }) { return code; } };
      const deep = JSON.stringify('['.repeat(8000) + ']'.repeat(8000));
      const lines = ['H' + deep, 'S' + '['.repeat(8000) + ']'.repeat(8000), 'S[[[', 'H{}', 'E1', '\\0', 'A'];
      for (const fd of pipes) {
        for (const line of lines) tried(() => fs.writeSync(fd, line + '\\n'));
        tried(() => fs.writeSync(fd, Buffer.alloc(40_000, 'x')));
        tried(() => fs.writeSync(fd, '\\n'));
      }
      report([
        supervisor,
        process.pid,
        pipes.length > 0,
        tried(() => process.kill(supervisor, 'SIGKILL')),
        tried(() => fs.openSync('/proc/' + supervisor + '/mem', 'r+')),
      ]);
      process.on('SIGTERM', () => process.exit(0));
      // The pipe may be full.
      setInterval(() => worker.status('told'), 50);
    `,
        { args: [control] },
      );
      const [supervisor, worker, ...rest] = await program.report();
      expect(rest).toEqual([true, 'EPERM', 'EACCES']);
      expect(shareMemory(worker, supervisor)).toBe(false);
      const client = await ControlClient.connect(control);
      await until(async () => (await client.status()).workers[0]?.status === 'told', 'its word');
      client.close();
      process.kill(supervisor, 'SIGTERM');
      expect((await program.exited).code).toBe(0);
      await program.ended;
    },
  );
});
