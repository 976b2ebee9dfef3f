// Config files, and messages that point at the line.

import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { readConfig } from '../../src/config/file.js';
import { temporaryFolder } from '../support/folder.js';

/** Reads a file of that name and content, in a folder of its own. */
async function read(name: string, content: string) {
  const folder = temporaryFolder();
  writeFileSync(join(folder, name), content);
  return { folder, config: await readConfig(folder) };
}

async function complaint(name: string, content: string): Promise<string> {
  const { message } = await read(name, content).then(
    () => new Error('no error'),
    (error: Error) => error,
  );
  return message.replace(/^.*\/(?=[^/]+:\d+: )/, '');
}

const JSON_TWO = `{
  "apps": {
    "web": { "program": "./server.js", "args": ["--port", "80"], "umask": "022", "timeout": 5 },
    "worker": { "program": "sleep", "args": ["100"], "env": { "A": "1" }, "stop": "INT/3/KILL/1" }
  }
}`;
const YAML_TWO = `
apps:
  web:
    program: ./server.js
    args: [--port, 80]
    umask: 0o22
    timeout: 5
  worker:
    program: sleep
    args: ['100']
    env:
      A: 1
    stop: INT/3/KILL/1
`;
const TOML_TWO = `
[apps.web]
program = "./server.js"
args = ["--port", "80"]
umask = 0o22
timeout = 5

[apps.worker]
program = "sleep"
args = ["100"]
env = { A = "1" }
stop = "INT/3/KILL/1"
`;

describe('the same in JSON, YAML, TOML and package.json', () => {
  test.each([
    ['doublefork.config.json', JSON_TWO],
    ['doublefork.config.yaml', YAML_TWO],
    ['doublefork.config.yml', YAML_TWO],
    ['doublefork.config.toml', TOML_TWO],
    ['package.json', `{ "name": "x", "doublefork": ${JSON_TWO} }`],
  ])('%s', async (name, content) => {
    const { folder, config } = await read(name, content);
    expect(config?.file).toBe(join(folder, name));
    const defaults = {
      cwd: folder,
      pidfile: undefined,
      log: undefined,
      env: {},
      ready: 'none',
      settle: 1000,
      commands: {},
      limits: {},
    };
    expect(config?.apps).toEqual([
      {
        ...defaults,
        name: 'web',
        program: join(folder, 'server.js'),
        args: ['--port', '80'],
        umask: 0o22,
        timeout: 5000,
        stop: 'TERM/10/KILL/5',
      },
      {
        ...defaults,
        name: 'worker',
        program: 'sleep',
        args: ['100'],
        umask: undefined,
        env: { A: '1' },
        timeout: 60_000,
        stop: 'INT/3/KILL/1',
      },
    ]);
  });
});

test('one app alone; its paths are relative to the file, its name is its program’s', async () => {
  const { folder, config } = await read(
    'doublefork.config.json',
    '{ "program": "bin/app.mjs", "log": "logs/app.log", "pidfile": "/run/app.pid", "cwd": "data" }',
  );
  expect(config?.apps).toMatchObject([
    {
      name: 'app',
      program: join(folder, 'bin/app.mjs'),
      log: join(folder, 'logs/app.log'),
      pidfile: '/run/app.pid',
      cwd: join(folder, 'data'),
    },
  ]);
});

test('no file, and a package.json that has nothing to say', async () => {
  expect(await readConfig(temporaryFolder())).toBeUndefined();
  expect((await read('package.json', '{ "name": "x" }')).config).toBeUndefined();
});

test('two files are one too many; one can be chosen', async () => {
  const folder = temporaryFolder();
  writeFileSync(join(folder, 'doublefork.config.json'), JSON_TWO);
  writeFileSync(join(folder, 'doublefork.config.yaml'), YAML_TWO);
  await expect(readConfig(folder)).rejects.toThrow('there are several config files');
  expect((await readConfig(folder, 'doublefork.config.yaml'))?.apps.length).toBe(2);
  await expect(readConfig(folder, 'missing.yaml')).rejects.toThrow(
    /^cannot read the config file .*missing.yaml: there is no such file/,
  );
});

