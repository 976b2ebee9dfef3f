// The command as a supervisor of any program, and config files that say so.

import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { testFork } from '../../support/engine.js';
import { node, root } from '../../support/node.js';
import { stat, until } from '../../support/processes.js';
import { Place } from './command.js';

const config = (place: Place, value: unknown) =>
  writeFileSync(join(place.folder, 'doublefork.config.json'), JSON.stringify(value));

const parse = async (place: Place, ...words: string[]) =>
  JSON.parse((await place.run(...words)).stdout);

describe('a program is started again', () => {
  testFork('after it was killed, as a worker of the supervisor that the daemon is', async () => {
    const place = new Place();
    writeFileSync(join(place.folder, 'its.env'), 'A=file\nB=file\n');
    const started = await place.run(
      ...['start', '--name', 'it', '--restart', 'always', '--workers', '2', '--backoff', '0.05:1'],
      ...['--environment-file', 'its.env', '--env', 'A=option', '--'],
      ...['sh', '-c', 'echo $A $B; exec sleep 100'],
    );
    const { pid, supervisor } = await place.status('it');
    expect(started).toMatchObject({ code: 0, stdout: `it runs with pid ${pid}\n`, stderr: '' });
    expect(supervisor.workers).toMatchObject([{ state: 'ready' }, { state: 'ready' }]);
    process.kill(supervisor.workers[0].pid, 'SIGKILL');
    await until(async () => (await place.status('it')).supervisor.restarts === 1, 'the restart');
    await until(
      async () =>
        (await place.status('it')).supervisor.workers.every(
          ({ state }: { state: string }) => state === 'ready',
        ),
      'both again',
    );
    const lines = (await place.run('logs', 'it', '-n', '1000')).stdout.split('\n');
    expect(lines.filter((line) => line === 'option file')).toHaveLength(3);
    const { workers } = (await place.status('it')).supervisor;
    expect((await place.run('stop', 'it')).code).toBe(0);
    for (const worker of workers) expect(stat(worker.pid)?.state ?? 'Z').toBe('Z');
  });

  testFork('but not if it dies at once: that is a failed start, and nothing is left', async () => {
    const place = new Place();
    const { code, stdout, stderr } = await place.run(
      ...['start', '--name', 'bad', '--restart', 'always', '--', 'sh', '-c', 'exit 3'],
    );
    expect({ code, stdout, stderr }).toEqual({
      code: 1,
      stdout: '',
      stderr:
        'doublefork: bad was not started: the program exited with code 3; see doublefork logs bad\n',
    });
    expect((await place.status('bad')).status).toBe('stopped');
    expect((await place.run('list')).stdout).toContain(
      'bad: the program exited with code 3; see doublefork logs bad',
    );
  });

  test('what cannot be said together, or not so, is refused', async () => {
    const place = new Place();
    for (const [words, message] of [
      ['--watchdog 010', '--watchdog must be a number of seconds, such as 30 or 0.5'],
      ['--restart sometimes', "option '--restart <when>' argument 'sometimes' is invalid"],
      ['--workers 0', '--workers must be a whole number from 1 to 4096, not "0"'],
      ['--memory-limit 512', '--memory-limit must be a size with its unit, such as "512M"'],
      ['--backoff 5:1', '--backoff must be the longest wait at least the first'],
      ['--environment-file gone', 'cannot read the file of the environment'],
    ] as const) {
      const { stderr, stdout } = await place.run('start', ...words.split(' '), '--', 'sleep', '9');
      expect({ stdout, stderr }).toEqual({ stdout: '', stderr: expect.stringContaining(message) });
    }
  });
});

describe('--foreground', () => {
  test('stays, keeps the streams, and ends with the program and its code', async () => {
    const place = new Place();
    expect(
      await place.run('start', '--foreground', '--', 'sh', '-c', 'echo out; echo err >&2; exit 4'),
    ).toMatchObject({ code: 4, stdout: 'out\n', stderr: 'err\n' });
    expect((await place.run('list')).stdout).toBe('no daemon was started here\n');
  });

  test('passes SIGUSR2 on, and SIGTERM ends it', async () => {
    const place = new Place();
    const program = 'trap "echo heard > heard" USR2; echo > up; while :; do sleep 0.05; done';
    const running = place.launch(['start', '--foreground', '--', 'sh', '-c', program]);
    const says = (file: string) => {
      try {
        return readFileSync(join(place.folder, file), 'utf8');
      } catch {
        return undefined;
      }
    };
    await until(() => says('up') !== undefined, 'the program');
    process.kill(running.pid, 'SIGUSR2');
    await until(() => says('heard') === 'heard\n', 'the signal');
    process.kill(running.pid, 'SIGTERM');
    expect((await running.exited).code).toBe(0);
    await running.ended;
  });
});

