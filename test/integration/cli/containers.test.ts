// doublefork unit --type docker, kubernetes, launchd: what is printed for where these tests do not run. The
// Dockerfile's program is run as process 1, the others are read by parsers that are not ours.

import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { parseAllDocuments } from 'yaml';
import { endWithTest } from '../../support/managers/ending.js';
import { node, root } from '../../support/node.js';
import { killQuietly, until } from '../../support/processes.js';
import { execute, launch } from '../../support/program.js';
import { isRoot } from '../../support/root.js';

const CLI = join(root, 'dist/cli/doublefork.cjs');

const REPORT = `JSON.stringify({
  pid: process.pid, parent: process.ppid, uid: process.getuid(), gid: process.getgid(), cwd: process.cwd(), umask: process.umask(),
  args: process.argv.slice(2), env: { A: process.env.A, DATA: process.env.DATA },
  files: /Max open files +(\\S+ +\\S+)/.exec(readFileSync('/proc/self/limits', 'utf8'))[1],
})`;

const SUPERVISED = `
  import { createServer } from 'node:http';
  import { readFileSync } from 'node:fs';
  import { drain, listen, supervise } from '${root}/dist/index.js';
  import { health } from '${root}/dist/health/index.js';
  health({ port: 9090 });
  const http = listen('http', { port: 8080 });
  const worker = supervise({ workers: 2, ready: 'manual', log: 'none' });
  const server = createServer((request, response) => response.end(${REPORT}));
  server.listen({ fd: http.fd }, worker.ready);
  worker.signal.addEventListener('abort', () => { console.log('draining'); drain(server, { idleTimeout: 100 }); });
`;

const PLAIN = `
  import { createServer } from 'node:http';
  import { readFileSync } from 'node:fs';
  createServer((request, response) => response.end(${REPORT})).listen(8080);
  process.on('SIGTERM', () => { console.log('draining'); process.exit(0); });
`;

const ARGS = ['50%', '$HOME', '$$(X) $(Y) $$', `a "b" \\c 'd'`, ''];

/** What no container has by itself, and each type keeps. */
const APP = {
  name: 'app',
  program: 'app.mjs',
  args: ARGS,
  env: { A: '100% "x" $y \\ $(Z) <&>' },
  umask: '027',
  limits: { nofile: { soft: 500, hard: 600 } },
  stop: 'TERM/20/KILL/5',
};

function project(app: object = {}, source = SUPERVISED): string {
  const directory = mkdtempSync('/var/lib/doublefork-test-');
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
  writeFileSync(join(directory, 'app.mjs'), source);
  writeFileSync(
    join(directory, 'doublefork.config.json'),
    JSON.stringify({ ...APP, args: [...ARGS, join(directory, 'data')], ...app }),
  );
  writeFileSync(join(directory, 'package.json'), '{ "dependencies": { "doublefork": "*" } }');
  writeFileSync(join(directory, 'package-lock.json'), '{}');
  mkdirSync(join(directory, 'node_modules'));
  symlinkSync(root, join(directory, 'node_modules/doublefork'));
  chmodSync(directory, 0o755);
  return directory;
}

const unit = (cwd: string, type: string, ...args: string[]) =>
  execute(node, [CLI, 'unit', 'app', '--type', type, ...args], { cwd });

async function textOf(cwd: string, type: string, ...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await unit(cwd, type, ...args);
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  return stdout;
}

/** What is written is the same for every Node of the matrix. */
const isMatrix = process.env.DOUBLEFORK_NODE !== undefined;

/** The last instruction of that name. */
const last = (text: string, instruction: string) =>
  text
    .match(new RegExp(`^${instruction} (.*)$`, 'gm'))!
    .at(-1)!
    .slice(instruction.length + 1);

/** A root in which the project is /app, and the rest is this machine's. */
const ENTER = `
  mount -t tmpfs tmpfs /mnt
  for path in /*; do
    if [ -L $path ]; then cp -P $path /mnt$path
    elif [ -d $path ] && [ $path != /mnt ] && [ $path != /run ] && [ $path != /app ]; then mkdir /mnt$path; mount --rbind $path /mnt$path; fi
  done
  mkdir /mnt/app /mnt/run; mount --bind $PROJECT /mnt/app; install -d -o daemon /mnt/run/app; ip link set lo up
  exec chroot /mnt env -i -C "$CWD" PATH=$NODE:/usr/bin:/bin "$@"`;