describe('a message points at the line', () => {
  test.each([
    [
      'doublefork.config.json',
      JSON_TWO.replace('"022"', '"999"'),
      3,
      'apps.web.umask must be octal, from 000 to 777, in quotes: write "027", not "999"',
    ],
    [
      'doublefork.config.yaml',
      YAML_TWO.replace('A: 1', 'A: [1]'),
      12,
      'apps.worker.env.A must be a text',
    ],
    [
      'doublefork.config.yaml',
      YAML_TWO.replace('timeout: 5', 'timeout: soon'),
      7,
      'apps.web.timeout must be a number of seconds',
    ],
    [
      'doublefork.config.toml',
      TOML_TWO.replace('INT/3', 'INT/x'),
      12,
      'apps.worker.stop: The schedule',
    ],
    [
      'doublefork.config.toml',
      TOML_TWO.replace('umask', 'unmask'),
      5,
      'apps.web.unmask is not known here',
    ],
    ['doublefork.config.json', JSON_TWO.replace('"web"', '"../web"'), 3, 'cannot be a name'],
    [
      'doublefork.config.yaml',
      YAML_TWO.replace('    program: sleep\n', ''),
      8,
      'apps.worker.program must be a text',
    ],
    ['doublefork.config.json', '{ "apps": {},\n "log": "x" }', 2, 'log cannot stand beside "apps"'],
    ['doublefork.config.json', '[]', 1, 'the file must be an app'],
    [
      'package.json',
      `{ "name": "umask",\n "doublefork": { "program": "x", "umask": 7777 } }`,
      2,
      'doublefork.umask must be',
    ],
  ])('%s, %#', async (name, content, line, message) => {
    const said = await complaint(name, content);
    expect(said).toContain(`${name}:${line}: `);
    expect(said).toContain(message);
    expect(said.split('\n')[1]).toBe(`  ${line} | ${content.split('\n')[line - 1]}`);
  });

  test.each([
    ['doublefork.config.json', '{\n "apps": {\n  "web": { "program": "x", }\n }\n}', 3],
    ['doublefork.config.json', '{\n "apps": {', 2],
    ['doublefork.config.yaml', 'apps:\n  web:\n    program: "x\n', 4],
    ['doublefork.config.toml', '[apps.web]\nprogram = x\n', 2],
  ])('that cannot be parsed: %s, %#', async (name, content, line) => {
    expect(await complaint(name, content)).toContain(`${name}:${line}: `);
  });
});

test('a folder in the place of the file', async () => {
  const folder = temporaryFolder();
  mkdirSync(join(folder, 'doublefork.config.json'));
  await expect(readConfig(folder)).rejects.toThrow(
    /^cannot read the config file .*: it is a directory$/,
  );
});

const yaml = (line: string, version = '1.2') => [
  'doublefork.config.yaml',
  `%YAML ${version}\n---\nprogram: x\n${line}\n`,
];
const toml = (line: string) => ['doublefork.config.toml', `program = "x"\n${line}\n`];
const json = (pair: string) => ['doublefork.config.json', `{ "program": "x", ${pair} }`];

