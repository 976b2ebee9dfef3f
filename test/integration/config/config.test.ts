// doublefork/config: what is in force is the last good one, as a whole, everywhere.

import { execFileSync } from 'node:child_process';
import {
  mkdirSync,
  readFileSync,
  renameSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { temporaryFolder } from '../../support/folder.js';
import { node, root } from '../../support/node.js';
import { until } from '../../support/processes.js';
import { execute, run, start } from '../../support/program.js';
import { decisions } from '../supervise/tools.js';

interface Setup {
  files?: Readonly<Record<string, string | Buffer>>;
  file?: string;
  options?: string;
  env?: Readonly<Record<string, string>>;
  then?: string;
}

const SCHEMA = `
  const { z } = await import('zod');
  const schema = z.strictObject({
    port: z.number().int().min(1).max(65535),
    tags: z.array(z.string()).optional(),
    database: z.strictObject({ url: z.string(), password: z.string().optional(), poolSize: z.number().optional() }).optional(),
  });
`;

function place({ files = {}, file = 'app.yaml', options = '' }: Setup) {
  const folder = temporaryFolder();
  for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text);
  const path = join(folder, file);
  const source = `
    const { loadConfig, ConfigFileError } = await import('doublefork/config');
    ${SCHEMA}
    const load = () => loadConfig({ file: ${JSON.stringify(path)}, watch: 20, ${options} });
  `;
  return { folder, path, source, options };
}

/** What a program reads, of several places, one after the other. */
async function loadAll(setups: readonly Setup[]) {
  const places = setups.map((setup) => ({ ...place(setup), env: setup.env ?? {} }));
  const calls = places.map(
    ({ path, options, env }) =>
      `[${JSON.stringify(env)}, () => loadConfig({ file: ${JSON.stringify(path)}, ${options} })]`,
  );
  const { reports, stderr } = await run(`
    const { loadConfig } = await import('doublefork/config');
    ${SCHEMA}
    for (const [env, load] of [${calls}]) {
      Object.assign(process.env, env);
      try { const config = load(); report({ value: config.value }); config.close(); }
      catch ({ name, code, message, line, column }) { report({ name, code, message, line, column }); }
      for (const name of Object.keys(env)) delete process.env[name];
    }`);
  expect(stderr).toBe('');
  return reports.map((it, index) =>
    JSON.parse(JSON.stringify(it).replaceAll(`${places[index]!.folder}/`, '')),
  );
}

const load = async (setup: Setup) => (await loadAll([setup]))[0];

describe('what is read', () => {
  test('YAML, JSON, TOML', async () => {
    const read = await loadAll([
      { file: 'app.yaml', files: { 'app.yaml': 'port: 80\ntags: [a, b]\n' }, options: 'schema' },
      { file: 'app.json', files: { 'app.json': '\ufeff{ "port": 80, "tags": ["a", "b"] }' } },
      { file: 'app.toml', files: { 'app.toml': 'port = 0x50\ntags = ["a", "b"]\n' } },
    ]);
    expect(read).toEqual(Array(3).fill({ value: { port: 80, tags: ['a', 'b'] } }));
  });

  test('places lie on top of the file, the environment on top of them, secrets come from files', async () => {
    const read = await load({
      files: {
        'app.yaml':
          'port: 80\ndatabase: { url: a, pool_size: 1, password_FILE: secret }\ntags: [x]\n',
        'app.linux.yaml': 'port: 81\ntags: [y, z]\n',
        'app.production.yaml': 'port: 82\ndatabase: { url: b }\n',
        secret: 'hush\n',
      },
      options: `places: ['linux', 'staging', 'production'], env: 'APP_'`,
      env: {
        APP_PORT: '83',
        APP_DATABASE__POOL_SIZE: '7',
        APP_NEW_KEY: '5',
        APPLE: 'no',
      },
    });
    expect(read).toEqual({
      value: {
        port: 83,
        database: { url: 'b', pool_size: 7, password: 'hush' },
        tags: ['y', 'z'],
        newKey: '5',
      },
    });
  });

  test('a secret of the environment; it and a plain one at once are refused by name', async () => {
    const secret = join(temporaryFolder(), 'secret');
    writeFileSync(secret, 'hush\n');
    const files = { 'app.yaml': 'port: 80\n' };
    const env = { APP_DATABASE__PASSWORD_FILE: secret };
    const options = `env: 'APP_'`;
    expect(await load({ files, env, options })).toEqual({
      value: { port: 80, database: { password: 'hush' } },
    });
    const both = await load({ files, env: { ...env, APP_DATABASE__PASSWORD: 'x' }, options });
    expect(both.message).toMatch(/^\$APP_DATABASE__PASSWORD(_FILE)?: means the same as /);
  });

  test('any Standard Schema', async () => {
    const schema = `schema: { '~standard': { version: 1, vendor: 'own', validate: (value) =>
      value.port === 80 ? { value: { port: 8080 } } : { issues: [{ message: 'is not 80', path: [{ key: 'port' }] }] } } }`;
    expect(await load({ files: { 'app.yaml': 'port: 80' }, options: schema })).toEqual({
      value: { port: 8080 },
    });
    const refused = await load({ files: { 'app.yaml': '# what\nport: 81' }, options: schema });
    expect(refused).toMatchObject({ message: 'app.yaml:2:7: port: is not 80', line: 2, column: 7 });
  });
});

