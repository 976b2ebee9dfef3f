// C24: control groups of workers. For real: needs a cgroup version 2 in which groups may be made.

import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { temporaryFolder } from '../../support/folder.js';
import { node } from '../../support/node.js';
import { stat, until } from '../../support/processes.js';
import { inline, launch, run, start } from '../../support/program.js';
import { isRoot, unprivileged } from '../../support/root.js';
import { decisions } from './tools.js';

const SUPERVISE = 'const { supervise } = doublefork;';
const STAY = 'setInterval(() => {}, 1e6);';

const mount = / (\/\S+) \S+ .*- cgroup2 /.exec(readFileSync('/proc/self/mountinfo', 'utf8'))?.[1];

/** Why there can be no test. */
function obstacle(): string | undefined {
  if (mount === undefined) return 'cgroup version 2 is not mounted';
  const path = join(mount, `doublefork-test.${process.pid}`);
  try {
    mkdirSync(path);
  } catch (error) {
    return `no group can be made: ${(error as Error).message}`;
  }
  const hasKill = existsSync(join(path, 'cgroup.kill'));
  rmdirSync(path);
  return hasKill ? undefined : 'the kernel has no cgroup.kill (before Linux 5.14)';
}

const reason = obstacle();
if (reason !== undefined) console.log(`Not tested, control groups: ${reason}`);

let count = 0;

/** An empty group, removed when the test has finished. */
function group(): string {
  const path = join(mount!, `doublefork-test.${process.pid}.${++count}`);
  mkdirSync(path);
  onTestFinished(async () => {
    await until(
      () => !readFileSync(join(path, 'cgroup.events'), 'utf8').includes('populated 1'),
      'empty',
    );
    remove(path);
  });
  return path;
}

function remove(path: string): void {
  for (const name of groups(path)) remove(join(path, name));
  rmdirSync(path);
}

const groups = (path: string) =>
  readdirSync(path, { withFileTypes: true }).flatMap((it) => (it.isDirectory() ? it.name : []));

/** Where a process is, as a folder. */
const groupOf = (pid: number) =>
  mount + /^0::(.*)$/m.exec(readFileSync(`/proc/${pid}/cgroup`, 'utf8'))![1]!;

/** A worker with a child that has left its session, its group and its parents. */
const ORPHAN = `
  const { execFileSync } = await import('node:child_process');
  const file = process.argv[1] + '/' + process.pid;
  execFileSync('/bin/sh', ['-c', '(setsid /bin/sh -c "echo \\\\$\\\\$ >' + file + '; exec sleep 1000" &) &'], { stdio: 'ignore' });
  const timer = setInterval(() => {
    const orphan = fs.existsSync(file) ? Number(fs.readFileSync(file, 'utf8')) : 0;
    if (orphan === 0) return;
    clearInterval(timer);
    report({ pid: process.pid, id: worker.id, orphan, supervisor: process.ppid });
  }, 5);
  ${STAY}
`;

