// How a new image knows that it is the daemon, and what else cannot make it believe so.

import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { temporaryFolder } from '../../support/folder.js';
import { node } from '../../support/node.js';
import { stat } from '../../support/processes.js';
import { inline, launch, run, start } from '../../support/program.js';

const env = { DOUBLEFORK_ENGINE: 'exec' };

/**
 * A shell that puts its own id, which node keeps, into the variable. Its fd 9 is a pipe; fd 3, on which
 * programs report, is a socket.
 */
function forged(value: string, source: string) {
  const fifo = join(temporaryFolder(), 'fifo');
  const script = `mkfifo '${fifo}'; exec 9<>'${fifo}'; DOUBLEFORK_HANDOFF=${value} exec "$@"`;
  return launch('bash', ['-c', script, 'bash', node, ...inline(source)], { env });
}

describe('handoff', () => {
  test('nothing of it is left in the daemon, nor in what is started before the call', async () => {
    const { code, reports } = await run(
      `
        import { execFileSync } from 'node:child_process';
        const look = () => ({
          own: process.env.DOUBLEFORK_HANDOFF,
          child: execFileSync('/bin/sh', ['-c', 'echo $DOUBLEFORK_HANDOFF; ls /proc/self/fd'], {
            encoding: 'utf8',
          }).split('\\n').slice(0, -1),
        });
        const before = look();
        daemonize({ keepFds: [3], log: '/dev/null', pidfile: process.argv[1] });
        report({ before, after: look() });
      `,
      { env, args: [join(temporaryFolder(), 'pid')] },
    );
    expect(code).toBe(0);
    const { before, after } = reports[0];
    for (const { own, child } of [before, after]) {
      expect(own).toBeUndefined();
      expect(child[0]).toBe('');
      // 0-2, and the folder that is being listed.
      expect(child.slice(1)).toHaveLength(4);
    }
  });

  const rest = (stdin: string) =>
    `'{"stdio":[${stdin},null,null],"pidfile":null,"listeners":{},"calls":[{"call":"daemonize"}]}'`;
  const told = rest('null');
  const inode = '"$(stat -Lc %i /proc/self/fd/9)"';
  const program = `
    daemonize({ keepFds: [3] });
    report({ pid: process.pid, handoff: process.env.DOUBLEFORK_HANDOFF });
  `;
  // What each of the forgeries below would come to if that which is wrong with it were not looked at.
  test('with the right pipe and id it is believed', async () => {
    const { reports, pid } = await forged(`${inode}:9:${told}:$$`, program).ended;
    expect(reports).toMatchObject([{ pid }]);
  });

  test.each([
    ['garbage', 'nonsense'],
    ['numbers out of range', `1:99999999999:${told}:$$`],
    ['a closed descriptor', `1:99:${told}:$$`],
    ['a descriptor that is no pipe', `"$(stat -Lc %i /etc/passwd)":8:${told}:$$ 8</etc/passwd`],
    ['a pipe with another inode', `1:9:${told}:$$`],
    ['the id of another process', `${inode}:9:${told}:1`],
    ['the right pipe and id, and nonsense', `${inode}:9:'{"calls":7}':$$`],
    ['a closed descriptor to take over', `${inode}:9:${rest('{"fd":99}')}:$$`],
  ])('a forged variable is ignored: %s', async (_, value) => {
    const { code, reports, pid } = await forged(value, program).ended;
    expect(code).toBe(0);
    expect(reports).toHaveLength(1);
    expect(reports[0].pid).not.toBe(pid);
    expect(reports[0].handoff).toBeUndefined();
  });

  test.each([
    ['the process that it names', '$$', true],
    ['another one', '$PPID', false],
  ])('the variable is taken by %s: %s', async (_, pid, taken) => {
    // The shell becomes the program, with its id and the pipe that the variable tells of as fd 5. (The
    // pipe of reports, fd 3, is a pair of sockets.)
    const json = JSON.stringify({
      stdio: [null, null, null],
      pidfile: null,
      listeners: {},
      calls: [{ call: 'daemonize', detached: true }],
    });
    const script = `mkfifo "$FIFO" && exec 5<>"$FIFO"
      export DOUBLEFORK_HANDOFF="$(stat -Lc %i /proc/self/fd/5):5:$JSON:${pid}"; exec "$@"`;
    const program = inline(
      `report(daemonize({ detach: 'never', engine: 'exec', keepFds: [3] }).detached);`,
    );
    const { reports } = await launch('bash', ['-c', script, 'bash', node, ...program], {
      env: { JSON: json, FIFO: join(temporaryFolder(), 'fifo') },
    }).ended;
    expect(reports).toEqual([taken]);
  });

  test('each of a family gets its own daemon: a launcher, its children, the daemon of a daemon', async () => {
    // xdaemon counts generations in a variable: there a second child skips its own call.
    const { code, reports } = await run(
      `
        import { spawn, spawnSync } from 'node:child_process';
        const name = process.argv[1] ?? 'root';
        const again = (child) =>
          spawnSync(process.execPath, [...process.execArgv, '--', child], {
            stdio: ['ignore', 'inherit', 'inherit', 3],
          }).status;
        const before = process.pid;
        const early = name === 'root' ? [again('early-1'), again('early-2')] : [];
        const daemon = daemonize({ keepFds: [3], cwd: 'keep' });
        report({ name, detached: daemon.detached, session: posix.getsid(), early });
        if (name === 'root') report({ late: [again('late-1'), again('late-2')] });
      `,
      { env },
    );
    expect(code).toBe(0);
    const names = reports.flatMap(({ name }) => name ?? []);
    // The exec engine runs what stands before the call twice, in launcher and daemon.
    expect(names.sort()).toEqual(
      ['early-1', 'early-1', 'early-2', 'early-2', 'late-1', 'late-2', 'root'].sort(),
    );
    expect(reports.every(({ detached }) => detached ?? true)).toBe(true);
    expect(reports.find(({ name }) => name === 'root').early).toEqual([0, 0]);
    expect(reports.find(({ late }) => late).late).toEqual([0, 0]);
    const sessions = reports.flatMap(({ session }) => session ?? []);
    expect(new Set(sessions).size).toBe(sessions.length);
  });

  test('a second call is refused', async () => {
    const { reports } = await run(
      `
        daemonize({ keepFds: [3] });
        try { daemonize(); } catch (error) { report(error.code); }
      `,
      { env },
    );
    expect(reports).toEqual(['ERR_ALREADY_DAEMON']);
  });

  test('inherited descriptors are closed in the new image, low and high ones', async () => {
    const program = launch(
      'bash',
      ['-c', 'exec "$@" 5</etc/passwd 42</etc/passwd 900</etc/group', 'bash', node].concat(
        inline(`
          const list = () => fs.readdirSync('/proc/self/fd').flatMap((fd) => {
            try { return fs.readlinkSync('/proc/self/fd/' + fd); } catch { return []; }
          });
          daemonize({ keepFds: [3, 900] });
          report(list().filter((path) => path.startsWith('/etc/')));
        `),
      ),
      { env },
    );
    expect((await program.ended).reports).toEqual([['/etc/group']]);
  });

  test('a port that the program opens before the call is free for the daemon', async () => {
    const program = start(
      `
        import { createServer } from 'node:net';
        import { once } from 'node:events';
        const port = Number(process.argv[1]);
        const server = createServer().listen(port, '127.0.0.1');
        await once(server, 'listening');
        daemonize({ keepFds: [3] });
        report(server.address().port);
        server.close();
      `,
      { env, args: [String(20_000 + (process.pid % 10_000))] },
    );
    expect((await program.ended).reports).toEqual([20_000 + (process.pid % 10_000)]);
    expect(stat(program.pid)).toBeUndefined();
  });
});