describe('what is refused at the start, and where', () => {
  const deep = `${'['.repeat(50_000)}${']'.repeat(50_000)}`;
  const CASES: [string, Setup, RegExp][] = [
    ['empty YAML', { files: { 'app.yaml': '' } }, /^app\.yaml:1:1: the file is empty$/],
    ['empty TOML', { files: { 'app.toml': '\n' }, file: 'app.toml' }, /: the file is empty$/],
    ['binary', { files: { 'app.yaml': Buffer.from([0xff, 0xfe, 0]) } }, /not UTF-8/],
    [
      'NUL',
      { files: { 'app.toml': 'a = 1\n\0' }, file: 'app.toml' },
      /:2:1: the file is not a text/,
    ],
    ['a list', { files: { 'app.json': '[1]' }, file: 'app.json' }, /must be a set of names/],
    [
      'huge',
      { files: { 'app.yaml': `a: ${'x'.repeat(2000)}` }, options: 'maxSize: 1000' },
      /^app\.yaml: is larger than 1000 bytes$/,
    ],
    ['too deep', { files: { 'app.json': `{"a":${deep}}` }, file: 'app.json' }, /^app\.json: /],
    [
      'broken JSON',
      { files: { 'app.json': '{\n  "a": 1,\n  "b": x\n}' }, file: 'app.json' },
      /^app\.json:3:8: Unexpected token/,
    ],
    [
      'JSON that ends',
      { files: { 'app.json': '{\n "a": 1' }, file: 'app.json' },
      /^app\.json:2:8: /,
    ],
    ['broken YAML', { files: { 'app.yaml': 'a: 1\nb: [1, 2\n' } }, /^app\.yaml:3:1: /],
    [
      'broken TOML',
      { files: { 'app.toml': 'a = 1\nb = = 2\n' }, file: 'app.toml' },
      /^app\.toml:2:5: /,
    ],
    [
      'a number of two meanings',
      { files: { 'app.yaml': 'a: 1\nmode: 077\n' } },
      /^app\.yaml:2:7: mode: 077 may mean/,
    ],
    [
      'aliases without end',
      {
        files: {
          'app.yaml': `a: &a [1,1,1,1,1,1,1,1,1]\nb: &b [${'*a,'.repeat(9)}]\nc: [${'*b,'.repeat(99)}]`,
        },
      },
      /alias/i,
    ],
    [
      'the wrong type',
      { files: { 'app.yaml': 'port: 80\ndatabase:\n  url: 5\n' }, options: 'schema' },
      /^app\.yaml:3:8: database\.url: .*string/,
    ],
    [
      'what is missing',
      { files: { 'app.yaml': 'tags: []\n' }, options: 'schema' },
      /^app\.yaml:1:1: port: /,
    ],
    [
      'a wrong variable',
      {
        files: { 'app.yaml': 'port: 80' },
        options: `schema, env: 'APP_'`,
        env: { APP_PORT: 'no' },
      },
      /^\$APP_PORT: must be a number/,
    ],
    [
      'one of the environment by its name',
      { files: { 'app.yaml': 'port: 80' }, options: `schema, env: 'APP_'`, env: { APP_PORT: '0' } },
      /^\$APP_PORT: port: /,
    ],
    ['no secret', { files: { 'app.yaml': 'a_FILE: nowhere' } }, /no such file/],
    [
      'a schema that takes its time',
      {
        files: { 'app.yaml': 'port: 80' },
        options: 'schema: z.object({ port: z.number().refine(async () => true) })',
      },
      /the schema failed: /,
    ],
    [
      'an object of a class',
      {
        files: { 'app.yaml': 'port: 80' },
        options: 'schema: z.object({ port: z.number().transform((n) => new Map([[n, n]])) })',
      },
      /^app\.yaml:1:7: port: must be a plain value/,
    ],
  ];

  test('what is wrong in it, with the place', async () => {
    const told = await loadAll(CASES.map(([, setup]) => setup));
    for (const [index, [what, , message]] of CASES.entries()) {
      expect({ what, ...told[index] }).toMatchObject({
        what,
        name: 'ConfigFileError',
        message: expect.stringMatching(message),
      });
    }
  });

  test('no file, a directory, a FIFO, a loop of links', async () => {
    const folder = temporaryFolder();
    mkdirSync(join(folder, 'directory.yaml'));
    execFileSync('mkfifo', [join(folder, 'fifo.yaml')]);
    symlinkSync('loop.yaml', join(folder, 'loop.yaml'));
    const files = ['none', 'directory', 'fifo', 'loop'].map((it) => join(folder, `${it}.yaml`));
    const told = await loadAll(files.map((it) => ({ options: `file: ${JSON.stringify(it)}` })));
    expect(told.map(({ code, message }) => [code, message.replace(`${folder}/`, '')])).toEqual([
      ['ENOENT', expect.stringMatching(/^none.yaml: cannot be read: .*no such file/)],
      ['ERR_INVALID_CONFIG', 'directory.yaml: is a directory'],
      ['ERR_INVALID_CONFIG', 'fifo.yaml: is no file'],
      ['ELOOP', expect.stringMatching(/too many/)],
    ]);
  });

  test('options that cannot be', async () => {
    const told = await loadAll(
      ["file: '/x.ini'", 'schema: {}', 'wach: true', 'watch: 1', "places: ['a/b']"].map(
        (options) => ({ files: { 'app.yaml': 'a: 1' }, options }),
      ),
    );
    expect(told.map(({ message }) => message)).toEqual([
      expect.stringMatching(/ends in \.json/),
      expect.stringMatching(/Standard Schema/),
      expect.stringMatching(/Did you mean "watch"/),
      expect.stringMatching(/20/),
      expect.stringMatching(/without a slash/),
    ]);
  });
});