describe.skipIf(reason !== undefined)('control groups', () => {
  test('each worker has one of its own; nothing of them is left in the end', async () => {
    const path = group();
    const program = start(`${SUPERVISE}
      supervise({ workers: 2, cgroup: '${path}' });
      const links = fs.readdirSync('/proc/self/fd').map((fd) => {
        try { return fs.readlinkSync('/proc/self/fd/' + fd); } catch { return ''; }
      });
      report({ pid: process.pid, open: links.filter((link) => link.startsWith('${path}')) });
      ${STAY}
    `);
    const reports = [await program.report(), await program.report()];
    // A copy of the lock would outlive the supervisor.
    expect(reports.map(({ open }) => open)).toEqual([[], []]);
    const [first, second] = reports.map(({ pid }) => groupOf(pid));
    expect(first).not.toBe(second);
    for (const own of [first!, second!]) expect(own.startsWith(`${path}/doublefork.`)).toBe(true);
    expect(groupOf(program.pid).startsWith(path)).toBe(false);
    process.kill(program.pid);
    expect((await program.ended).code).toBe(0);
    expect(groups(path)).toEqual([]);
  });

  test('a crash ends what has left session, group and parents, and nobody else’s', async () => {
    const path = group();
    const program = start(
      `${SUPERVISE} const worker = supervise({ workers: 2, minUptime: 0, spare: 0, cgroup: '${path}' }); ${ORPHAN}`,
      { args: [temporaryFolder()] },
    );
    const [crashing, other] = [await program.report(), await program.report()];
    await until(() => stat(crashing.orphan)?.ppid === program.pid, 'an orphan');
    expect(stat(crashing.orphan)!.session).toBe(crashing.orphan);
    process.kill(crashing.pid, 'SIGKILL');
    const next = await program.report();
    await until(() => stat(crashing.orphan) === undefined, 'gone');
    expect(stat(other.pid)).toBeDefined();
    expect(stat(other.orphan)).toBeDefined();
    expect(next.id).toBe(crashing.id);
    // Of the crashed one no group is left.
    const all = () => groups(path).flatMap((name) => groups(join(path, name)));
    await until(() => all().length === 2, 'two groups');
    process.kill(program.pid);
    expect((await program.ended).code).toBe(0);
    expect([other, next].filter(({ orphan }) => stat(orphan))).toEqual([]);
    expect(groups(path)).toEqual([]);
  });

  test('what a killed supervisor has left is ended by the next one, but not what a live one has', async () => {
    const path = group();
    const source = `${SUPERVISE} const worker = supervise({ cgroup: '${path}' }); ${ORPHAN}`;
    const killed = start(source, { args: [temporaryFolder()] });
    const live = start(source, { args: [temporaryFolder()] });
    const left = await killed.report();
    const kept = await live.report();
    process.kill(killed.pid, 'SIGKILL');
    await until(() => stat(left.pid) === undefined, 'the end of its worker');
    expect(stat(left.orphan)).toBeDefined();
    const next = start(source, { args: [temporaryFolder()] });
    const { orphan } = await next.report();
    // It may wait for init to reap it.
    expect(stat(left.orphan)?.state ?? 'Z').toBe('Z');
    expect(stat(kept.orphan)).toBeDefined();
    expect(groups(path)).toHaveLength(2);
    for (const { pid } of [live, next]) process.kill(pid);
    for (const program of [live, next, killed]) await program.ended;
    expect([kept.orphan, orphan].filter(stat)).toEqual([]);
    expect(groups(path)).toEqual([]);
  });

  test('a worker that is another program is in one too', async () => {
    const path = group();
    const program = start(
      `${SUPERVISE} supervise({ cgroup: '${path}', exec: ['sleep', '1000'] });`,
    );
    const members = () =>
      groups(path)
        .flatMap((name) => groups(join(path, name)).map((inner) => join(path, name, inner)))
        .flatMap((own) => readFileSync(join(own, 'cgroup.procs'), 'utf8').split('\n'))
        .filter(Boolean);
    await until(() => members().length === 1, 'a member');
    const [pid] = members();
    expect(stat(Number(pid))!.ppid).toBe(program.pid);
    process.kill(program.pid);
    await program.ended;
  });

  test('a folder that is no group, or none at all, is an error', async () => {
    const { reports } = await run(`${SUPERVISE}
      for (const cgroup of ['/nonexistent', '/tmp', '']) {
        try { supervise({ cgroup }); } catch (error) { report(error.code); }
      }
    `);
    expect(reports).toEqual(['ENOENT', 'ENOTSUP', 'ERR_OUT_OF_RANGE']);
  });

  /** Starts a supervisor in a group, as another user if that is given. */
  const startIn = (path: string, options: string, user: readonly string[] = []) => {
    const source = `${SUPERVISE} supervise(${options}); report(process.pid); ${STAY}`;
    const enter = 'echo $$ >"$0/cgroup.procs" && exec "$@"';
    return launch('sh', ['-c', enter, path, ...user, node, ...inline(source)]);
  };
  /** As systemd marks a group with Delegate=yes. */
  const delegate = (path: string) =>
    execFileSync('python3', ['-c', `import os; os.setxattr('${path}', 'user.delegate', b'1')`]);

  test('without the option: only if the group was delegated', async () => {
    const path = group();
    const plain = startIn(path, '{}');
    expect(groupOf(await plain.report())).toBe(path);
    expect(groups(path)).toEqual([]);
    process.kill(plain.pid);
    await plain.ended;

    delegate(path);
    const delegated = startIn(path, '{}');
    expect(groupOf(await delegated.report())).toMatch(/\/doublefork\.\d+\.0\/1$/);
    expect(groupOf(delegated.pid)).toBe(path);
    process.kill(delegated.pid);
    await delegated.ended;
    expect(groups(path)).toEqual([]);

    const none = startIn(path, `{ cgroup: 'none' }`);
    expect(groupOf(await none.report())).toBe(path);
    process.kill(none.pid);
    await none.ended;
  });

  test.skipIf(!isRoot)(
    'one that was delegated and cannot be divided is told, and done without',
    async () => {
      const path = group();
      delegate(path);
      const program = startIn(path, '{}', unprivileged);
      expect(groupOf(await program.report())).toBe(path);
      process.kill(program.pid);
      const [told] = decisions(await program.ended, 'no-cgroup');
      expect(told.error).toMatch(/^EACCES/);
    },
  );
});