describe('apps that depend on each other', () => {
  testFork('are started in order, and a namespace means all of them', async () => {
    const place = new Place();
    const sleep = { program: 'sleep', args: ['100'], namespace: 'shop' };
    config(place, {
      apps: {
        web: { ...sleep, dependsOn: ['api'] },
        api: { ...sleep, dependsOn: ['db'] },
        db: sleep,
        other: { ...sleep, namespace: 'else' },
      },
    });
    const started = await place.run('start', 'web');
    expect(started.stdout.replace(/ with pid \d+/g, '')).toBe('db runs\napi runs\nweb runs\n');
    expect((await place.run('stop', '--namespace', 'shop')).code).toBe(0);
    expect((await place.run('stop', '--namespace', 'none')).stderr).toBe(
      'doublefork: no daemon is known in the namespace none\n',
    );
    const again = await place.run('start', '--namespace', 'shop');
    expect(again.stdout.replace(/ with pid \d+/g, '')).toBe('db runs\napi runs\nweb runs\n');
    expect((await place.run('stop', '--all')).code).toBe(0);
  });

  testFork('one whose dependency fails is not started', async () => {
    const place = new Place();
    config(place, {
      apps: {
        web: { program: 'sleep', args: ['100'], dependsOn: ['db'] },
        db: { program: 'sh', args: ['-c', 'exit 5'] },
      },
    });
    const { code, stdout, stderr } = await place.run('start', 'web');
    expect({ code, stdout }).toEqual({ code: 5, stdout: '' });
    expect(stderr).toContain('web was not started: db, on which it depends, could not be\n');
    expect((await place.run('status', 'web')).code).toBe(3);
  });

  test('a circle, and one that there is not, are refused', async () => {
    const place = new Place();
    const app = (...dependsOn: string[]) => ({ program: 'sleep', dependsOn });
    config(place, { apps: { a: app('b'), b: app('c'), c: app('b') } });
    expect((await place.run('start', 'a')).stderr).toContain(
      'apps.b.dependsOn is a circle: b → c → b; none of them can be the first',
    );
    config(place, { apps: { a: app('x') } });
    expect((await place.run('start', 'a')).stderr).toContain(
      'apps.a.dependsOn has no app "x" to depend on; there are a',
    );
  });
});

