// C30: no process that keeps privileges is in the hands of one that gave them up.

import { readFileSync, writeFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { hasFork } from '../../support/engine.js';
import { node } from '../../support/node.js';
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
