// doublefork unit --type: what it writes for managers other than systemd, run by them.

import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { Lab } from '../../support/managers/lab.js';
import { isInstalled } from '../../support/managers/others.js';
import { node, root } from '../../support/node.js';
import { until } from '../../support/processes.js';
import { execute } from '../../support/program.js';
import { isRoot } from '../../support/root.js';

const CLI = join(root, 'dist/cli/doublefork.cjs');

/** Its own account of what it was given. */
const SOURCE = (version: string) => `
  import { createServer } from 'node:http';
  import { readFileSync } from 'node:fs';
  import { drain, listen, supervise } from '${root}/dist/index.js';
  const umask = process.umask(0o027);
  const http = listen('http', { port: 8080 });
  const worker = supervise({ workers: 2, ready: 'manual', log: 'none' });
  const server = createServer((request, response) => {
    console.log('asked');
    response.end(JSON.stringify({
      version: '${version}', uid: process.getuid(), gid: process.getgid(), cwd: process.cwd(), umask,
      args: process.argv.slice(2), env: { A: process.env.A, B: process.env.B, HOME: process.env.HOME }, supervisor: process.ppid,
      files: /Max open files +(\\S+ +\\S+)/.exec(readFileSync('/proc/self/limits', 'utf8'))[1],
    }));
  });
  server.listen({ fd: http.fd }, worker.ready);
  worker.signal.addEventListener('abort', () => drain(server, { idleTimeout: 100 }));
`;

const ARGS = ['50%', '$HOME', `a "b" \\c 'd'`, ''];

/** Where a user without rights may read it. */
function project(app: object = {}, source = SOURCE('v1')): string {
  const directory = mkdtempSync('/var/lib/doublefork-test-');
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
  writeFileSync(join(directory, 'app.mjs'), source);
  writeFileSync(join(directory, 'variables'), 'A=from the file\nB="two \'words\' $x"\n');
  writeFileSync(
    join(directory, 'doublefork.config.json'),
    JSON.stringify({
      name: 'app',
      program: 'app.mjs',
      args: ARGS,
      ready: 'notify',
      env: { A: '100% "x" $y' },
      envFile: 'variables',
      umask: '027',
      user: 'daemon',
      limits: { nofile: { soft: 500, hard: 600 } },
      log: 'app.log',
      stop: 'TERM/20/KILL/5',
      ...app,
    }),
  );
  chmodSync(directory, 0o755);
  return directory;
}

interface Case {
  needs: string;
  /** What has the manager run, in the lab's directory. */
  line: string;
  hidden?: string[];
  env?: Record<string, string>;
  directory?: string;
  /** Has it reload, and tells when that is done. */
  reload: (lab: Lab) => Promise<unknown>;
  ready?: (lab: Lab) => Promise<unknown>;
  /** The line for what the app says in this case alone. */
  app?: object;
}

const RELOAD = `${node} ${CLI} reload --control /run/app/control.sock`;

