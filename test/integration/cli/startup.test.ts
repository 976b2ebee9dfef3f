// doublefork save and startup: what runs comes back at boot, with the same names, options and environment.

import { chmodSync, mkdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { recognizeInit } from '../../../src/cli/boot.js';
import { temporaryFolder } from '../../support/folder.js';
import { Lab } from '../../support/managers/lab.js';
import { isInstalled } from '../../support/managers/others.js';
import { Systemd, testWithSystemd } from '../../support/managers/systemd.js';
import { node, root } from '../../support/node.js';
import { until } from '../../support/processes.js';
import { isRoot } from '../../support/root.js';

const CLI = join(root, 'dist/cli/doublefork.cjs');

const SERVER = `
  require('http').createServer((request, response) => response.end(JSON.stringify({
    args: process.argv.slice(3), env: [process.env.SECRET, process.env.A], cwd: process.cwd(), umask: process.umask(), uid: process.getuid(),
  }))).listen(Number(process.argv[2]));
`;

/** A directory with the programs, and those of a machine that outlive a boot. */
function machine() {
  const directory = temporaryFolder();
  // For another user, too.
  chmodSync(directory, 0o755);
  writeFileSync(join(directory, 'server.cjs'), SERVER);
  const config = {
    name: 'kept',
    program: 'server.cjs',
    args: [8082, 'b'],
    restart: 'always',
    user: 'daemon',
  };
  writeFileSync(join(directory, 'doublefork.config.json'), JSON.stringify(config));
  const mounts = Object.fromEntries(
    ['/etc/systemd/system', '/var/lib', '/var/log'].map((path) => {
      const own = join(directory, path);
      mkdirSync(own, { recursive: true });
      return [path, own];
    }),
  );
  return { directory, mounts };
}

const WANTS = { 't.target': '[Unit]\nDefaultDependencies=no\nWants=multi-user.target\n' };

/** What is started at boot does not depend on the Node of the matrix. */
const isMatrix = process.env.DOUBLEFORK_NODE !== undefined;

(isMatrix ? test.skip : testWithSystemd)(
  'what runs comes back after a power failure, twice, until that is undone',
  async () => {
    const { directory, mounts } = machine();
    const boot = () => Systemd.boot(WANTS, '', [], undefined, mounts);
    let systemd = await boot();
    const inside = (...args: string[]) =>
      systemd.exec('env', '-C', directory, 'SECRET=of the shell', node, CLI, ...args);
    const get = async (port: number) => {
      let answer = '';
      await until(async () => {
        const { code, stdout } = await systemd.exec(
          'curl',
          '-s',
          '-m',
          '5',
          `http://127.0.0.1:${port}/`,
        );
        answer = stdout;
        return code === 0;
      }, `port ${port} answers`);
      return JSON.parse(answer);
    };
    expect((await inside('save')).stderr).toContain(
      'nothing runs here that could be saved; what was saved before is left as it is',
    );
    expect((await inside('start', '--saved')).stderr).toContain(
      'nothing was saved; to have what runs now saved: doublefork save',
    );
    const options = ['--name', 'web', '--umask', '027', '--env', 'A=1 "x"', '--cwd', '/var'];
    await inside('start', ...options, '--', node, join(directory, 'server.cjs'), '8081', 'a b');
    expect(await inside('start', 'kept')).toMatchObject({ code: 0 });
    await inside('start', '--name', 'old', '--', 'sleep', '100');
    await inside('stop', 'old');
    const first = { web: await get(8081), kept: await get(8082) };
    expect(first).toMatchObject({
      web: { args: ['a b'], env: ['of the shell', '1 "x"'], cwd: '/var', umask: 0o027, uid: 0 },
      kept: { args: ['b'], uid: 1 },
    });

    const done = await inside('startup');
    expect(done).toMatchObject({ code: 0, stderr: '' });
    expect(done.stdout.split('\n')).toEqual([
      'saved kept and web in /var/lib/doublefork/saved.json, which only its owner can read (mode 0600): how they were started, with all variables of their environment, secrets among them',
      'left out, since not running: old',
      'wrote /etc/systemd/system/doublefork.service',
      'enabled doublefork.service, which starts at boot what is saved',
      '',
    ]);
    expect((await inside('startup')).stdout).toBe(done.stdout);
    expect((await inside('save')).stdout).not.toContain('not started at boot yet');
    expect(JSON.parse((await inside('save', '--json')).stdout)).toMatchObject({
      mode: '0600',
      saved: [
        { name: 'kept', config: join(directory, 'doublefork.config.json') },
        { name: 'web', config: null },
      ],
      notRunning: ['old'],
      atBoot: true,
    });
    const file = join(mounts['/var/lib']!, 'doublefork/saved.json');
    expect(statSync(file).mode & 0o777).toBe(0o600);
    expect(statSync(join(file, '..')).mode & 0o777).toBe(0o700);

    for (let time = 1; time <= 2; time++) {
      await systemd.halt();
      systemd = await boot();
      expect({ web: await get(8081), kept: await get(8082) }).toEqual(first);
      await until(
        async () => (await systemd.show('doublefork.service', 'ActiveState')) === 'active',
        'all of it has been started',
      );
      const { stdout } = await inside('list', '--quiet');
      expect(stdout).toBe('kept\nweb\n');
    }

    const undone = await inside('startup', '--undo');
    expect(undone).toMatchObject({ code: 0, stderr: '' });
    expect(undone.stdout).toContain(
      'nothing is started at boot; what runs goes on, and /var/lib/doublefork/saved.json is kept',
    );
    expect(await get(8081)).toEqual(first.web);
    expect((await inside('startup', '--undo')).stdout).toBe(
      'nothing of doublefork is started at boot\n',
    );
    await systemd.halt();
    systemd = await boot();
    await until(
      async () => (await systemd.show('multi-user.target', 'ActiveState')) === 'active',
      'it is up',
    );
    expect((await inside('list', '--quiet')).stdout).toBe('');
    expect((await inside('start', '--saved', 'nobody')).stderr).toContain(
      'nobody is not among what was saved',
    );
    expect((await inside('start', '--saved', 'web')).code).toBe(0);
    expect(await get(8081)).toEqual(first.web);
  },
);

test('which init runs is known by what it leaves', () => {
  const of = (path: string, first = 'init') =>
    recognizeInit({ exists: (it) => it === path, first });
  expect(of('/run/systemd/system', 'systemd')).toBe('systemd');
  expect(of('/run/openrc/softlevel')).toBe('OpenRC');
  expect(of('', 'runit')).toBe('runit');
  expect(of('', 's6-svscan')).toBe('s6');
  expect(of('', 'busybox')).toBe('busybox');
});

describe.skipIf(!isRoot || isMatrix)('startup', () => {
  test.skipIf(!isInstalled('runsvdir'))(
    'under runit: installed, started again with it, undone',
    async () => {
      const directory = temporaryFolder();
      const service = join(directory, 'service');
      mkdirSync(service);
      const lab = await Lab.start(
        // Process 1 is what an init is known by.
        `mount --bind ${service} /etc/service; runsvdir /etc/service & true`,
        ['/var/lib', '/var/log'],
        'runit',
      );
      const inside = (...args: string[]) => lab.exec(node, CLI, ...args);
      await inside('start', '--name', 'web', '--', 'sleep', '1000');
      const done = await inside('startup');
      expect(done).toMatchObject({ code: 0, stderr: '' });
      expect(done.stdout).toContain(
        'runsvdir has taken /etc/service/doublefork, which starts at boot what is saved',
      );
      await inside('stop', 'web');
      await lab.sh('sv -w 20 restart /etc/service/doublefork');
      await until(async () => (await inside('status', 'web')).code === 0, 'web is back');
      expect((await inside('startup', '--undo')).stdout).toContain(
        'removed /etc/service/doublefork',
      );
      expect((await inside('status', 'web')).code).toBe(0);
    },
  );

  test('another init is refused, with what to do', async () => {
    const lab = await Lab.start('true', ['/var/lib'], 's6-svscan');
    expect((await lab.exec(node, CLI, 'startup')).stderr).toContain(
      's6 and s6-rc start what their compiled database has, which this command does not change; after doublefork save, have it run "doublefork start --saved" once at boot',
    );
  });

  test('so it is for users where systemd does not run, or they may not linger', async () => {
    const as = (lab: Lab, ...args: string[]) =>
      lab.exec(
        'setpriv',
        '--reuid=backup',
        '--regid=backup',
        '--clear-groups',
        '--',
        node,
        CLI,
        ...args,
      );
    const other = await Lab.start('true', ['/var/lib'], 'busybox');
    expect((await other.exec(node, CLI, 'startup')).stderr).toContain(
      'process 1 is busybox, for which this command has nothing (it knows systemd, OpenRC and runit)',
    );
    expect((await as(other, 'startup')).stderr).toContain(
      'only systemd runs what users have of their own, and this system is run by busybox',
    );
    const bus = 'mkdir -p /run/systemd/system; chown backup /var/backups';
    const refused = await as(await Lab.start(bus, ['/var/backups', '/var/lib']), 'startup');
    expect(refused.code).toBe(1);
    expect(refused.stderr).toContain(
      'it is started when backup logs in, and not at boot: loginctl enable-linger failed:',
    );
    expect(refused.stderr).toContain('systemctl --user daemon-reload failed');
  });
});

test('a file that somebody else could have written is refused', async () => {
  const lab = isRoot
    ? await Lab.start('mkdir -p /var/lib/doublefork; echo "{" >/var/lib/doublefork/saved.json', [
        '/var/lib',
      ])
    : undefined;
  if (lab === undefined) return;
  expect((await lab.exec(node, CLI, 'start', '--saved')).stderr).toContain(
    'is damaged: save again',
  );
  await lab.sh('chmod 666 /var/lib/doublefork/saved.json');
  expect((await lab.exec(node, CLI, 'start', '--saved')).stderr).toContain(
    'is refused: another user could have written it, and it says what is started',
  );
});
