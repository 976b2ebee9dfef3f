// Workers that the kernel kills for want of memory.

import { dirname } from 'node:path';
import { describe, expect, type TestContext, test } from 'vitest';
import { limitedGroup } from '../../support/cgroup.js';
import { node } from '../../support/node.js';
import { execute, inline, launch } from '../../support/program.js';
import { isRoot } from '../../support/root.js';
import { decisions } from './tools.js';

/** A group, or the test is skipped. */
function groupFor({ skip }: TestContext): string {
  try {
    return limitedGroup(300e6);
  } catch (error) {
    return skip(`there can be no group with a limit on memory: ${(error as Error).message}`);
  }
}

/** The command line that has a shell run another in a group. */
const joining = (group: string, then = 'exec "$@"') => [
  '-c',
  `echo $$ > '${group}' && ${then}`,
  'sh',
];

/** As a container without a namespace of groups has it: its group is where the root should be. */
const inContainer = (group: string) =>
  joining(
    group,
    `exec unshare --mount sh -c 'mount --bind "$0" /sys/fs/cgroup/memory && exec "$@"' '${dirname(group)}' "$@"`,
  );

const HOG = 'for (globalThis.kept = [];;) kept.push(Buffer.alloc(10e6, 1));';

const supervised = (worker: string) =>
  inline(`
    const worker = doublefork.supervise({ minUptime: 0 });
    report(process.pid);
    ${worker}
    setInterval(() => {}, 1e6);
  `);

describe.each([
  ['in its group', joining],
  ['in a container', inContainer],
])('a worker %s', (where, enter) => {
  const unfit = (group: string) =>
    where === 'in a container' && !(isRoot && group.startsWith('/sys/fs/cgroup/memory/'));

  test('that was killed for want of memory is told from one that somebody has killed', async (context) => {
    const group = groupFor(context);
    if (unfit(group)) context.skip('only root can mount; groups of version 2 have namespaces');
    const worker = `if (worker.generation === 2) ${HOG}`;
    const program = launch('sh', [...enter(group), node, ...supervised(worker)]);
    process.kill(await program.report(), 'SIGKILL');
    await program.report();
    process.kill(await program.report(), 'SIGKILL');
    await program.report();
    process.kill(program.pid);
    const exits = decisions(await program.ended, 'exit');
    expect(exits.map(({ outOfMemory }) => outOfMemory)).toEqual([false, true, false, false]);
    expect(exits[1].msg).toMatch(/^worker 1 ended after \d+ ms: out of memory$/);
  });

  test('is not taken for one of another group', async (context) => {
    const group = groupFor(context);
    if (unfit(group)) context.skip('only root can mount; groups of version 2 have namespaces');
    const program = launch('sh', [...enter(group), node, ...supervised('')]);
    const pid = await program.report();
    const other = await execute('sh', [...joining(groupFor(context)), node, '-e', HOG]);
    expect(other.signal).toBe('SIGKILL');
    process.kill(pid, 'SIGKILL');
    await program.report();
    process.kill(program.pid);
    const exits = decisions(await program.ended, 'exit');
    expect(exits.map(({ outOfMemory }) => outOfMemory)).toEqual([false, false]);
  });
});