/** Runs the CMD of a Dockerfile as docker does, without docker. */
async function run(text: string, cwd: string) {
  const env = [...text.matchAll(/^ENV (\w+)=(?:"(.*)"|(.*))$/gm)].map(
    ([, key, quoted, plain]) => `${key}=${plain ?? quoted!.replaceAll(/\\(["\\$])/g, '$1')}`,
  );
  const running = launch(
    'unshare',
    [
      ...['--pid', '--mount', '--net', '--ipc', '--fork', '--mount-proc', '--kill-child=SIGKILL'],
      ...['--propagation', 'private', 'bash', '-ec', ENTER, 'enter', ...env],
      ...['setpriv', '--reuid=daemon', '--regid=daemon', '--init-groups', '--no-new-privs'],
      ...['--inh-caps=-all', '--bounding-set=-all', ...JSON.parse(last(text, 'CMD'))],
    ],
    { env: { PROJECT: cwd, CWD: last(text, 'WORKDIR'), NODE: dirname(node) } },
  );
  endWithTest(async () => {
    killQuietly(running.pid);
    await running.exited;
  });
  const init = () =>
    Number(readFileSync(`/proc/${running.pid}/task/${running.pid}/children`, 'utf8').trim());
  const inside = (...words: string[]) =>
    execute('nsenter', ['-t', String(init()), '-m', '-p', '-n', '-r', '--', ...words]);
  let answer = '';
  await until(async () => {
    const { code, stdout } = await inside('curl', '-s', '-m', '5', 'http://127.0.0.1:8080/');
    answer = stdout;
    return code === 0;
  }, 'it answers');
  return {
    running,
    inside,
    answer: JSON.parse(answer),
    stop: () => process.kill(init(), 'SIGTERM'),
  };
}

describe.skipIf(isMatrix)('doublefork unit --type docker', () => {
  test.skipIf(!isRoot)(
    'process 1 is the program, with all that the app says; TERM ends it',
    async () => {
      const cwd = project({ user: 'daemon' });
      const text = await textOf(cwd, 'docker', '--socket', '8080', '--health', '9090');
      expect(text).toContain('\nRUN npm ci --omit=dev\n');
      expect(text).toContain('\nUSER daemon\nEXPOSE 8080\nSTOPSIGNAL SIGTERM\n');
      expect(text).toContain('docker run --stop-timeout 20 ');
      const { running, inside, answer, stop } = await run(text, cwd);
      expect(answer).toMatchObject({
        ...{
          parent: 1,
          uid: 1,
          gid: 1,
          cwd: '/app',
          umask: 0o027,
          files: expect.stringMatching(/^(500|600) +600$/),
        },
        args: [...ARGS, '/app/data'],
        env: { A: APP.env.A },
      });
      const asked: string[] = JSON.parse(last(text, 'HEALTHCHECK').replace(/^.* CMD /, ''));
      const healthy = () => inside('env', `PATH=${dirname(node)}`, ...asked);
      expect((await healthy()).code).toBe(0);
      const elsewhere = asked.map((word) => word.replace('9090', '9091'));
      expect((await inside('env', `PATH=${dirname(node)}`, ...elsewhere)).code).toBe(1);
      expect((await inside('test', '-S', '/run/app/control.sock')).code).toBe(0);
      stop();
      const { code, stdout } = await running.ended;
      expect({ code, drained: stdout.match(/draining/g) }).toEqual({
        code: 0,
        drained: ['draining', 'draining'],
      });
    },
  );

  test.skipIf(!isRoot)('so is the supervisor of a plain program', async () => {
    const cwd = project({ user: 'daemon', restart: 'always', workers: 1 }, PLAIN);
    const { running, answer, stop } = await run(await textOf(cwd, 'docker'), cwd);
    expect(answer).toMatchObject({
      ...{
        parent: 1,
        uid: 1,
        gid: 1,
        cwd: '/app',
        umask: 0o027,
        files: expect.stringMatching(/^(500|600) +600$/),
      },
      env: { A: APP.env.A },
    });
    stop();
    expect(await running.exited).toMatchObject({ code: 0 });
  });

  test('no user: node, who is in the image; a user and a group: they are made', async () => {
    expect(await textOf(project(), 'docker')).toContain('\nUSER node\n');
    const text = await textOf(project({ user: 'deploy', group: 'web' }), 'docker');
    expect(text).toContain('RUN getent passwd deploy || useradd --system deploy\n');
    expect(text).toContain('RUN install -d -o deploy -g web /run/app\n');
    expect(text).toContain('\nUSER deploy:web\n');
    expect(text).not.toContain('HEALTHCHECK');
  });
});

