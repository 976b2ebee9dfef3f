// detach: 'auto' under real service managers and container inits (C28): what they have started stays.

import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { recognizeManager, recognizeWrapper } from '../../../src/detach/recognize.js';
import { unitOf } from '../../../src/detach/unit-type.js';
import { temporaryFolder } from '../../support/folder.js';
import { endWithTest } from '../../support/managers/ending.js';
import { isInstalled, MANAGERS, manage } from '../../support/managers/others.js';
import { Systemd, testWithSystemd } from '../../support/managers/systemd.js';
import { node, root } from '../../support/node.js';
import { killQuietly, until } from '../../support/processes.js';
import { launch } from '../../support/program.js';
import { isRoot } from '../../support/root.js';

/** A program that says what it finds, and serves on. @returns its command line, and what it has said */
function probe(options = '{ ready: "manual" }') {
  const directory = temporaryFolder();
  const said = join(directory, 'said');
  const file = join(directory, 'probe.mjs');
  writeFileSync(
    file,
    `
      import { appendFileSync } from 'node:fs';
      import { daemonize } from '${root}/dist/index.js';
      const daemon = daemonize(${options});
      const { detached, serviceManager } = daemon;
      appendFileSync('${said}', JSON.stringify({ detached, serviceManager, pid: process.pid, ppid: process.ppid }) + '\\n');
      daemon.ready();
      setInterval(() => {}, 1e6);
    `,
  );
  const first = async () => {
    await until(() => existsSync(said) && readFileSync(said, 'utf8').includes('\n'), 'it has said');
    return JSON.parse(readFileSync(said, 'utf8').split('\n')[0]!);
  };
  return { line: `${node} ${file}`, file, directory, first };
}

const signs: Record<keyof typeof MANAGERS, string> = {
  s6: 'its parent is s6-supervise',
  runit: 'its parent is runsv',
  daemontools: 'its parent is supervise',
  supervisord: 'SUPERVISOR_ENABLED is set, its parent is supervisord',
  OpenRC: 'its parent is supervise-daemo',
  tini: 'its parent is tini',
  'dumb-init': 'its parent is dumb-init',
  catatonit: 'its parent is catatonit',
  'process 1': 'it is process 1',
};

describe("detach: 'auto' stays", () => {
  for (const [title, manager] of Object.entries(MANAGERS)) {
    test.skipIf(!isRoot || !isInstalled(manager.command))(`under ${title}`, async () => {
      const { line, first } = probe();
      manage(manager, line);
      const sign = signs[title as keyof typeof MANAGERS];
      expect(await first()).toMatchObject({
        detached: false,
        serviceManager: { name: manager.name, sign },
      });
    });
  }

  test.skipIf(!isRoot || !isInstalled('runc'))('in a container of runc', async () => {
    const { line, first, directory } = probe();
    const bundle = join(directory, 'bundle');
    mkdirSync(join(bundle, 'rootfs'), { recursive: true });
    const name = `doublefork-${process.pid}`;
    const container = launch('unshare', [
      ...['-m', '--propagation', 'private', 'bash', '-ec'],
      `cd ${bundle}; runc spec; node -e '
        const fs = require("fs"); const c = JSON.parse(fs.readFileSync("config.json"));
        c.root = { path: "rootfs", readonly: false }; c.process.terminal = false;
        c.process.args = ${JSON.stringify(line.split(' '))};
        c.mounts = c.mounts.filter(({ destination }) => !/^.sys/.test(destination));
        c.linux.namespaces = c.linux.namespaces.filter(({ type }) => type !== "cgroup");
        delete c.linux.resources; delete c.linux.maskedPaths; delete c.linux.readonlyPaths;
        fs.writeFileSync("config.json", JSON.stringify(c));'
      mount --rbind / rootfs; exec runc --root ${directory}/state run ${name}`,
    ]);
    endWithTest(async () => {
      // With its control group. Whoever ends runc alone leaves the container.
      spawnSync('runc', ['--root', `${directory}/state`, 'delete', '--force', name]);
      killQuietly(container.pid);
      await container.exited;
    });
    const said = await Promise.race([first(), container.ended]);
    expect(said).toMatchObject({
      detached: false,
      pid: 1,
      serviceManager: { name: 'a container', sign: 'it is process 1' },
    });
  });

  testWithSystemd.each([
    ['simple', 'SYSTEMD_EXEC_PID is its process id'],
    ['exec', 'SYSTEMD_EXEC_PID is its process id'],
    ['notify', 'NOTIFY_SOCKET is set'],
  ])('under systemd, Type=%s', async (type, sign) => {
    const { line, first } = probe();
    const systemd = await Systemd.boot({
      'app.service': `[Service]\nType=${type}\nExecStart=${line}`,
    });
    await systemd.do('start', 'app');
    expect(await first()).toMatchObject({
      detached: false,
      serviceManager: { name: 'systemd', sign },
    });
    expect(await systemd.show('app', 'ActiveState')).toBe('active');
  });
});

