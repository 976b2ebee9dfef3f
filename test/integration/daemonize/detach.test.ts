// C1-C4: a daemon has left its session, its group and its terminal, wherever it was started from.

import { readdirSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { testContinuing } from '../../support/engine.js';
import { node } from '../../support/node.js';
import { MARK, marked, type Stat, stat, until } from '../../support/processes.js';
import { inline, launch, run, start } from '../../support/program.js';
import { Terminal } from '../../support/pty.js';

/** Becomes a daemon, tells its pid, stays until it is killed. */
const DAEMON = `
  daemonize({ keepFds: [3] });
  report(process.pid);
  setInterval(() => {}, 1e6);
`;

/** Who adopts the orphans of this place: init, or a subreaper closer by. */
async function adopter(): Promise<number> {
  const orphan = launch('/bin/sh', ['-c', 'sleep 1000 & echo $! >&3']);
  const pid: number = await orphan.report();
  await orphan.exited;
  const parent = stat(pid)!.ppid;
  process.kill(pid);
  await orphan.ended;
  return parent;
}

function processes(): Stat[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => stat(Number(name)) ?? []);
}

/** What C1 says of a daemon whose launcher has exited, and C4 of what else is left. */
function expectDetached(pid: number, from: Stat): void {
  const daemon = stat(pid)!;
  expect(daemon.ttyNr).toBe(0);
  expect(daemon.session).not.toBe(from.session);
  expect(daemon.session).not.toBe(pid);
  expect(daemon.pgrp).not.toBe(pid);
  expect(daemon.pgrp).toBe(daemon.session);
  const zombies = processes().filter(({ state }) => state === 'Z');
  expect(zombies.filter(({ session, ppid }) => session === daemon.session || ppid === pid)).toEqual(
    [],
  );
}

/** All processes of this test, shells aside. */
const left = () => marked(process.env[MARK]!).filter((pid) => pid !== process.pid);

describe('C1', () => {
  test('C1 init adopts the daemon; it leads no session and no group, and has no terminal', async () => {
    const terminal = Terminal.start(DAEMON);
    const pid = await terminal.report();
    expect(await terminal.exited).toEqual({ code: 0, signal: null });
    const shell = stat(terminal.pid)!;
    expect(shell.ttyNr).not.toBe(0);
    expectDetached(pid, shell);
    expect(stat(pid)!.ppid).toBe(await adopter());
    process.kill(pid);
    expect((await terminal.ended).output.trim()).toBe('[exit 0]');
  });

  test('C1 a subreaper adopts the daemon', async () => {
    // prctl(PR_SET_CHILD_SUBREAPER), then wait for the launcher and for the daemon.
    const number = process.arch === 'arm64' ? 167 : 157;
    const subreaper = `$^F = 3; syscall(${number}, 36, 1, 0, 0, 0) == 0 or die; system(@ARGV); wait`;
    const program = launch('perl', ['-e', subreaper, node, ...inline(DAEMON)]);
    const pid = await program.report();
    await until(() => stat(pid)?.ppid === program.pid, 'adopted by the subreaper');
    process.kill(pid);
    expect((await program.ended).code).toBe(0);
  });
});

describe('C2', () => {
  testContinuing('C2 open(/dev/tty) fails with ENXIO', async () => {
    const terminal = Terminal.start(`
      const open = () => {
        try { return fs.openSync('/dev/tty') > 0; } catch (error) { return error.code; }
      };
      report(open());
      daemonize({ keepFds: [3] });
      report(open());
    `);
    expect((await terminal.ended).reports).toEqual([true, 'ENXIO']);
  });

  // Only a session leader acquires one: the second run shows that this test can tell.
  const OPEN_PTY = `
    import pty from 'node-pty';
    const { ptsName } = pty.open({});
    const terminal = () => fs.readFileSync('/proc/self/stat', 'utf8').split(') ')[1].split(' ')[4];
    posix.open(ptsName, fs.constants.O_RDWR);
    report(terminal() === '0' ? 'none' : 'acquired');
    process.exit();
  `;

  test('C2 opening a pty without O_NOCTTY acquires no controlling terminal', async () => {
    const daemon = await run(`daemonize({ keepFds: [3] }); ${OPEN_PTY}`);
    expect(daemon.reports).toEqual(['none']);
    const leader = await launch('setsid', ['-w', node, ...inline(OPEN_PTY)]).ended;
    expect(leader.reports).toEqual(['acquired']);
  });
});