describe('a number that can be misread is refused, with what to write instead', () => {
  test.each([
    // 63 to YAML 1.1, 77 to YAML 1.2, which is 0115.
    [yaml('umask: 077'), 'umask must be octal, from 000 to 777, in quotes: write "077", not 077'],
    [yaml('umask: 077', '1.1'), 'write "077", not 077'],
    [yaml('umask: 022'), 'write "022", not 022'],
    [yaml('umask: 77'), 'in quotes: write "027", not 77'],
    [yaml('umask: 0x1f'), 'not 0x1f'],
    [yaml('umask: 0o1777'), 'not 0o1777'],
    [yaml('umask: "0888"'), 'not "0888"'],
    [json('"umask": 77'), 'write "027", not 77'],
    [json('"umask": 27'), 'not 27'],
    [toml('umask = 77'), 'not 77'],
    [toml('umask = 0x3f'), 'not 0x3f'],
    [toml('umask = 6_3'), 'not 63'],
    [yaml('timeout: 010'), 'timeout must be a number of seconds, such as 30 or 0.5, '],
    [yaml('timeout: 010', '1.1'), 'not 010'],
    [yaml('timeout: 1:30', '1.1'), 'not 1:30'],
    [yaml('timeout: 1:30'), 'not "1:30"'],
    [yaml('timeout: 1_000', '1.1'), 'not 1_000'],
    [yaml('timeout: 1_000'), 'not "1_000"'],
    [yaml('timeout: 1e3'), 'not 1e3'],
    [yaml('timeout: "1e3"'), 'not "1e3"'],
    [yaml('timeout: 0x10'), 'not 0x10'],
    [yaml('timeout: "0x10"'), 'not "0x10"'],
    [yaml('timeout: .inf'), 'not .inf'],
    [yaml('timeout: .nan'), 'not .nan'],
    [yaml('timeout: -1'), 'not -1'],
    [yaml('timeout: true'), 'not true'],
    [yaml('timeout: yes', '1.1'), 'not true'],
    [yaml('timeout: ""'), 'not ""'],
    [yaml('timeout:'), 'not null'],
    [toml('timeout = nan'), 'not NaN'],
    [toml('timeout = inf'), 'not Infinity'],
    [toml('timeout = 1979-05-27'), 'not "1979-05-27'],
    [json('"timeout": 1e400'), 'not Infinity'],
    // 0 would be: for ever.
    [json('"timeout": 0.0001'), 'not 0.0001'],
    [json('"timeout": 1e9'), 'not 1000000000'],
    [json('"limits": { "nofile": "" }'), 'limits.nofile must be a whole number or "infinity"'],
    [json('"limits": { "nofile": "0x10" }'), 'not "0x10"'],
    [json('"limits": { "nofile": 0.5 }'), 'not 0.5'],
    [json('"limits": { "nofile": -1 }'), 'not -1'],
    [json('"limits": { "nofile": true }'), 'not true'],
    [json('"limits": { "nofile": 9007199254740993 }'), 'must be a whole number'],
    [yaml('limits: { nofile: 0100 }'), 'not 0100'],
    [json('"limits": { "nofile": "9:" }'), 'not ""'],
    [json('"limits": { "core": "2:1" }'), 'limits.core must be soft at most hard, not "2:1"'],
    [json('"limits": { "core": { "sotf": 1 } }'), 'limits.core.sotf is not known here'],
    [json('"limits": { "patience": 1 }'), 'limits.patience is no limit here; there are '],
    [yaml('args: [1.10]'), 'args.0 must be a text: write it in quotes, as "1.1"'],
    [yaml('args: [0755]'), 'write it in quotes, as "0755"'],
    [toml('args = [0o755]'), 'write it in quotes, as "0o755"'],
    [yaml('env: { A: yes }', '1.1'), 'env.A must be a text: write it in quotes, as "true"'],
    [yaml('env: { A: 12345678901234567890 }'), 'env.A must be a text: write it in quotes'],
    [yaml('user: 0100'), 'user must be a text: write it in quotes, as "0100"'],
    [yaml('stop: 010'), 'stop must be a text'],
    [yaml('stop: "TERM/010"'), '"010" is neither a signal nor a number of seconds'],
    [yaml('commands: { flush: 010 }'), 'commands.flush must be a text'],
    [yaml('commands: { flush: FLUSH }'), 'must be a signal, such as HUP or SIGUSR2, not "FLUSH"'],
    [yaml('umask: !octal 077'), 'Unresolved tag: !octal'],
  ])('%j', async ([name, content], message) => {
    expect(await complaint(name!, content!)).toContain(message);
  });

  test.each([
    [yaml('umask: "077"'), { umask: 0o77 }],
    [yaml('umask: 0o77'), { umask: 0o77 }],
    [yaml('umask: !!str 077'), { umask: 0o77 }],
    [toml('umask = 0o77'), { umask: 0o77 }],
    [toml('umask = "77"'), { umask: 0o77 }],
    [json('"umask": "0o077"'), { umask: 0o77 }],
    [yaml('timeout: 0.5'), { timeout: 500 }],
    [yaml('timeout: 2 min'), { timeout: 120_000 }],
    [yaml('timeout: 1.5s'), { timeout: 1500 }],
    [yaml('timeout: 250 ms'), { timeout: 250 }],
    [toml('timeout = 1_000'), { timeout: 1_000_000 }],
    [toml('env = { A = "0x1f", B = "a # 0o1" } # 0o2'), { env: { A: '0x1f', B: 'a # 0o1' } }],
    [toml('[env]\n0o7 = "x"\nA = """\n= 0o7\n"""'), { env: { '0o7': 'x', A: '= 0o7\n' } }],
    [toml('[limits]\nnofile = 4096'), { limits: { nofile: 4096 } }],
    [yaml('env: { 010: a, no: b }', '1.1'), { env: { '010': 'a', no: 'b' } }],
    [yaml('args: [--port, 8080]'), { args: ['--port', '8080'] }],
    [yaml('limits: { core: "0:infinity" }'), { limits: { core: { soft: 0, hard: 'infinity' } } }],
  ])('%j can only be meant so', async ([name, content], expected) => {
    expect((await read(name!, content!)).config?.apps).toMatchObject([expected]);
  });
});

describe('what editors do to a file', () => {
  test.each([json('"args": []'), yaml('args: []'), toml('args = []')])(
    'a byte order mark before %s',
    async (name, content) => {
      expect((await read(name!, `\ufeff${content}`)).config?.apps).toMatchObject([{ name: 'x' }]);
    },
  );

  test('another encoding is told', async () => {
    const folder = temporaryFolder();
    const utf16 = Buffer.from('\ufeff{ "program": "x" }', 'utf16le');
    writeFileSync(join(folder, 'doublefork.config.json'), utf16);
    await expect(readConfig(folder)).rejects.toThrow(
      /config\.json:1: the file is not UTF-8; save it as that$/,
    );
  });
});