describe('one process', () => {
  /** A program that tells of each change and each refusal, and what is in force then. */
  async function follow(
    setup: Setup,
    act: (path: string, next: () => Promise<unknown>) => Promise<void>,
  ) {
    const { source, path } = place(setup);
    const reports: unknown[] = [];
    const running = start(
      `${source}
      const config = load();
      config.on('change', ({ value, previous, changes, generation }) => report({ value, previous, changes, generation }));
      config.on('refused', (error) => report({ refused: error.message, value: config.value, generation: config.generation }));
      report(config.value);
      setInterval(() => {}, 1000);
      process.on('SIGTERM', () => process.exit());
    `,
      { onReport: (it) => reports.push(it) },
    );
    let count = 0;
    const next = async () => {
      count++;
      await until(() => reports.length >= count, `report ${count}`);
      return reports[count - 1];
    };
    await next();
    try {
      await act(path, next);
    } finally {
      process.kill(running.pid, 'SIGTERM');
      await running.ended;
    }
    return reports;
  }

  const put = (path: string, text: string) => {
    writeFileSync(`${path}.new`, text);
    renameSync(`${path}.new`, path);
  };

  test('a change is told with what is new; a broken one keeps the one before; a good one heals', async () => {
    const files = { 'app.yaml': 'port: 80\ntags: [a]\n' };
    await follow({ files, options: 'schema' }, async (path, next) => {
      put(path, 'port: 81\ntags: [a]\ndatabase: { url: x }\n');
      expect(await next()).toEqual({
        value: { port: 81, tags: ['a'], database: { url: 'x' } },
        previous: { port: 80, tags: ['a'] },
        changes: [
          { path: ['port'], before: 80, after: 81 },
          { path: ['database'], after: { url: 'x' } },
        ],
        generation: 2,
      });
      put(path, 'port: 82\n tags: [\n');
      expect(await next()).toMatchObject({
        refused: expect.stringMatching(/app\.yaml:\d:\d+: /),
        generation: 2,
        value: { port: 81 },
      });
      unlinkSync(path);
      expect(await next()).toMatchObject({
        refused: expect.stringMatching(/no such file/),
        value: { port: 81 },
      });
      put(path, 'port: 83\n');
      expect(await next()).toMatchObject({ value: { port: 83 }, generation: 3 });
    });
  });

  test('as Kubernetes switches its links; a secret by itself; a file that lies on top comes later', async () => {
    const folder = temporaryFolder();
    const version = (name: string, text: string) => {
      mkdirSync(join(folder, name));
      writeFileSync(join(folder, name, 'app.yaml'), text);
      symlinkSync(name, join(folder, '..data.new'));
      renameSync(join(folder, '..data.new'), join(folder, '..data'));
    };
    version('..1', 'port: 80\nkey_FILE: secret\n');
    symlinkSync('..data/app.yaml', join(folder, 'app.yaml'));
    writeFileSync(join(folder, 'secret'), 'a');
    const file = JSON.stringify(join(folder, 'app.yaml'));
    await follow({ options: `file: ${file}, places: ['x']` }, async (_, next) => {
      version('..2', 'port: 81\nkey_FILE: secret\n');
      expect(await next()).toMatchObject({ value: { port: 81, key: 'a' } });
      writeFileSync(join(folder, 'secret'), 'b');
      expect(await next()).toMatchObject({ value: { key: 'b' }, changes: [{ path: ['key'] }] });
      writeFileSync(join(folder, 'app.x.yaml'), 'port: 82\n');
      expect(await next()).toMatchObject({ value: { port: 82, key: 'b' }, generation: 4 });
    });
  });

  test('twice within 10 ms is one change, or two; the last one counts; what says the same is none', async () => {
    const reports = await follow({ files: { 'app.yaml': 'port: 80\n' } }, async (path, next) => {
      put(path, 'port: 81\n');
      put(path, 'port: 82\n');
      for (;;) {
        const { value } = (await next()) as { value: { port: number } };
        if (value.port === 82) break;
        expect(value.port).toBe(81);
      }
      put(path, '# the same\nport: 82\n');
      put(path, 'port: 83\n');
      put(path, 'port: 84\n');
      for (;;) if (((await next()) as { value: { port: number } }).value.port === 84) break;
    });
    const generations = reports.slice(1).map((it) => (it as { generation: number }).generation);
    expect(generations).toEqual(generations.map((_, index) => index + 2));
  });

  test('HUP looks at once; without watch nothing else does', async () => {
    const { source, path } = place({
      files: { 'app.yaml': 'port: 80\n' },
      options: 'watch: false',
    });
    const reports: unknown[] = [];
    const running = start(
      `${source}
      const config = load();
      config.on('change', ({ value }) => report(value));
      report('ready');
      setInterval(() => {}, 1000);
      process.on('SIGTERM', () => process.exit());
    `,
      { onReport: (it) => reports.push(it) },
    );
    await until(() => reports.length === 1, 'the start');
    put(path, 'port: 81\n');
    process.kill(running.pid, 'SIGHUP');
    await until(() => reports.length === 2, 'the change');
    process.kill(running.pid, 'SIGTERM');
    expect((await running.ended).reports[1]).toEqual({ port: 81 });
  });
});

