// doublefork unit: units that systemd takes without a word, and under which the program works (C27).

import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { temporaryFolder } from '../../support/folder.js';
import { Systemd, testWithSystemd } from '../../support/managers/systemd.js';
import { node, root } from '../../support/node.js';
import { until } from '../../support/processes.js';
import { execute } from '../../support/program.js';

const CLI = join(root, 'dist/cli/doublefork.cjs');

const SOURCE = (version: string) => `
  import { createServer } from 'node:http';
  import { drain, listen, supervise } from '${root}/dist/index.js';
  const http = listen('http', { port: 8080 });
  const worker = supervise({ workers: 2, ready: 'manual', log: 'none' });
  const server = createServer((request, response) => response.end('${version} ' + process.getuid()));
  server.listen({ fd: http.fd }, worker.ready);
  worker.signal.addEventListener('abort', () => drain(server, { idleTimeout: 100 }));
`;

/** Where a user without rights may read it, and PrivateTmp= does not hide it. */
function project(app: object = {}): string {
  const directory = mkdtempSync('/var/lib/doublefork-test-');
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
  mkdirSync(join(directory, 'odd % $name "dir"'));
  writeFileSync(join(directory, 'app.mjs'), SOURCE('v1'));
  writeFileSync(
    join(directory, 'doublefork.config.json'),
    JSON.stringify({ name: 'app', program: 'app.mjs', ready: 'notify', ...app }),
  );
  chmodSync(directory, 0o755);
  return directory;
}

/** One test of a hardened unit is enough for each Node of the matrix. */
const isMatrix = process.env.DOUBLEFORK_NODE !== undefined;

const unit = (cwd: string, ...args: string[]) =>
  execute(node, [CLI, 'unit', 'app', ...args], { cwd });

const TYPES = ['notify', 'exec', 'simple', 'forking'];