describe("detach: 'auto' leaves", () => {
  testWithSystemd.each([
    ['', ''],
    [' with a PIDFile=', 'PIDFile=/run/app.pid'],
    [' with a watchdog, which brings a NOTIFY_SOCKET', 'WatchdogSec=60'],
  ])('under systemd, Type=forking%s, which waits for that', async (_, more) => {
    const { line, first } = probe('{ ready: "manual", pidfile: "/run/app.pid" }');
    const systemd = await Systemd.boot({
      'app.service': `[Service]\nType=forking\n${more}\nExecStart=${line}`,
    });
    await systemd.do('start', 'app');
    const { detached, pid } = await first();
    expect(detached).toBe(true);
    expect(await systemd.show('app', 'MainPID')).toBe(String(pid));
    await systemd.do('stop', 'app');
    expect(await systemd.show('app', 'Result')).toBe('success');
  });

  test('for a program that a service has started: what it inherits means the service', () => {
    const env = {
      SYSTEMD_EXEC_PID: '10',
      INVOCATION_ID: 'x',
      NOTIFY_SOCKET: '/run/systemd/notify',
      SUPERVISOR_ENABLED: '1',
    };
    expect(recognizeManager({ pid: 30, ppid: 20, env, parent: 'bash' })).toBeUndefined();
    const own = recognizeManager({ pid: 30, ppid: 10, env, parent: 'sh' });
    expect(own?.sign).toBe('NOTIFY_SOCKET is set');
  });

  test('where DOUBLEFORK_FOREGROUND=0 says so', async () => {
    const { line, first } = probe();
    const { running } = manage(
      { ...MANAGERS.tini, line: (program) => `tini -- ${program}; exec sleep infinity` },
      line,
      { DOUBLEFORK_FOREGROUND: '0' },
    );
    expect(await first()).toMatchObject({ detached: true });
    expect(running.pid).toBeGreaterThan(0);
  });
});

test('who passes a NOTIFY_SOCKET of its own waits for this process, also within a service of systemd', () => {
  const env = { SYSTEMD_EXEC_PID: '10', NOTIFY_SOCKET: '/run/doublefork/notify-1/socket' };
  const facts = { pid: 30, ppid: 20, env, parent: 'doublefork' };
  expect(recognizeManager(facts)?.sign).toBe('NOTIFY_SOCKET is set');
});

describe('a wrapper script without exec is named, which the manager watches in place of the program', () => {
  const facts = { pid: 30, ppid: 20, env: {}, parent: 'sh' };

  test.each([
    ['s6', { grandparent: { pid: 2, name: 's6-supervise' } }],
    ['systemd', { env: { SYSTEMD_EXEC_PID: '20' }, grandparent: { pid: 1, name: 'systemd' } }],
    ['a container', { ppid: 1, grandparent: { pid: 0, name: '' } }],
    ['a container', { ppid: 1, parent: 'npm start', grandparent: { pid: 0, name: '' } }],
  ])('of %s', (name, more) => {
    expect(recognizeManager({ ...facts, ...more, ppid: 20 })).toBeUndefined();
    expect(recognizeWrapper({ ...facts, ...more })?.name).toBe(name);
  });

  test('and no other process between the two', () => {
    const grandparent = { pid: 2, name: 's6-supervise' };
    expect(recognizeWrapper({ ...facts, parent: 'cron', grandparent })).toBeUndefined();
    expect(recognizeWrapper({ ...facts, grandparent: { pid: 2, name: 'sshd' } })).toBeUndefined();
    expect(recognizeWrapper(facts)).toBeUndefined();
  });

  test.skipIf(!isRoot || !isInstalled('tini'))('daemonize() and doctor say so', async () => {
    const { line, first } = probe();
    const doctor = `${node} ${root}/dist/cli/doublefork.cjs doctor`;
    const { running } = manage(
      { ...MANAGERS.tini, line: (it) => `exec tini -- sh -c '${it}; ${doctor}; true' </dev/null` },
      line,
    );
    expect(await first()).toMatchObject({ detached: true });
    const { stdout, stderr } = await running.ended;
    expect(stderr).toContain(
      'Warning: sh, which tini has started, has started this program, which leaves it now. If tini is to watch this program, end the script with "exec"',
    );
    expect(stdout).toContain('tini watches sh, which has started it');
  });
});

test('signs of older systems', () => {
  const facts = { pid: 5, ppid: 1, env: {}, parent: 'systemd' };
  expect(recognizeManager(facts)).toBeUndefined();
  expect(recognizeManager({ ...facts, env: { INVOCATION_ID: 'x' } })?.name).toBe('systemd');
  const mac = { ...facts, parent: '', env: { XPC_SERVICE_NAME: 'com.example.app' } };
  expect(recognizeManager(mac)?.name).toBe('launchd');
});

test.each([
  ['0::/system.slice/app.service\n', { name: 'app.service', user: false }],
  ['1:name=systemd:/system.slice/a.service/worker\n0::/x\n', { name: 'a.service', user: false }],
  [
    '0::/user.slice/user-1000.slice/user@1000.service/app.slice/a@b.service\n',
    { name: 'a@b.service', user: true },
  ],
  ['0::/user.slice/user-0.slice/session-1.scope\n', undefined],
])('the unit of %j', (text, unit) => {
  expect(unitOf(text)).toEqual(unit);
});

test.skipIf(!isRoot || !isInstalled('tini'))('doublefork doctor says who, and why', async () => {
  const doctor = `${node} ${root}/dist/cli/doublefork.cjs doctor`;
  const { running } = manage(MANAGERS.tini, doctor);
  const { stdout } = await running.ended;
  expect(stdout).toContain(
    'tini (its parent is tini): a program started like this stays in the foreground',
  );
});