describe.each(['fork', 'exec'])('a family, by %s', (engine) => {
  test('one generation in all workers; a broken one in none; those that come later have it, too', async () => {
    const { source, path, folder } = place({
      files: { 'app.yaml': 'port: 80\n' },
      options: 'schema',
    });
    const control = join(folder, 'control');
    const reports: unknown[] = [];
    const running = start(
      `${source}
      const config = load();
      const worker = doublefork.supervise({ engine: '${engine}', workers: 3, control: ${JSON.stringify(control)} });
      const tell = (what) => report({ what, id: worker.id, start: worker.generation, port: config.value.port, generation: config.generation });
      config.on('change', () => tell('change'));
      tell('start');
      worker.signal.addEventListener('abort', () => process.exit());
      setInterval(() => {}, 1000);
    `,
      { onReport: (it) => reports.push(it) },
    );
    const { ControlClient } = (await import(
      `${import.meta.dirname}/../../../dist/supervise/control-client.js`
    )) as typeof import('../../../src/supervise/control-client.js');
    const told = (what: string, port: number) =>
      (reports as { what: string; port: number; id: number; generation: number }[]).filter(
        (it) => it.what === what && it.port === port,
      );
    await until(() => told('start', 80).length === 3, 'the workers');
    await using client = await ControlClient.connect(control);
    put(path, 'port: 81\n');
    await until(() => told('change', 81).length === 3, 'the change in all workers');
    expect(new Set(told('change', 81).map(({ generation }) => generation))).toEqual(new Set([2]));
    await until(async () => (await client.status()).config[0]?.workers === 3, 'that they have it');

    writeFileSync(path, 'port: eighty\n');
    await expect(client.reconfigure()).rejects.toThrow(/app\.yaml:1:7: port: /);
    const [{ pid }] = (await client.status()).workers as unknown as [{ pid: number }];
    process.kill(pid, 'SIGKILL');
    await until(
      () => told('start', 81).length === 1,
      'a worker that begins with the last good one',
    );
    await client.recycle();
    await until(() => told('start', 81).length === 4, 'workers that do');
    const { config } = await client.status();
    expect(config).toMatchObject([
      { file: path, generation: 2, error: expect.stringMatching(/:1:7: port/) },
    ]);

    put(path, 'port: 82\n');
    await client.reconfigure();
    expect((await client.status()).config).toMatchObject([
      { generation: 3, error: null, workers: 3 },
    ]);
    await client.stop();
    const ended = await running.ended;
    // One that was replaced before may still be ending, and hear of it, too.
    expect(new Set(told('change', 82).map(({ id }) => id)).size).toBe(3);
    expect(decisions(ended, 'config').map(({ config: n, changed }) => [n, changed])).toEqual([
      [2, ['port']],
      [3, ['port']],
    ]);
    expect(decisions(ended, 'config-refused')).toHaveLength(1);
    expect(readFileSync(path, 'utf8')).toBe('port: 82\n');
  });

  const put = (path: string, text: string) => {
    writeFileSync(`${path}.new`, text);
    renameSync(`${path}.new`, path);
  };
});

test('200 random edits under load: no half-read one, the last good one everywhere', async () => {
  const { code, stdout, stderr } = await execute(node, [
    join(root, 'test/soak/config.mjs'),
    '200',
    '7',
  ]);
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  expect(stdout).toMatch(/^\d+ edits .* the last good one in force everywhere \(seed 7\)\n$/);
});
