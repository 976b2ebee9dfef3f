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
      settle: 0,
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
  await expect(readConfig(folder, 'missing.yaml')).rejects.toThrow('ENOENT');
});

describe('a message points at the line', () => {
  test.each([
    [
      'doublefork.config.json',
      JSON_TWO.replace('"022"', '"999"'),
      3,
      'apps.web.umask must be an octal number',
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
      'apps.worker.stop The schedule',
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
    ['doublefork.config.json', '[]', 1, 'it must be an app'],
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
  await expect(readConfig(folder)).rejects.toThrow('EISDIR');
});
