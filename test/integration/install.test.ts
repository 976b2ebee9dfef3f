// The package as it is published, installed where there is nothing but Node. test/install/ has other package
// managers.

import { cpSync, existsSync, mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { platform } from '../../src/posix/parts.js';
import { temporaryFolder } from '../support/folder.js';
import { followReadme } from '../support/newcomer.js';
import { node, root } from '../support/node.js';
import { barePath, layOut, pack } from '../support/package.js';
import { execute, launch } from '../support/program.js';

/** All that the package depends on. */
const DEPENDENCIES = ['bindings', 'file-uri-to-path', 'smol-toml', 'yaml'];

const COMMAND = 'node_modules/doublefork/dist/cli/doublefork.cjs';

/** A project with the package, as far as it was laid out. */
function project(binaries: 'built' | 'none'): string {
  const cwd = temporaryFolder();
  const modules = join(cwd, 'node_modules');
  layOut(join(modules, 'doublefork'), { binaries });
  for (const name of DEPENDENCIES) {
    symlinkSync(join(root, 'node_modules', name), join(modules, name));
  }
  return cwd;
}

test('npm installs it without compiler, make, Python and scripts, and README’s program runs', async () => {
  const folder = temporaryFolder();
  const path = barePath();
  for (const tool of ['cc', 'gcc', 'g++', 'clang', 'make', 'python3', 'python']) {
    expect(existsSync(join(path, tool))).toBe(false);
  }
  // From here, not from the registry: no test needs the network.
  const overrides = Object.fromEntries(
    DEPENDENCIES.map((name) => [name, `file:${join(root, 'node_modules', name)}`]),
  );
  writeFileSync(join(folder, 'package.json'), JSON.stringify({ private: true, overrides }));
  const npm = (await execute('sh', ['-c', 'readlink -f "$(command -v npm)"'])).stdout.trim();
  await followReadme({
    project: folder,
    install: [node, npm, 'install', '--offline', '--no-audit', '--no-fund', pack()],
    env: { PATH: path },
  });
  expect(existsSync(join(folder, 'node_modules/doublefork/binding.gyp'))).toBe(false);
});

describe('a binary of prebuilds/', () => {
  test('is loaded, and has what the one of build/ has', async () => {
    const cwd = project('built');
    const source = `import { forkSupport } from 'doublefork';
      console.log(JSON.stringify(forkSupport()));`;
    const prebuilt = await execute(node, ['--input-type=module', '-e', source], { cwd });
    const own = await execute(node, ['--input-type=module', '-e', source]);
    expect(prebuilt).toMatchObject({ code: 0, stderr: '', stdout: own.stdout });
  });

  test('gives way to one that was compiled in place', async () => {
    const cwd = project('built');
    const build = join(cwd, 'node_modules/doublefork/build/Release');
    mkdirSync(build, { recursive: true });
    cpSync(join(root, 'build/Release/doublefork.node'), join(build, 'doublefork.node'));
    const { stdout } = await execute(node, [COMMAND, 'doctor'], { cwd });
    expect(stdout).toContain(`${build}/doublefork.node`);
  });
});

describe('without the addon', () => {
  const FILE = `prebuilds/${platform()}/doublefork.node`;

  test.each([
    ['a program', ['--input-type=module', '-e', 'import "doublefork"']],
    ['a program of system calls', ['--input-type=module', '-e', 'import "doublefork/posix"']],
    ['the command', [COMMAND, 'list']],
  ])('%s says what is missing', async (_, words) => {
    const cwd = project('none');
    const { code, stderr } = await launch(node, words, { cwd, env: { NO_COLOR: '1' } }).ended;
    expect(code).toBe(1);
    expect(stderr).toMatch(new RegExp(`: doublefork's ${FILE} is not found from /`));
    expect(stderr).not.toContain('→');
  });

  test.each([
    ['npm', 'node_modules/.package-lock.json', 'npm ci'],
    ['pnpm', 'node_modules/.modules.yaml', 'pnpm install --force'],
    ['yarn', 'node_modules/.yarn-state.yml', 'rm -r node_modules && yarn install'],
    ['yarn with Plug’n’Play', '.pnp.cjs', 'rm -r .yarn/unplugged && yarn install'],
    ['bun', 'bun.lock', 'rm -r node_modules && bun install'],
  ])('doctor says what to do after %s', async (_, trace, remedy) => {
    const cwd = project('none');
    writeFileSync(join(cwd, trace), '');
    const { code, stdout } = await execute(node, [COMMAND, 'doctor', '--json'], { cwd });
    expect(code).toBe(1);
    const [addon, ...others] = JSON.parse(stdout);
    expect(addon).toEqual({
      what: 'addon',
      verdict: 'failed',
      detail: `doublefork's ${FILE} is missing: not all of the package is installed. To install it again: ${remedy}`,
    });
    expect(others.map(({ what }: { what: string }) => what)).toEqual(['kernel', 'libc', 'node']);
  });

  test('for a platform that the package has none for, it says how to compile it', async () => {
    const cwd = project('built');
    rmSync(join(cwd, 'node_modules/doublefork/prebuilds', platform()), { recursive: true });
    const { stdout } = await execute(node, [COMMAND, 'doctor'], { cwd });
    expect(stdout).toContain(
      `doublefork comes without a binary for ${platform()}. To compile it: `,
    );
  });
});

test('an addon that does not load says why, and what to do', async () => {
  const cwd = project('none');
  const file = join(cwd, 'node_modules/doublefork/prebuilds', platform(), 'doublefork.node');
  mkdirSync(join(file, '..'), { recursive: true });
  writeFileSync(file, 'no library');
  const { code, stdout } = await execute(node, [COMMAND, 'doctor'], { cwd });
  expect(code).toBe(1);
  expect(stdout).toMatch(
    /addon +\S+doublefork\.node cannot be loaded: .*(invalid ELF|too short).* npm run build:addon/,
  );
});