describe.skipIf(isMatrix)('doublefork unit --type kubernetes', () => {
  const read = (text: string) =>
    parseAllDocuments(text, { strict: true }).map((each) => {
      expect(each.errors).toEqual([]);
      return each.toJS();
    });
  /** As Kubernetes expands it, with no variable set. */
  const expanded = (text: string) =>
    text.replaceAll(/\$\$|\$\([^)]*\)/g, (found) => (found === '$$' ? '$' : 'EXPANDED'));

  test('a Deployment with probes, limits and a user, and a Service', async () => {
    const text = await textOf(
      project({ timeout: '90 s' }),
      'kubernetes',
      ...['--image', 'registry.example/app:1', '--user', '1001', '--socket', '8080'],
      ...['--health', '9090', '--memory', '512Mi', '--cpu', '500m'],
    );
    const [deployment, service, ...none] = read(text);
    expect(none).toEqual([]);
    expect(deployment).toMatchObject({ apiVersion: 'apps/v1', kind: 'Deployment' });
    const pod = deployment.spec.template.spec;
    // For the 5 s in which it is still an endpoint, too.
    expect(pod.terminationGracePeriodSeconds).toBe(25);
    expect(pod.securityContext).toMatchObject({
      ...{ runAsNonRoot: true, runAsUser: 1001, seccompProfile: { type: 'RuntimeDefault' } },
    });
    const [container] = pod.containers;
    expect(container).toMatchObject({
      image: 'registry.example/app:1',
      workingDir: '/app',
      ports: [{ containerPort: 8080 }],
      startupProbe: {
        httpGet: { path: '/readyz', port: 9090 },
        periodSeconds: 1,
        failureThreshold: 90,
      },
      readinessProbe: { httpGet: { path: '/readyz', port: 9090 } },
      livenessProbe: { httpGet: { path: '/livez', port: 9090 } },
      resources: { requests: { cpu: '500m', memory: '512Mi' }, limits: { memory: '512Mi' } },
      securityContext: {
        allowPrivilegeEscalation: false,
        capabilities: { drop: ['ALL'] },
        readOnlyRootFilesystem: true,
      },
    });
    expect(container.command.slice(-ARGS.length - 2).map(expanded)).toEqual([
      ...['/app/app.mjs', ...ARGS, '/app/data'],
    ]);
    const [docker] = [await textOf(project(), 'docker')];
    expect(container.command.map(expanded)).toEqual(JSON.parse(last(docker!, 'CMD')));
    expect(
      Object.fromEntries(
        container.env.map(({ name, value }: { name: string; value: string }) => [
          name,
          expanded(value),
        ]),
      ),
    ).toEqual({ DOUBLEFORK_CONTROL: '/run/app/control.sock', A: APP.env.A });
    expect(container.volumeMounts.map(({ mountPath }: { mountPath: string }) => mountPath)).toEqual(
      [...['/run/app', '/tmp']],
    );
    expect(deployment.spec.selector.matchLabels).toEqual(deployment.spec.template.metadata.labels);
    expect(service.spec.selector).toEqual(deployment.spec.template.metadata.labels);
    expect(service.spec.ports).toEqual([
      { name: 'port-8080', port: 8080, targetPort: container.ports[0].name },
    ]);
    expect(text).not.toContain('not known here');
  });

  test('what is not known is said, and not made up', async () => {
    const cwd = project({ stop: 'INT/7/KILL/5' });
    const text = await textOf(cwd, 'kubernetes', '--image', 'app');
    const documents = read(text);
    expect(documents).toHaveLength(1);
    const pod = documents[0].spec.template.spec;
    expect(pod.terminationGracePeriodSeconds).toBe(7);
    expect(pod.containers[0]).not.toHaveProperty('livenessProbe');
    expect(pod.containers[0]).not.toHaveProperty('resources');
    for (const said of ['give --socket', 'give --health', 'give --memory and --cpu', 'STOPSIGNAL'])
      expect(text).toContain(said);
    const [withPort] = read(await textOf(cwd, 'kubernetes', '--image', 'app', '--socket', '8080'));
    expect(withPort.spec.template.spec.containers[0].livenessProbe).toMatchObject({
      tcpSocket: { port: 8080 },
    });
  });

  test('an envFile is a Secret, which the line that it says makes of it', async () => {
    const cwd = project({ envFile: 'variables' });
    writeFileSync(join(cwd, 'variables'), 'A=from the file\nB="two \'words\' $x"\n');
    const text = await textOf(cwd, 'kubernetes', '--image', 'app');
    const [deployment] = read(text);
    expect(deployment.spec.template.spec.containers[0].envFrom).toEqual([
      { secretRef: { name: 'app-env' } },
    ]);
    const [, line] = /Secret: (.*) \| kubectl apply -f -$/m.exec(text)!;
    const { stdout } = await execute('sh', ['-c', line!], {
      cwd,
      env: { PATH: `${dirname(node)}:/usr/bin:/bin` },
    });
    expect(JSON.parse(stdout)).toMatchObject({
      ...{ kind: 'Secret', metadata: { name: 'app-env' } },
      stringData: { A: 'from the file', B: "two 'words' $x" },
    });
  });
});

