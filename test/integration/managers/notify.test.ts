// What a service and its service manager tell each other (C25): with a real systemd, and a receiver of the
// test's own for what a real one does not show.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { AF_UNIX, bind, close, MSG_DONTWAIT, recvmsg, SOCK_DGRAM, socket } from 'doublefork/posix';
import { describe, expect, onTestFinished, test } from 'vitest';
import { temporaryFolder } from '../../support/folder.js';
import { endWithTest } from '../../support/managers/ending.js';
import { isInstalled, MANAGERS, manage } from '../../support/managers/others.js';
import { Service } from '../../support/managers/service.js';
import { Systemd, testWithSystemd } from '../../support/managers/systemd.js';
import { node } from '../../support/node.js';
import { until } from '../../support/processes.js';
import { execute, launch } from '../../support/program.js';
import { isRoot } from '../../support/root.js';

/** The end of a service manager: takes datagrams. */
class Receiver {
  readonly path = join(temporaryFolder(), 'notify');
  readonly #fd = socket(AF_UNIX, SOCK_DGRAM);
  readonly all: string[] = [];

  constructor() {
    bind(this.#fd, { path: this.path });
    onTestFinished(() => close(this.#fd));
  }

  /** All messages until one begins like this. */
  async until(start: string): Promise<string[]> {
    await until(
      () => {
        this.#take();
        return this.all.some((message) => message.startsWith(start));
      },
      `a message ${start}, beside ${JSON.stringify(this.all)}`,
    );
    return this.all;
  }

  #take(): void {
    try {
      for (;;) {
        const { data, fds } = recvmsg(this.#fd, { flags: MSG_DONTWAIT, fds: 8 });
        for (const fd of fds) close(fd);
        this.all.push(data.toString());
      }
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') throw error;
    }
  }
}

/** Runs a service until the test ends. */
function serve(service: Service, env: Record<string, string>) {
  const running = launch(node, [service.file], { env });
  endWithTest(async () => {
    try {
      process.kill(running.pid, 'SIGKILL');
    } catch {
      // It has ended by itself.
    }
    await running.exited;
  });
  return running;
}

const SUPERVISED = `
  const worker = supervise({ workers: 2, ready: 'manual', log: 'none', stopTimeout: 3000, readyTimeout: 7000 });
  setTimeout(worker.ready, 20);
  worker.signal.addEventListener('abort', () => process.exit());
  setInterval(() => {}, 1e6);
`;

describe('doublefork/systemd', () => {
  test('C25 notify() sends every field, in the units of sd_notify(3)', async () => {
    const receiver = new Receiver();
    const service = new Service(`
      const before = process.hrtime.bigint() / 1000n;
      say(systemd.notify({
        ready: true, reloading: true, stopping: true, status: 'two\\nlines', errno: 2, busError: 'org.x.Error',
        exitStatus: 3, mainPid: 42, watchdog: 'alive', watchdogTimeout: 1500, extendTimeout: 2000,
      }));
      systemd.notify({ watchdog: 'trigger', ready: false });
      systemd.removeFd('x');
      systemd.storeFd('x', 0, { keep: true });
      say([String(before), String(process.hrtime.bigint() / 1000n)]);
    `);
    await serve(service, { NOTIFY_SOCKET: receiver.path }).ended;
    const [first, ...more] = await receiver.until('FDSTORE=1');
    const time = /^MONOTONIC_USEC=(\d+)$/m.exec(first!)![1]!;
    expect(first!.replace(time, 'T').split('\n')).toEqual([
      'READY=1',
      'RELOADING=1',
      'MONOTONIC_USEC=T',
      'STOPPING=1',
      'STATUS=two lines',
      'ERRNO=2',
      'BUSERROR=org.x.Error',
      'EXIT_STATUS=3',
      'MAINPID=42',
      'WATCHDOG=1',
      'WATCHDOG_USEC=1500000',
      'EXTEND_TIMEOUT_USEC=2000000',
    ]);
    const [sent, [before, after]] = service.said;
    expect(sent).toBe(true);
    expect(BigInt(time)).toBeGreaterThanOrEqual(BigInt(before));
    expect(BigInt(time)).toBeLessThanOrEqual(BigInt(after));
    expect(more).toEqual([
      'WATCHDOG=trigger',
      'FDSTOREREMOVE=1\nFDNAME=x',
      'FDSTORE=1\nFDNAME=x\nFDPOLL=0',
    ]);
  });

  test('says whether somebody listens, and refuses what cannot be told', async () => {
    const service = new Service(`
      say([systemd.notify({ ready: true }), systemd.barrier(1), systemd.storeFd('x', 0), systemd.watchdogTimeout() ?? null]);
      for (const call of [
        () => systemd.notify({ redy: true }),
        () => systemd.notify({ watchdog: 'x' }),
        () => systemd.notify({ exitStatus: 256 }),
        () => systemd.notify({ busError: 'a\\nREADY=1' }),
        () => systemd.storeFd('a:b', 0),
      ]) {
        try { call(); say('sent'); } catch (error) { say(error.code); }
      }
    `);
    await serve(service, {}).ended;
    expect(service.said).toEqual([
      [false, false, false, null],
      expect.stringMatching(/^ERR_INVALID_ARG/),
      'ERR_OUT_OF_RANGE',
      'ERR_OUT_OF_RANGE',
      'ERR_OUT_OF_RANGE',
      'ERR_OUT_OF_RANGE',
    ]);
  });

  test('C25 barrier() fails where nobody reads', async () => {
    const receiver = new Receiver();
    const service = new Service(
      'try { systemd.barrier(100); } catch ({ code, syscall }) { say([code, syscall]); }',
    );
    await serve(service, { NOTIFY_SOCKET: receiver.path }).ended;
    expect(service.said).toEqual([['ETIMEDOUT', 'poll']]);
  });

  testWithSystemd('C25 barrier() returns when systemd has read all that came before', async () => {
    const service = new Service(`
      const daemon = daemonize({ ready: 'manual' });
      daemon.ready();
      systemd.notify({ status: 'before the barrier' });
      say([systemd.barrier(), process.env.NOTIFY_SOCKET ?? null]);
      setInterval(() => {}, 1e6);
    `);
    const systemd = await Systemd.boot({
      'app.service': `[Service]\nType=notify\nExecStart=${service.line}`,
    });
    await systemd.do('start', 'app');
    expect(await service.says()).toEqual([true, null]);
    expect(await systemd.show('app', 'StatusText')).toBe('before the barrier');
  });

  testWithSystemd('C25 what was stored comes back after a restart, by name', async () => {
    const service = new Service(`
      const daemon = daemonize({ ready: 'manual' });
      const passed = systemd.listenFds().map(({ name }) => name);
      const socket = listen('kept', { port: 8080, host: '127.0.0.1' });
      say([passed, fs.fstatSync(socket.fd).ino]);
      if (passed.length === 0) systemd.storeFd('kept', socket.fd, { keep: true });
      if (passed.length === 0) systemd.storeFd('dropped', socket.fd);
      systemd.removeFd('dropped');
      daemon.ready();
      setInterval(() => {}, 1e6);
    `);
    const systemd = await Systemd.boot({
      'app.service': `[Service]\nType=notify\nFileDescriptorStoreMax=4\nExecStart=${service.line}`,
    });
    await systemd.do('start', 'app');
    const [, inode] = await service.says();
    await until(
      async () => (await systemd.show('app', 'NFileDescriptorStore')) === '1',
      'one is stored',
    );
    await systemd.do('restart', 'app');
    expect(await service.says(2)).toEqual([['kept'], inode]);
  });
});

describe('a service manager hears', () => {
  test('of a slow start, that all workers serve, that they end, and for how long', async () => {
    const receiver = new Receiver();
    const { pid } = serve(new Service(SUPERVISED), { NOTIFY_SOCKET: receiver.path });
    expect(await receiver.until('READY=1')).toEqual([
      'EXTEND_TIMEOUT_USEC=7000000',
      `READY=1\nSTATUS=Ready (pid ${pid})`,
    ]);
    process.kill(pid, 'SIGTERM');
    const [, , stopping, ...more] = await receiver.until('STOPPING=1');
    expect(stopping).toBe('STOPPING=1\nSTATUS=Stopping\nEXTEND_TIMEOUT_USEC=9000000');
    expect(more).toEqual([]);
  });

  test('of daemonize() and supervise() with ready: manual not before the workers say so', async () => {
    const receiver = new Receiver();
    const service = new Service(`
      const daemon = daemonize({ ready: 'manual' });
      const worker = supervise({ log: 'none' });
      process.on('SIGUSR2', daemon.ready);
      say('in the worker');
      setInterval(() => {}, 1e6);
    `);
    const { pid } = serve(service, { NOTIFY_SOCKET: receiver.path });
    await service.says();
    await new Promise((resolve) => setTimeout(resolve, 200));
    process.kill(pid, 'SIGUSR2');
    const all = await receiver.until('READY=1');
    expect(all.filter((it) => it.startsWith('READY=1'))).toEqual([
      `READY=1\nSTATUS=Ready (pid ${pid})`,
    ]);
  });

  test('why a daemon fails', async () => {
    const receiver = new Receiver();
    const service = new Service(`
      const daemon = daemonize({ ready: 'manual' });
      daemon.fail(Object.assign(new Error('no disk'), { errno: -28 }), 7);
    `);
    const { code } = await serve(service, { NOTIFY_SOCKET: receiver.path }).ended;
    expect(code).toBe(7);
    const all = await receiver.until('STOPPING=1');
    expect(all.at(-1)).toBe('STOPPING=1\nSTATUS=no disk\nERRNO=28\nEXIT_STATUS=7');
  });

  test('of a reload: when it begins, and when the last worker of the old version is gone', async () => {
    const receiver = new Receiver();
    const service = new Service(SUPERVISED);
    const { pid } = serve(service, { NOTIFY_SOCKET: receiver.path });
    await receiver.until('READY=1');
    receiver.all.length = 0;
    process.kill(pid, 'SIGHUP');
    const [reloading, ready] = await receiver.until('READY=1');
    expect(reloading).toMatch(/^RELOADING=1\nMONOTONIC_USEC=\d+\nSTATUS=Reloading\nEXTEND_TIMEOUT/);
    expect(ready).toBe(`READY=1\nSTATUS=Ready, reloaded (pid ${pid})`);

    service.write('throw new Error("the new version is broken");');
    receiver.all.length = 0;
    process.kill(pid, 'SIGHUP');
    const [, failed] = await receiver.until('READY=1');
    expect(failed).toContain('STATUS=Not reloaded: ');
    expect(failed).toContain('the new version is broken');
    process.kill(pid, 'SIGTERM');
    await receiver.until('STOPPING=1');
  });

  testWithSystemd(
    'nothing where unix sockets are not allowed: one warning, and it serves',
    async () => {
      const service = new Service(`
      const worker = supervise({ ready: 'manual', stopTimeout: 3000 });
      const refused = [];
      try { handover.send('what is left'); } catch (error) { refused.push(error.code); }
      worker.ready();
      say({ refused });
      worker.signal.addEventListener('abort', () => process.exit());
      setInterval(() => {}, 1e6);
    `);
      const log = join(service.directory, 'log');
      const systemd = await Systemd.boot({
        'app.service': `[Service]\nType=exec\nNotifyAccess=main\nRestrictAddressFamilies=AF_INET AF_INET6
StandardError=append:${log}\nExecStart=${service.line}`,
      });
      await systemd.do('start', 'app');
      expect(await service.says()).toEqual({ refused: ['EAFNOSUPPORT'] });
      const pid = await systemd.show('app', 'MainPID');
      await systemd.exec('kill', '-HUP', pid);
      await service.says(2);
      expect(await systemd.show('app', 'MainPID')).toBe(pid);
      await systemd.do('stop', 'app');
      expect(await systemd.show('app', 'Result')).toBe('success');
      const warnings = readFileSync(log, 'utf8').match(/NOTIFY_SOCKET=.*cannot be told/g);
      expect(warnings).toHaveLength(1);
    },
  );

  testWithSystemd(
    'WatchdogSec: from a family that is well, and not from one that hangs',
    async () => {
      const service = new Service(SUPERVISED);
      const systemd = await Systemd.boot({
        'app.service': `[Service]\nType=notify\nWatchdogSec=1\nWatchdogSignal=SIGKILL\nExecStart=${service.line}`,
      });
      await systemd.do('start', 'app');
      const pid = await systemd.show('app', 'MainPID');
      await new Promise((resolve) => setTimeout(resolve, 2500));
      expect(await systemd.show('app', 'ActiveState')).toBe('active');
      await systemd.exec('kill', '-STOP', pid);
      await until(
        async () => (await systemd.show('app', 'Result')) === 'watchdog',
        'systemd has seen that it hangs',
      );
    },
  );

  testWithSystemd('WatchdogSec: from a single daemon, by its event loop', async () => {
    const service = new Service(`
      const daemon = daemonize({ ready: 'manual' });
      setTimeout(daemon.ready, 10);
      setTimeout(() => { for (;;); }, 2500);
    `);
    const systemd = await Systemd.boot({
      'app.service': `[Service]\nType=notify\nWatchdogSec=1\nWatchdogSignal=SIGKILL\nExecStart=${service.line}`,
    });
    await systemd.do('start', 'app');
    await new Promise((resolve) => setTimeout(resolve, 1800));
    expect(await systemd.show('app', 'ActiveState')).toBe('active');
    await until(async () => (await systemd.show('app', 'Result')) === 'watchdog', 'it hangs');
  });

  testWithSystemd('of a daemon of Type=forking, whose watchdog means the launcher', async () => {
    const service = new Service(`
      const daemon = daemonize({ ready: 'manual' });
      setTimeout(daemon.ready, 10);
      setInterval(() => {}, 1e6);
    `);
    const systemd = await Systemd.boot({
      'app.service': `[Service]\nType=forking\nWatchdogSec=1\nWatchdogSignal=SIGKILL\nExecStart=${service.line}`,
    });
    await systemd.do('start', 'app');
    await new Promise((resolve) => setTimeout(resolve, 2000));
    expect(await systemd.show('app', 'ActiveState')).toBe('active');
  });

  test.skipIf(!isRoot || !isInstalled('s6-svwait'))(
    'C28 s6: a newline on its notification-fd',
    async () => {
      const service = new Service(`
        const daemon = daemonize({ ready: 'manual' });
        say('started');
        process.on('SIGUSR2', () => daemon.ready());
        setInterval(() => {}, 1e6);
      `);
      const s6 = {
        ...MANAGERS.s6,
        line: (program: string, directory: string) =>
          MANAGERS.s6
            .line(program, directory)
            .replace('exec ', 'echo 3 >svc/notification-fd; exec '),
      };
      const { directory } = manage(s6, service.line);
      await service.says();
      const svc = join(directory, 'svc');
      const before = await execute('s6-svstat', [svc]);
      expect(before.stdout).not.toContain('ready');
      await execute('s6-svc', ['-2', svc]);
      expect((await execute('s6-svwait', ['-U', '-t', '5000', svc])).code).toBe(0);
      expect((await execute('s6-svstat', [svc])).stdout).toContain('ready');
    },
  );
});

test('variables that mean this process are not passed on, to workers and to children', async () => {
  const receiver = new Receiver();
  const service = new Service(`
    const { execFileSync } = await import('node:child_process');
    const mine = (text) => text.split('\\n').filter((it) => /^(NOTIFY_SOCKET|WATCHDOG_|LISTEN_)/.test(it));
    daemonize();
    supervise({ log: 'none' });
    say(mine(execFileSync('env', { encoding: 'utf8' })));
    setInterval(() => {}, 1e6);
  `);
  const running = launch('bash', [
    ...['-c', 'exec 4</dev/null; export LISTEN_PID=$$ WATCHDOG_PID=$$; exec "$@"', 'bash'],
    ...['env', `NOTIFY_SOCKET=${receiver.path}`, 'WATCHDOG_USEC=1000000', 'LISTEN_FDS=2'],
    ...['LISTEN_FDNAMES=a:b', node, service.file],
  ]);
  expect(await service.says()).toEqual([]);
  await receiver.until('WATCHDOG=1');
  process.kill(running.pid, 'SIGTERM');
  await running.ended;
});

test('a watchdog that means another process is not this one’s', async () => {
  const receiver = new Receiver();
  const service = new Service(
    'say(systemd.watchdogTimeout() ?? null); say(process.env.WATCHDOG_USEC);',
  );
  const env = { NOTIFY_SOCKET: receiver.path, WATCHDOG_USEC: '1000000', WATCHDOG_PID: '1' };
  await serve(service, env).ended;
  expect(service.said).toEqual([null, '1000000']);
});