describe.skipIf(process.getuid?.() !== 0)('doublefork unit', () => {
  test.each([
    ...TYPES.map((type) => ['plain', ['--type', type], {}] as const),
    ['hardened', ['--harden'], {}],
    ['with sockets', ['--socket', '8080', '--socket', '/run/app.sock', '--harden'], {}],
    ['for a user', ['--user', 'daemon', '--harden'], {}],
    [
      'with names that mean something to systemd',
      [],
      {
        args: ['50%', '$HOME', 'a "b" \\c', ''],
        env: { A: '100% "x" $y', B: 'two words' },
        cwd: 'odd % $name "dir"',
        program: '../app.mjs',
        limits: { nofile: { soft: 100, hard: 200 } },
      },
    ],
    ['with a supervisor of the command', [], { workers: 2 }],
  ] as const)('C27 %s %j: systemd-analyze verify prints nothing', async (_, args, app) => {
    const cwd = project(
      Object.hasOwn(app, 'program') ? { ...app, program: join('/', 'bin', 'sleep') } : app,
    );
    const { stdout, code, stderr } = await unit(cwd, ...args, '--json');
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    const directory = temporaryFolder();
    const paths = JSON.parse(stdout).map(({ file, text }: { file: string; text: string }) => {
      writeFileSync(join(directory, file), text);
      return join(directory, file);
    });
    const verified = await execute('systemd-analyze', ['verify', '--man=no', ...paths], {
      env: { SYSTEMD_UNIT_PATH: `${directory}:` },
    });
    expect(verified).toMatchObject({ code: 0, stdout: '', stderr: '' });
  });

  test.each([[['--harden']], [['--harden', '--user', 'daemon']]])(
    'C27 %j is rated 1.5 or lower',
    async (args) => {
      const { stdout } = await unit(project(), ...args, '--json');
      const path = join(temporaryFolder(), 'app.service');
      writeFileSync(path, JSON.parse(stdout)[0].text);
      const rated = await execute('systemd-analyze', [
        'security',
        '--offline=yes',
        '--no-pager',
        path,
      ]);
      const [, rating] = /Overall exposure level for app.service: ([\d.]+)/.exec(rated.stdout)!;
      expect(Number(rating)).toBeLessThanOrEqual(1.5);
    },
  );

  testWithSystemd(
    'the hardened one works: start, a reload that fails, one that does not, stop',
    async () => {
      const cwd = project();
      const systemd = await Systemd.boot();
      const inside = (...args: string[]) =>
        systemd.exec('env', '-C', cwd, node, CLI, 'unit', 'app', ...args);
      const get = async () =>
        (await systemd.exec('curl', '-s', '-S', '-m', '20', 'http://127.0.0.1:8080/')).stdout;
      const installed = await inside('--harden', '--socket', '8080', '--install');
      expect(installed).toMatchObject({ code: 0, stderr: '' });
      expect(installed.stdout).toContain('started app.service and app.socket, now and at boot');
      const [version, uid] = (await get()).split(' ');
      expect(version).toBe('v1');
      expect(Number(uid)).toBeGreaterThan(1000);

      writeFileSync(join(cwd, 'app.mjs'), 'throw new Error("broken on purpose");');
      const failed = await systemd.ctl('reload', 'app');
      expect(failed.code).not.toBe(0);
      const asked = ['reload', '--control', '/run/app/control.sock'];
      const told = await systemd.exec(node, CLI, ...asked);
      expect(told.code).toBe(1);
      expect(told.stderr).toContain('broken on purpose');
      expect(await get()).toContain('v1');

      writeFileSync(join(cwd, 'app.mjs'), SOURCE('v2'));
      await systemd.do('reload', 'app');
      expect(await get()).toContain('v2');

      const removed = await inside('--uninstall');
      expect(removed).toMatchObject({ code: 0, stderr: '' });
      expect(await systemd.show('app.service', 'ActiveState')).toBe('inactive');
      expect((await inside('--uninstall')).stdout).toContain('there is no unit of app');
    },
  );

  // Without a socket unit it is the program that listens, through each of its reloads.
  (isMatrix ? test.skip : testWithSystemd)(
    'so does a hardened one without --socket: both workers are replaced while it answers',
    async () => {
      const cwd = project();
      const systemd = await Systemd.boot();
      const inside = (...args: string[]) =>
        systemd.exec('env', '-C', cwd, node, CLI, 'unit', 'app', ...args);
      expect(await inside('--harden', '--install')).toMatchObject({ code: 0, stderr: '' });
      const workers = async () => {
        const asked = ['status', '--json', '--control', '/run/app/control.sock'];
        const { stdout } = await systemd.exec(node, CLI, ...asked);
        return JSON.parse(stdout)[0].supervisor.workers.map(({ pid }: { pid: number }) => pid);
      };
      const get = () =>
        systemd.exec('curl', '-s', '-S', '-m', '20', '--no-keepalive', 'http://127.0.0.1:8080/');
      expect((await get()).stdout).toMatch(/^v1 \d{4,}$/);
      const before = await workers();
      expect(before).toHaveLength(2);
      const seccomp = await systemd.sh(`grep -h Seccomp: /proc/${before[0]}/status`);
      expect(seccomp.stdout).toMatch(/^Seccomp:\s2$/m);

      writeFileSync(join(cwd, 'app.mjs'), SOURCE('v2'));
      const answers: string[] = [];
      let isOver = false;
      const asking = (async () => {
        while (!isOver) {
          const { code, stdout } = await get();
          answers.push(code === 0 ? stdout.slice(0, 2) : `code ${code}`);
        }
      })();
      await systemd.do('reload', 'app');
      isOver = true;
      await asking;
      expect(answers.filter((answer) => answer !== 'v1' && answer !== 'v2')).toEqual([]);
      expect((await get()).stdout).toContain('v2');
      const after = await workers();
      expect(after).toHaveLength(2);
      expect(after.filter((pid: number) => before.includes(pid))).toEqual([]);

      expect(await inside('--uninstall')).toMatchObject({ code: 0, stderr: '' });
      expect(await systemd.show('app.service', 'Result')).toBe('success');
    },
  );

  testWithSystemd(
    'a supervisor of the command as another user: it reloads by systemctl, and writes its log',
    async () => {
      const cwd = project({
        ...{ program: 'plain.cjs', ready: 'none', restart: 'always', settle: 0 },
        ...{ user: 'daemon', log: 'app.log', env: { A: 'of the app' }, envFile: 'variables' },
      });
      writeFileSync(join(cwd, 'variables'), 'A=of the file\nB=of the file\n');
      writeFileSync(
        join(cwd, 'plain.cjs'),
        `console.log([process.pid, process.getuid(), process.env.A, process.env.B].join()); setInterval(() => {}, 1e6);`,
      );
      const systemd = await Systemd.boot();
      const inside = (...args: string[]) =>
        systemd.exec('env', '-C', cwd, node, CLI, 'unit', 'app', ...args);
      expect(await inside('--install')).toMatchObject({ code: 0, stderr: '' });
      const log = join(cwd, 'app.log');
      const lines = () =>
        existsSync(log)
          ? readFileSync(log, 'utf8').match(/^\d+,1,of the app,of the file$/gm)
          : null;
      await until(() => lines()?.length === 1, 'the program has begun');
      await until(
        async () => (await systemd.exec('test', '-S', '/run/app/control.sock')).code === 0,
        'it has a control socket',
      );
      await systemd.do('reload', 'app');
      await until(() => lines()?.length === 2, 'another one has taken its place');
      expect(await inside('--uninstall')).toMatchObject({ code: 0, stderr: '' });
    },
  );

  test('what is somebody else’s is left alone; what cannot be is refused', async () => {
    const cwd = project();
    const directory = temporaryFolder();
    writeFileSync(join(directory, 'app.service'), '[Service]\n');
    for (const what of ['--install', '--uninstall']) {
      const { code, stderr } = await unit(cwd, what, '--directory', directory);
      expect(code).toBe(1);
      expect(stderr).toContain(
        ' was not made by this command, and is left alone; remove it, or give --directory',
      );
    }
    expect((await unit(cwd, '--socket', '0')).stderr).toContain(
      'It must be a port, ADDRESS:PORT, or the absolute path of a unix socket.',
    );
    expect((await unit(cwd, '--install', '--uninstall')).stderr).toContain(
      '--install, --uninstall, --dry-run: give one of them',
    );
    const stranger = await execute(node, [CLI, 'unit', 'nobody-knows'], { cwd });
    expect(stranger.stderr).toContain('no daemon is known as nobody-knows');
  });

  test('what systemd does not take, or does not do, is told, and no file is left', async () => {
    const cwd = project();
    const directory = temporaryFolder();
    const bin = temporaryFolder();
    const tool = (name: string, text: string) =>
      writeFileSync(join(bin, name), `#!/bin/sh\n${text}\n`, { mode: 0o755 });
    const install = async () => {
      const args = ['unit', 'app', '--install', '--directory', directory];
      const { code, stderr } = await execute(node, [CLI, ...args], { cwd, env: { PATH: bin } });
      expect({ code, left: readdirSync(directory) }).toEqual({ code: 1, left: [] });
      return stderr;
    };
    expect(await install()).toContain('cannot run systemd-analyze');
    tool('systemd-analyze', 'echo "$2:3: Unknown key" >&2');
    expect(await install()).toContain('systemd does not take the units: ');
    tool('systemd-analyze', 'exit 0');
    tool('systemctl', 'echo "no such bus" >&2; exit 1');
    expect(await install()).toContain('systemctl daemon-reload failed: no such bus');
  });
});