describe.skipIf(isMatrix)('doublefork unit --type launchd', () => {
  test('a property list with all that the app says', async () => {
    const cwd = project({ log: 'app.log', user: 'daemon' });
    const text = await textOf(cwd, 'launchd', '--scope', 'system');
    const read = await execute('python3', [
      ...[
        '-c',
        'import json, plistlib, sys; print(json.dumps(plistlib.loads(sys.argv[1].encode())))',
      ],
      text.replace(/^# .*\n/, ''),
    ]);
    expect(JSON.parse(read.stdout)).toEqual({
      Label: 'app',
      ProgramArguments: [node, join(cwd, 'app.mjs'), ...ARGS, join(cwd, 'data')],
      EnvironmentVariables: expect.objectContaining({ ...APP.env, USER: 'daemon' }),
      WorkingDirectory: cwd,
      UserName: 'daemon',
      Umask: 0o027,
      SoftResourceLimits: { NumberOfFiles: 500 },
      HardResourceLimits: { NumberOfFiles: 600 },
      StandardOutPath: join(cwd, 'app.log'),
      StandardErrorPath: join(cwd, 'app.log'),
      RunAtLoad: true,
      KeepAlive: { SuccessfulExit: false },
      ExitTimeOut: 20,
    });
  });
});

describe.skipIf(isMatrix)('doublefork unit refuses what a container or launchd cannot keep', () => {
  const IMAGE = ['--image', 'app'];
  test.each<[string, object, string[], string]>([
    ['docker', {}, ['--install'], '--type docker only prints: a Dockerfile belongs to the project'],
    ['kubernetes', {}, ['--uninstall'], '--type kubernetes only prints: which cluster is meant'],
    ['kubernetes', {}, [], 'kubernetes needs the name of an image: give --image'],
    ['docker', {}, IMAGE, '--image is for kubernetes; docker has no such thing'],
    ['docker', {}, ['--harden'], '--harden is for systemd; docker has no such thing'],
    ['docker', { log: 'app.log' }, [], 'docker cannot keep log: '],
    ['docker', { pidfile: 'app.pid' }, [], 'docker cannot keep pidfile: '],
    ['docker', { envFile: 'variables' }, [], 'docker cannot keep envFile: '],
    ['docker', { env: { A: 'a\nb' } }, [], 'docker cannot keep a line break in env of the app'],
    ['docker', { program: CLI }, [], `docker cannot keep program ${CLI} of the app`],
    ['docker', { cwd: '/', program: 'sleep' }, [], 'docker cannot keep cwd / of the app'],
    ['docker', {}, ['--socket', '/run/app.sock'], 'docker cannot keep --socket /run/app.sock'],
    ['kubernetes', {}, [...IMAGE, '--socket', '127.0.0.1:80'], 'cannot keep --socket 127.0.0.1:80'],
    ['kubernetes', { user: 'daemon' }, IMAGE, 'kubernetes cannot keep user: daemon of the app'],
    [
      'kubernetes',
      {},
      [...IMAGE, '--memory', '512'],
      'It must be a whole number with a unit: 512Mi, 1Gi, 500M.',
    ],
    [
      'kubernetes',
      {},
      [...IMAGE, '--cpu', '0'],
      'It must be a number of processors: 2, 0.5, 500m.',
    ],
    ['docker', {}, ['--health', '0'], 'It must be a port.'],
    ['launchd', { stop: 'INT/5' }, [], 'launchd cannot keep stop: INT/5 of the app'],
    [
      'launchd',
      { limits: { as: 1e9 } },
      [],
      'launchd cannot keep limits: as 1000000000 of the app',
    ],
    ['launchd', { log: 'syslog' }, [], 'launchd cannot keep a log that is not a plain file'],
    ['launchd', { args: ['a\u0001'] }, [], 'launchd cannot keep a control character of the app'],
  ])('%s %j %j', async (type, app, args, why) => {
    const cwd = project(app);
    writeFileSync(join(cwd, 'variables'), 'A=1\n');
    const { code, stdout, stderr } = await unit(cwd, type, ...args);
    expect(code).toBeGreaterThan(0);
    expect(stdout).toBe('');
    expect(stderr).toContain(why);
  });

  test('docker: without a package-lock.json, and a supervisor that is not in the image', async () => {
    const cwd = project({ restart: 'always' });
    rmSync(join(cwd, 'package-lock.json'));
    expect((await unit(cwd, 'docker')).stderr).toContain('npm ci reads package-lock.json');
    writeFileSync(join(cwd, 'package.json'), '{}');
    expect((await unit(cwd, 'docker')).stderr).toContain('docker cannot keep its supervision');
  });
});
