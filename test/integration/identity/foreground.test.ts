// detach: 'auto': who stays in the foreground, and what the service manager is told.

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { AF_UNIX, bind, close, MSG_DONTWAIT, recvmsg, SOCK_DGRAM, socket } from 'doublefork/posix';
import { describe, expect, onTestFinished, test } from 'vitest';
import { temporaryFolder } from '../../support/folder.js';
import { node } from '../../support/node.js';
import { until } from '../../support/processes.js';
import { execute, inline, launch, run, start } from '../../support/program.js';
import { testAsRoot } from '../../support/root.js';
import { decisions } from '../supervise/tools.js';

const DETACHED = 'report({ detached: daemonize({ keepFds: [3] }).detached, pid: process.pid });';

/** The end of a service manager: takes datagrams. */
class Manager {
  readonly #fd = socket(AF_UNIX, SOCK_DGRAM);
  readonly messages: string[] = [];

  constructor(path: string) {
    bind(this.#fd, { path });
    onTestFinished(() => close(this.#fd));
  }

  async next(): Promise<string> {
    let message: string | undefined;
    await until(() => {
      try {
        message = recvmsg(this.#fd, { flags: MSG_DONTWAIT }).data.toString();
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') throw error;
      }
      return message !== undefined;
    }, 'a message for the service manager');
    return message!;
  }
}

function plainFile(): string {
  const path = join(temporaryFolder(), 'file');
  writeFileSync(path, '');
  return path;
}

describe("detach: 'auto'", () => {
  test('leaves the terminal when nobody says otherwise', async () => {
    const { reports, pid } = await run(DETACHED);
    expect(reports[0].detached).toBe(true);
    expect(reports[0].pid).not.toBe(pid);
  });

  test('stays for SYSTEMD_EXEC_PID that is its own', async () => {
    const command = ['-c', 'SYSTEMD_EXEC_PID=$$ exec "$@"', 'bash', node, ...inline(DETACHED)];
    const program = launch('bash', command);
    expect((await program.ended).reports).toEqual([{ detached: false, pid: program.pid }]);
  });

  test('does not stay for SYSTEMD_EXEC_PID of another process, its parent for instance', async () => {
    const { reports } = await run(DETACHED, { env: { SYSTEMD_EXEC_PID: String(process.pid) } });
    expect(reports[0].detached).toBe(true);
  });

  test("'always' leaves it all the same: Type=forking", async () => {
    const source = DETACHED.replace('{ keepFds', "{ detach: 'always', keepFds");
    const program = launch('bash', [
      ...['-c', 'SYSTEMD_EXEC_PID=$$ exec "$@"', 'bash', node],
      ...inline(source),
    ]);
    expect((await program.ended).reports[0].detached).toBe(true);
  });

  testAsRoot('stays as process 1, and becomes another user there', async () => {
    const { code, reports } = await execute('unshare', [
      ...['--pid', '--fork', '--mount-proc', '--kill-child=SIGKILL', node],
      ...inline(`
        const { detached } = daemonize({ keepFds: [3], user: 'nobody' });
        report([detached, process.pid, process.getuid() > 0]);
      `),
    ]);
    expect(code).toBe(0);
    expect(reports).toEqual([[false, 1, true]]);
  });
});

describe('the service manager', () => {
  test.each([
    ['a path', (folder: string) => [join(folder, 'notify'), join(folder, 'notify')]],
    ['an abstract address', (folder: string) => [`\0${folder}/n`, `@${folder}/n`]],
  ])('is told READY, STATUS and STOPPING, at %s', async (_, addresses) => {
    const [path, NOTIFY_SOCKET] = addresses(temporaryFolder());
    const manager = new Manager(path!);
    const program = start(
      `
        const daemon = daemonize({ keepFds: [3], ready: 'manual' });
        report('before');
        setTimeout(() => daemon.ready('serving 2 ports'), 1);
        daemon.signal.addEventListener('abort', () => process.exit());
        setInterval(() => {}, 1e6);
      `,
      { env: { NOTIFY_SOCKET: NOTIFY_SOCKET! } },
    );
    await program.report();
    expect(await manager.next()).toBe('EXTEND_TIMEOUT_USEC=60000000');
    expect(await manager.next()).toBe('READY=1\nSTATUS=serving 2 ports');
    process.kill(program.pid, 'SIGTERM');
    expect(await manager.next()).toBe('STOPPING=1');
    expect((await program.ended).code).toBe(0);
  });

  test('is told at once where ready is not said by hand', async () => {
    const path = join(temporaryFolder(), 'notify');
    const manager = new Manager(path);
    const { pid } = await run('daemonize()', { env: { NOTIFY_SOCKET: path } });
    expect(await manager.next()).toBe(`READY=1\nSTATUS=Ready (pid ${pid})`);
  });

  test.each([
    ['a path where nothing is', () => join(temporaryFolder(), 'nobody'), 'there is no such file'],
    ['a file', plainFile, 'nobody listens there'],
    ['an abstract name', () => '@nobody listens', 'nobody listens there'],
    ['another family', () => 'vsock:2:1234', 'it must begin with "/" or "@"'],
    ['a relative path', () => 'notify', 'it must begin with "/" or "@"'],
  ])(
    '%s: one that cannot be reached is one warning, and the service runs',
    async (_, make, why) => {
      const NOTIFY_SOCKET = make();
      const { code, stderr, reports } = await run(
        `
        const daemon = daemonize({ keepFds: [3], ready: 'manual' });
        daemon.ready();
        daemon.signal.addEventListener('abort', () => { report('stopping'); process.exit(0); });
        setInterval(() => {}, 1e6);
        process.kill(process.pid);
      `,
        { env: { NOTIFY_SOCKET } },
      );
      expect({ code, reports }).toEqual({ code: 0, reports: ['stopping'] });
      expect(stderr).toContain(`NOTIFY_SOCKET=${NOTIFY_SOCKET} cannot be told`);
      expect(stderr).toContain(why);
      expect(stderr.match(/cannot be told/g)).toHaveLength(1);
    },
  );

  test('one that cannot be reached is a warning of daemonize() where it says so itself', async () => {
    const path = join(temporaryFolder(), 'nobody');
    const { code, stderr } = await run('daemonize()', { env: { NOTIFY_SOCKET: path } });
    expect(code).toBe(0);
    expect(stderr).toContain(`cannot send to ${path}: `);
  });

  test('one that cannot be reached is a warning of the supervisor, whose workers serve', async () => {
    const NOTIFY_SOCKET = join(temporaryFolder(), 'nobody');
    const { code, stderr, reports } = await run(
      `
        daemonize({ keepFds: [3], ready: 'manual' });
        const worker = doublefork.supervise({ restart: 'never', ready: 'manual' });
        worker.ready();
        report('up');
        process.exit(0);
      `,
      { env: { NOTIFY_SOCKET } },
    );
    expect({ code, reports }).toEqual({ code: 0, reports: ['up'] });
    const [told, ...more] = decisions({ stderr }, 'no-manager');
    expect(told).toMatchObject({
      level: 40,
      msg: expect.stringContaining('there is no such file'),
    });
    expect(more).toEqual([]);
  });
});