describe('options of the supervisor', () => {
  const workers = async (place: Place) => (await place.status('it'))?.supervisor?.workers ?? [];
  const state = async (place: Place) => (await workers(place))[0]?.state;
  /** It ends as `how` says whenever somebody makes a directory `go`: one of them, which takes it. */
  const program = (how: string) => [
    ...['--', 'sh', '-c'],
    `echo x >> lives; until rmdir go 2>/dev/null; do sleep 0.02; done; ${how}`,
  ];
  const go = (place: Place) => mkdirSync(join(place.folder, 'go'));
  const start = (place: Place, words: string, how: string) =>
    place.run('start', '--name', 'it', ...words.split(' '), ...program(how));

  test('--restart on-failure: not one that ends with code 0', async () => {
    const place = new Place();
    const words = '--restart on-failure --min-uptime 0 --backoff 0.01:1';
    expect((await start(place, words, '[ -e once ] && exit 0; touch once; exit 3')).code).toBe(0);
    go(place);
    await until(async () => (await workers(place))[0].restarts === 1, 'the restart');
    go(place);
    await until(async () => (await place.run('status', 'it')).code === 3, 'the end');
    expect(readFileSync(join(place.folder, 'lives'), 'utf8')).toBe('x\nx\n');
  });

  test('--max-restarts: no more often in all', async () => {
    const place = new Place();
    const words = '--workers 2 --max-restarts 1 --min-uptime 0 --backoff 0.01:1';
    expect((await start(place, words, 'exit 0')).code).toBe(0);
    go(place);
    await until(async () => (await place.status('it')).supervisor.restarts === 1, 'the restart');
    go(place);
    await until(
      async () => (await workers(place)).some((each: { state: string }) => each.state === 'down'),
      'one that stays down',
    );
    expect((await place.run('stop', 'it')).code).toBe(0);
  });

  test('--min-uptime and --max-failures: a life that is too short is a failure, and then it gives up', async () => {
    const place = new Place();
    const words = '--min-uptime 1h --max-failures 1 --backoff 0.01:1';
    expect((await start(place, words, 'exit 0')).code).toBe(0);
    go(place);
    await until(async () => (await workers(place))[0]?.restarts === 1, 'the restart');
    go(place);
    await until(async () => (await place.run('status', 'it')).code !== 0, 'the end');
    expect((await place.run('logs', 'it')).stdout).toContain('"event":"give-up"');
  });

  test('--stop-timeout: then it is killed', async () => {
    const place = new Place();
    const words = ['start', '--name', 'it', '--stop-timeout', '0.2', '--', 'sh', '-c'];
    await place.run(...words, 'trap : TERM; while :; do sleep 0.05; done');
    expect((await place.run('stop', 'it')).code).toBe(0);
    expect((await place.run('logs', 'it')).stdout).toContain('killed by SIGKILL (stop)');
  });

  test('--memory-limit: one that has more is replaced', async () => {
    const place = new Place();
    // Its own name for it in the arguments, and no more of it once a file is there.
    const script = `if (!require('fs').existsSync('fat')) {
      require('fs').writeFileSync('fat', '');
      globalThis.fat = Buffer.alloc(300e6, 1);
    }
    setInterval(() => {}, 1000);`;
    const words = ['start', '--name', 'it', '--memory-limit', '200MB', '--'];
    expect((await place.run(...words, node, '-e', script)).code).toBe(0);
    const [{ pid }] = await workers(place);
    await until(async () => (await workers(place))[0].pid !== pid, 'another one', 30_000);
    expect(await state(place)).toBe('ready');
    expect((await workers(place))[0].lastExit).toContain('(replaced)');
    expect((await place.run('stop', 'it')).code).toBe(0);
  });
});

test('several are restarted each behind those that it depends on', async () => {
  const place = new Place();
  const app = (...dependsOn: string[]) => ({ program: 'sleep', args: ['100'], dependsOn });
  config(place, { apps: { a: app('b'), b: app('c'), c: app(), d: app() } });
  await place.run('start', '--all');
  const { code, stdout } = await place.run('restart', 'a', 'd', 'b');
  expect(code).toBe(0);
  const runs = stdout.split('\n').filter((line) => line.includes(' runs '));
  expect(runs.map((line) => line.split(' ')[0])).toEqual(['b', 'a', 'd']);
  expect((await place.run('stop', '--all')).code).toBe(0);
});