const CASES: Record<string, Case> = {
  s6: {
    needs: 's6-svscan',
    line: 'mkdir scan; exec s6-svscan scan',
    directory: 'scan',
    reload: (lab) => lab.sh(RELOAD),
    ready: async (lab) => {
      expect(await lab.sh('s6-svstat scan/app')).toContain('ready');
      expect(await lab.sh('s6-svstat -o wantedup,ready scan/app')).toBe('true true');
    },
  },
  's6 with a logger': {
    needs: 's6-svscan',
    line: 'mkdir scan; exec s6-svscan scan',
    directory: 'scan',
    app: { logFormat: 'iso', logMaxSize: '1 MB', stop: 'INT/20/KILL/5' },
    reload: (lab) => lab.sh(RELOAD),
  },
  'runit with a logger': {
    needs: 'runsvdir',
    line: 'exec runsvdir /etc/service',
    hidden: ['/etc/service'],
    app: { logFormat: 'iso', stop: 'INT/20/KILL/5' },
    reload: (lab) => lab.sh('sv hup /etc/service/app'),
    ready: async (lab) => expect(await lab.sh('sv status /etc/service/app')).toMatch(/^run: /),
  },
  'daemontools with a logger': {
    needs: 'svscan',
    line: 'exec svscan /etc/service',
    hidden: ['/etc/service'],
    app: { logFormat: 'iso' },
    reload: (lab) => lab.sh(RELOAD),
  },
  openrc: {
    needs: 'openrc-run',
    line: `mkdir -p /etc/runlevels/default; cd /run; mkdir openrc; cd openrc
      mkdir starting started stopping inactive wasinactive failed hotplugged daemons options exclusive scheduled tmp
      printf '#!/sbin/openrc-run\\nstart() { :; }\\n' >/etc/init.d/localmount; chmod +x /etc/init.d/localmount
      echo default >softlevel`,
    hidden: ['/etc/init.d', '/etc/runlevels'],
    reload: (lab) => lab.sh('rc-service app reload'),
    ready: async (lab) => expect(await lab.sh('rc-service app status')).toContain('started'),
  },
  monit: {
    needs: 'monit',
    line: `printf '%s\\n' 'set daemon 1' 'set httpd unixsocket /run/monit.sock allow admin:monit' \\
        'set statefile /run/monit.state' 'set idfile /run/monit.id' 'include /etc/monit/conf.d/*' >/etc/monit/monitrc
      chmod 600 /etc/monit/monitrc; mkdir /etc/monit/conf.d; exec monit -I -c /etc/monit/monitrc`,
    hidden: ['/etc/monit'],
    reload: (lab) => lab.sh(`${node} ${CLI} reload app`),
  },
  supervisord: {
    needs: 'supervisord',
    line: `mkdir -p /etc/supervisor/conf.d
      printf '%s\\n' '[supervisord]' nodaemon=true user=root logfile=/dev/null logfile_maxbytes=0 \\
        '[unix_http_server]' file=/run/supervisor.sock '[rpcinterface:supervisor]' \\
        'supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface' \\
        '[supervisorctl]' serverurl=unix:///run/supervisor.sock '[include]' 'files=/etc/supervisor/conf.d/*.conf' >/etc/supervisor/supervisord.conf
      exec supervisord -c /etc/supervisor/supervisord.conf`,
    hidden: ['/etc/supervisor'],
    reload: (lab) => lab.sh(RELOAD),
    // It is called that once it has lived for startsecs.
    ready: (lab) =>
      until(async () => (await lab.sh('supervisorctl status app')).includes('RUNNING'), 'RUNNING'),
  },
};

/** What is written is the same for every Node of the matrix. */
const isMatrix = process.env.DOUBLEFORK_NODE !== undefined;

describe.skipIf(!isRoot || isMatrix)('doublefork unit --type', () => {
  for (const [title, { needs, line, hidden, directory, reload, ready, app }] of Object.entries(
    CASES,
  )) {
    test.skipIf(!isInstalled(needs))(
      `${title}: install, what the app says, reload, a crash, uninstall`,
      async () => {
        const cwd = project(app);
        const [type] = title.split(' ');
        const lab = await Lab.start(line, hidden);
        const unit = (...args: string[]) => {
          const place =
            directory === undefined ? [] : ['--directory', join(lab.directory, directory)];
          const words = ['unit', 'app', '--type', type!, ...place, ...args];
          return lab.exec('env', '-C', cwd, node, CLI, ...words);
        };
        const get = async () => {
          let answer = '';
          await until(async () => {
            const { code, stdout } = await lab.exec(
              'curl',
              '-s',
              '-m',
              '5',
              'http://127.0.0.1:8080/',
            );
            answer = stdout;
            return code === 0;
          }, 'it answers');
          return JSON.parse(answer);
        };
        const installed = await unit('--install');
        expect(installed).toMatchObject({ code: 0, stderr: '' });
        const first = await get();
        expect(first).toMatchObject({
          ...{ version: 'v1', uid: 1, gid: 1, cwd, umask: 0o027, args: ARGS },
          env: { A: '100% "x" $y', B: "two 'words' $x", HOME: '/usr/sbin' },
          files: expect.stringMatching(/^(500|600) +600$/),
        });
        await ready?.(lab);
        await until(() => existsSync(join(cwd, 'app.log')), 'there is a log');
        await until(
          () => readFileSync(join(cwd, 'app.log'), 'utf8').includes('asked'),
          'it is in the log',
        );
        const isStamped = /^\d{4}-\d\d-\d\dT.* asked$/m.test(
          readFileSync(join(cwd, 'app.log'), 'utf8'),
        );
        expect(isStamped).toBe(app !== undefined && 'logFormat' in app);

        writeFileSync(join(cwd, 'app.mjs'), SOURCE('v2'));
        await reload(lab);
        await until(async () => (await get()).version === 'v2', 'the new version serves');

        const [pid] = (await lab.sh(`pgrep -o -u daemon node`)).split('\n');
        await lab.sh(`kill -KILL ${pid}`);
        await until(async () => {
          const now = await lab.exec('pgrep', '-o', '-u', 'daemon', 'node');
          return now.code === 0 && now.stdout.trim() !== pid;
        }, 'it is started again');
        expect((await get()).version).toBe('v2');

        const removed = await unit('--uninstall');
        expect(removed).toMatchObject({ code: 0, stderr: '' });
        expect(removed.stdout).toContain('removed ');
        expect((await lab.exec('pgrep', '-u', 'daemon', 'node')).stdout).toBe('');
        expect((await unit('--uninstall')).stdout).toContain('there is no unit of app');
      },
    );
  }
});