describe('C3', () => {
  const ANSWERS = `
    daemonize({ keepFds: [3] });
    process.on('SIGUSR2', () => { report('alive'); process.exit(); });
    report(process.pid);
    setInterval(() => {}, 1e6);
  `;

  test('C3 the daemon survives the hang-up of the terminal it was started from', async () => {
    const terminal = Terminal.start(ANSWERS);
    const pid = await terminal.report();
    await terminal.exited;
    terminal.hangUp();
    await until(() => stat(terminal.pid) === undefined, 'the shell dies of the hang-up');
    process.kill(pid, 'SIGUSR2');
    expect(await terminal.report()).toBe('alive');
    await terminal.ended;
  });

  test('C3 the daemon survives SIGHUP to the old foreground group', async () => {
    const terminal = Terminal.start(ANSWERS);
    const pid = await terminal.report();
    await terminal.exited;
    process.kill(-stat(terminal.pid)!.pgrp, 'SIGHUP');
    await until(() => stat(terminal.pid) === undefined, 'the shell dies of SIGHUP');
    process.kill(pid, 'SIGUSR2');
    expect(await terminal.report()).toBe('alive');
    await terminal.ended;
  });

  test('C3 a terminal that closes together with the launcher does not kill the daemon', async () => {
    for (let round = 0; round < 10; round++) {
      const terminal = Terminal.start(`daemonize({ keepFds: [3] }); report('alive');`, {
        shell: 'exec "$@" 3>"$0"',
      });
      expect(await terminal.ended).toMatchObject({ code: 0, reports: ['alive'] });
    }
  });
});

describe('C4', () => {
  test.each([
    ['a process-group leader', 'set -m; "$@" 3>"$0"; echo "[exit $?]"; read -r answer'],
    ['a member of a group', '"$@" 3>"$0"; echo "[exit $?]"; read -r answer'],
    ['the last of a pipeline', 'echo in | "$@" 3>"$0"; echo "[exit $?]"; read -r answer'],
    ['the first of a pipeline', '{ "$@" 3>"$0"; echo "[exit $?]"; } | cat; read -r answer'],
    ['a background job', 'set -m; "$@" 3>"$0" & wait $!; echo "[exit $?]"; read -r answer'],
  ])('C4 started as %s', async (_place, shell) => {
    const terminal = Terminal.start(DAEMON, { shell });
    const pid = await terminal.report();
    expect((await terminal.exited).code).toBe(0);
    expectDetached(pid, stat(terminal.pid)!);
    process.kill(pid);
    await terminal.ended;
  });

  test('C4 started as a session leader', async () => {
    const program = launch('setsid', ['-w', node, ...inline(DAEMON)]);
    const pid = await program.report();
    expect((await program.exited).code).toBe(0);
    expectDetached(pid, stat(process.pid)!);
    process.kill(pid);
    await program.ended;
  });

  test.each([
    [
      'pid=$(app start) does not wait',
      'out=$("$@" 2>&1); echo "got $out, code $?"',
      'got starting, code 0\n',
    ],
    ['a pipeline ends', '"$@" 2>&1 | cat', 'starting\n'],
  ])('C4 %s although the daemon lives', async (_, script, expected) => {
    const words = ['-c', script, 'sh', node, ...inline(`console.log('starting'); ${DAEMON}`)];
    const program = launch('/bin/sh', words);
    const pid = await program.report();
    expect((await program.exited).code).toBe(0);
    expect(stat(pid)).toBeDefined();
    process.kill(pid);
    expect((await program.ended).stdout).toBe(expected);
  });

  test.each(['<&-', '>&-', '2>&-', '<&- >&-', '<&- 2>&-', '>&- 2>&-', '<&- >&- 2>&-'])(
    'C4 started with %s',
    async (closed) => {
      const program = launch('/bin/sh', [
        '-c',
        `exec "$@" ${closed}`,
        'sh',
        node,
        ...inline(`
          daemonize({ keepFds: [3] });
          console.log('out');
          console.error('error');
          report([0, 1, 2].map((fd) => fs.readlinkSync('/proc/self/fd/' + fd)));
        `),
      ]);
      const { code, reports, stdout, stderr } = await program.ended;
      expect({ code, stdout, stderr }).toEqual({ code: 0, stdout: '', stderr: '' });
      expect(reports).toEqual([['/dev/null', '/dev/null', '/dev/null']]);
    },
  );

  test('C4 nothing but the daemon is left of the start', async () => {
    const program = start(DAEMON);
    const pid = await program.report();
    await program.exited;
    expect(left()).toEqual([pid]);
    process.kill(pid);
    await program.ended;
  });
});
