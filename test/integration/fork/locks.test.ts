// Record locks belong to a process, and databases rely on them: C29. What asks for them here is
// another process, the test's own.

import { chmodSync, closeSync, openSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { F_GETLK, fcntlLock } from 'doublefork/posix';
import { describe, expect, test } from 'vitest';
import { engine, testFork } from '../../support/engine.js';
import { temporaryFolder } from '../../support/folder.js';
import { node } from '../../support/node.js';
import { inline, launch, run, start } from '../../support/program.js';
import { testAsRoot, unprivileged } from '../../support/root.js';

/** Whether somebody has locked the file against writing. */
function isLocked(file: string): boolean {
  const fd = openSync(file, 'r+');
  try {
    return fcntlLock(fd, F_GETLK, { type: 'write' }).type !== 'unlock';
  } finally {
    closeSync(fd);
  }
}

function database(): string {
  const file = join(temporaryFolder(), 'database');
  writeFileSync(file, '');
  return file;
}

/** The program has locked what its first argument names. */
const LOCK = `
  const file = process.argv[1];
  const fd = fs.openSync(file, 'r+');
  posix.fcntlLock(fd, posix.F_SETLK, { type: 'write' });
`;
/** Holds whatever comes until it is told. */
const WAIT = `process.on('SIGUSR2', () => process.exit(0)); setInterval(() => {}, 1e6);`;

describe('daemonize(), fork engine', () => {
  testFork('C29: the daemon has the record locks of the launcher', async () => {
    const file = database();
    const program = start(
      `${LOCK}
        const daemon = daemonize({ keepFds: [3], ready: 'manual' });
        ${WAIT}
        process.on('SIGWINCH', () => daemon.ready());
        report(process.pid);
      `,
      { args: [file] },
    );
    const pid = await program.report();
    expect(isLocked(file)).toBe(true);
    process.kill(pid, 'SIGWINCH');
    await program.exited;
    expect(isLocked(file)).toBe(true);
    process.kill(pid, 'SIGUSR2');
    await program.ended;
    expect(isLocked(file)).toBe(false);
  });

  testAsRoot('C29: also one that becomes another user, whose memory is a copy', async () => {
    const file = database();
    const program = start(
      `${LOCK}
        daemonize({ keepFds: [3], user: 'nobody', capabilities: [], noNewPrivileges: true });
        ${WAIT}
        report(process.pid);
      `,
      { args: [file] },
    );
    const pid = await program.report();
    await program.exited;
    expect(isLocked(file)).toBe(true);
    process.kill(pid, 'SIGUSR2');
    await program.ended;
  });

  testFork('C29: and keeps them when the launcher is killed while it waits', async () => {
    const file = database();
    const program = start(
      `${LOCK} daemonize({ keepFds: [3], ready: 'manual' }); ${WAIT} report(process.pid);`,
      { args: [file] },
    );
    const pid = await program.report();
    process.kill(program.pid, 'SIGKILL');
    await program.exited;
    expect(isLocked(file)).toBe(true);
    process.kill(pid, 'SIGUSR2');
    await program.ended;
  });

  testFork('C29: a refusal leaves them with the launcher', async () => {
    const file = database();
    chmodSync(file, 0o666);
    chmodSync(dirname(file), 0o755);
    const [command, ...words] = unprivileged;
    const source = `${LOCK}
      for (const options of [{ nice: -5 }, { nice: -5, noNewPrivileges: true }]) {
        try { daemonize(options); } catch ({ syscall }) { report([syscall, process.pid]); }
      }
      ${WAIT}
    `;
    const program = launch(command!, [...words, node, ...inline(source, { args: [file] })]);
    expect(await program.report()).toEqual(['setpriority', program.pid]);
    // The second one has copied the memory.
    expect(await program.report()).toEqual(['setpriority', program.pid]);
    expect(isLocked(file)).toBe(true);
    process.kill(program.pid, 'SIGUSR2');
    await program.ended;
  });
});

describe('where they would be lost, the call is refused and names the file', () => {
  const refused = (file: string) => ({
    code: 'EBUSY',
    message: `${file}: this process holds a record lock (fcntl(2)) which the new one would not have; release it, or pass { recordLocks: 'lose' }`,
  });
  const TRY = `
    const attempt = (call) => {
      try { call(); } catch ({ code, message }) { report({ code, message }); }
    };
  `;

  testFork('C29: fork()', async () => {
    const file = database();
    const { reports } = await run(
      `${LOCK} ${TRY}
        attempt(() => fork());
        const child = fork({ recordLocks: 'lose' });
        if (child === 0) process.exit(0);
        report(posix.waitpid(child).exitCode);
      `,
      { args: [file] },
    );
    expect(reports).toEqual([refused(file), 0]);
  });

  test('C29: daemonize() with the exec engine', async () => {
    const file = database();
    const { reports } = await run(
      `${LOCK} ${TRY}
        attempt(() => daemonize({ keepFds: [3], engine: 'exec' }));
        process.exit(0);
      `,
      { args: [file] },
    );
    expect(reports).toEqual([refused(file)]);
  });

  test.each(engine === 'fork' ? ['fork', 'exec'] : ['exec'])(
    'C29: supervise() with the %s engine',
    async (name) => {
      const file = database();
      const { reports } = await run(
        `${LOCK} ${TRY}
          attempt(() => doublefork.supervise({ engine: '${name}' }));
          process.exit(0);
        `,
        { args: [file] },
      );
      expect(reports).toEqual([refused(file)]);
    },
  );

  testFork('locks of an open file, flock(2) and OFD, are in both processes', async () => {
    const file = database();
    const { reports, stderr } = await run(
      `
        const fd = fs.openSync(process.argv[1], 'r+');
        posix.flock(fd, posix.LOCK_EX);
        posix.fcntlLock(fd, posix.F_OFD_SETLK, { type: 'write' });
        const child = fork();
        if (child === 0) process.exit(0);
        report(posix.waitpid(child).exitCode);
      `,
      { args: [file] },
    );
    expect({ reports, stderr }).toEqual({ reports: [0], stderr: '' });
  });
});

test('who may not wait for a lock of flock(2) is told that it is locked', async () => {
  const { reports } = await run(
    `
    const path = process.argv[1] + '/lock';
    const lock = () => posix.flock(fs.openSync(path, 'w'), posix.LOCK_EX | posix.LOCK_NB);
    lock();
    try { lock(); } catch (error) { report([error.code, error.message]); }
    `,
    { args: [temporaryFolder()] },
  );
  expect(reports).toEqual([['EAGAIN', 'flock() failed: it is locked already']]);
});