describe.skipIf(!isRoot || isMatrix)('doublefork unit refuses what a manager cannot keep', () => {
  const CAPTURED = { log: 'app.log', logFormat: 'iso' };
  test.each<[string, object, string[], string]>([
    [
      's6',
      {},
      ['--install'],
      's6 has no usual directory for services: give the one it looks into by --directory',
    ],
    ['s6', {}, ['--harden'], '--harden is for systemd; s6 has no such thing'],
    [
      'notify',
      {},
      ['--harden', '--scope', 'user'],
      'a hardened unit is one of the system: give --scope system, and install it as root',
    ],
    [
      's6',
      { log: undefined, logFormat: 'iso' },
      [],
      'app has logFormat and no log: say where that is to be',
    ],
    ['notify', CAPTURED, [], 'systemd cannot keep logMaxSize and its like of the app'],
    ['openrc', CAPTURED, [], 'OpenRC cannot keep logMaxSize and its like of the app'],
    ['supervisord', CAPTURED, [], 'supervisord cannot keep logFormat of the app'],
    [
      'supervisord',
      { args: ['a\nb'] },
      [],
      'supervisord cannot keep a line break in args or env of the app',
    ],
    ['openrc', { args: ['a\nb'] }, [], 'OpenRC cannot keep a line break in args or env of the app'],
    ['daemontools', { stop: 'INT/5' }, [], 'daemontools cannot keep stop: INT/5 of the app'],
    ['notify', { restart: 'always' }, ['--harden'], 'a hardened unit cannot keep log: '],
    [
      's6',
      { user: 'nobody-here' },
      [],
      'there is no user nobody-here here, so its group is not known',
    ],
  ])('%s %j %j', async (type, app, args, why) => {
    const cwd = project(app);
    const { code, stderr } = await execute(node, [CLI, 'unit', 'app', '--type', type, ...args], {
      cwd,
    });
    expect(code).toBeGreaterThan(0);
    expect(stderr).toContain(why);
  });

  test('a supervisor of the command needs the config file again', async () => {
    const cwd = project({
      restart: 'always',
      user: undefined,
      ready: 'none',
      settle: 0,
      program: '/bin/sleep',
      args: [100],
      log: undefined,
      limits: {},
    });
    const env = { RUNTIME_DIRECTORY: join(cwd, 'run'), LOGS_DIRECTORY: join(cwd, 'log') };
    expect(
      (
        await execute(node, [CLI, 'start', 'app'], {
          cwd,
          env,
          stdio: ['ignore', 'pipe', 'ignore'],
        })
      ).code,
    ).toBe(0);
    const { stderr } = await execute(node, [CLI, 'unit', 'app'], { cwd: '/', env });
    await execute(node, [CLI, 'stop', 'app'], { cwd, env });
    expect(stderr).toContain(
      'app has a supervisor of this command, which needs a config file: none here has it',
    );
  });
});