describe('config files', () => {
  const typed = test.skipIf(!Reflect.get(process.features, 'typescript'));

  typed('in TypeScript, with the types of defineConfig', async () => {
    const place = new Place();
    const from = JSON.stringify(join(root, 'dist/settings/index.js'));
    writeFileSync(
      join(place.folder, 'doublefork.config.ts'),
      `import { defineConfig } from ${from};
      const workers: number = 2;
      export default defineConfig({ apps: { a: { program: 'sleep', workers } } });`,
    );
    expect((await parse(place, 'check', '--json')).apps).toEqual([{ name: 'a', problem: null }]);
  });

  test('defineConfig gives back what it gets', async () => {
    const place = new Place();
    const from = JSON.stringify(join(root, 'dist/settings/index.js'));
    writeFileSync(
      join(place.folder, 'doublefork.config.mjs'),
      `import { defineConfig } from ${from};
      export default defineConfig({ program: 'sleep', name: 'a' });`,
    );
    expect((await parse(place, 'check', '--json')).apps).toEqual([{ name: 'a', problem: null }]);
  });

  test('check says whether the programs could be started', async () => {
    const place = new Place();
    writeFileSync(
      join(place.folder, 'doublefork.config.mjs'),
      `export default { apps: { a: { program: 'sleep' }, b: { program: './gone.js' } } };`,
    );
    expect(await place.run('check')).toMatchObject({
      code: 1,
      stdout: '',
      stderr: `doublefork: b: cannot run ${place.folder}/gone.js: there is no such file\n`,
    });
    writeFileSync(join(place.folder, 'gone.js'), '');
    expect(await parse(place, 'check', '--json')).toEqual({
      file: join(place.folder, 'doublefork.config.mjs'),
      apps: [
        { name: 'a', problem: null },
        { name: 'b', problem: null },
      ],
    });
  });

  test('the JSON schema is that of the table, and has every option of start', async () => {
    const place = new Place();
    const schema = await parse(place, 'check', '--schema');
    const shipped = readFileSync(join(root, 'docs/config.schema.json'), 'utf8');
    expect(JSON.parse(shipped)).toEqual(schema);
    const { properties } = schema.definitions.app;
    const docs = readFileSync(join(root, 'docs/command.md'), 'utf8');
    for (const key of Object.keys(properties)) expect(docs).toContain(`\`${key}\``);
    const help = (await place.run('start', '--help')).stdout;
    for (const key of Object.keys(properties)) {
      if (['program', 'args', 'commands', 'dependsOn'].includes(key)) continue;
      const special: Record<string, string> = { limits: 'limit', envFile: 'environment-file' };
      const option = special[key] ?? key.replace(/[A-Z]/g, (c) => `-${c.toLowerCase()}`);
      expect(help).toContain(`--${option} `);
    }
  });

  test('import takes an ecosystem file of pm2, and says what it leaves', async () => {
    const place = new Place();
    mkdirSync(place.folder, { recursive: true });
    writeFileSync(
      join(place.folder, 'ecosystem.config.js'),
      `module.exports = { deploy: {}, apps: [{
        name: 'api', script: 'server.js', args: '--port 80', instances: 2, watch: true,
        max_memory_restart: '300M', env: { A: 1 }, min_uptime: 5000, autorestart: true,
      }] };`,
    );
    const imported = await place.run('import', 'ecosystem.config.js');
    expect(imported).toMatchObject({
      code: 0,
      stderr:
        'doublefork: deploy: there is nothing like it here\ndoublefork: api.watch: files are not watched here\n',
    });
    const path = join(place.folder, 'doublefork.config.json');
    expect(JSON.parse(readFileSync(path, 'utf8'))).toEqual({
      apps: {
        api: {
          program: './server.js',
          args: ['--port', '80'],
          workers: 2,
          memoryLimit: '300M',
          env: { A: 1 },
          minUptime: '5000 ms',
          restart: 'always',
        },
      },
    });
    expect((await place.run('import', 'ecosystem.config.js')).stderr).toBe(
      'doublefork: cannot write doublefork.config.json: there is a file already\n',
    );
    writeFileSync(join(place.folder, 'server.js'), '');
    expect((await place.run('check')).code).toBe(0);
  });

  test('import takes a Procfile', async () => {
    const place = new Place();
    writeFileSync(
      join(place.folder, 'Procfile'),
      'web: node server.js --port $PORT\n# nothing\nworker: bundle exec "a b"\nbad line\n',
    );
    expect(await parse(place, 'import', 'Procfile', '--json')).toEqual({
      apps: {
        web: {
          program: 'sh',
          args: ['-c', 'exec node server.js --port $PORT'],
          restart: 'always',
        },
        worker: { program: 'bundle', args: ['exec', 'a b'], restart: 'always' },
      },
      left: ['line 4: it is no "name: command"'],
    });
  });
});

describe('restart of what the command supervises', () => {
  testFork(
    'leaves it alone if its file of the environment is gone, and else keeps all',
    async () => {
      const place = new Place();
      const file = join(place.folder, 'its.env');
      writeFileSync(file, 'A=one\n');
      const app = { program: 'sh', args: ['-c', 'echo $A; exec sleep 100'], envFile: 'its.env' };
      config(place, { apps: { it: { ...app, restart: 'always', workers: 2 } } });
      expect((await place.run('start', 'it')).code).toBe(0);
      const { pid } = await place.status('it');

      rmSync(file);
      const refused = await place.run('restart', 'it');
      expect(refused).toMatchObject({
        stdout: '',
        stderr: expect.stringContaining(`cannot read the file of the environment ${file}`),
      });
      expect(refused.code).not.toBe(0);
      expect((await place.status('it')).pid).toBe(pid);

      writeFileSync(file, 'A=two\n');
      expect((await place.run('restart', 'it')).code).toBe(0);
      const after = await place.status('it');
      expect(after.pid).not.toBe(pid);
      expect(after.supervisor.workers).toMatchObject([{ state: 'ready' }, { state: 'ready' }]);
      const lines = (await place.run('logs', 'it', '-n', '1000')).stdout.split('\n');
      expect(lines.filter((line) => line === 'two')).toHaveLength(2);
      expect((await place.run('stop', 'it')).code).toBe(0);
    },
  );
});
