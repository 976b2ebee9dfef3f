// What a package says that was installed without its install script.

import { cpSync, mkdirSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { temporaryFolder } from '../support/folder.js';
import { node, root } from '../support/node.js';
import { launch } from '../support/program.js';

test.each([
  ['a program', ['--input-type=module', '-e', 'import "doublefork"']],
  ['a program of system calls', ['--input-type=module', '-e', 'import "doublefork/posix"']],
  ['the command', ['node_modules/doublefork/dist/cli/doublefork.cjs', 'list']],
])('without the addon %s says that it is not compiled, and what to do', async (_, words) => {
  const cwd = temporaryFolder();
  const modules = join(cwd, 'node_modules');
  mkdirSync(join(modules, 'doublefork'), { recursive: true });
  for (const part of ['package.json', 'dist']) {
    cpSync(join(root, part), join(modules, 'doublefork', part), { recursive: true });
  }
  for (const name of ['bindings', 'file-uri-to-path']) {
    symlinkSync(join(root, 'node_modules', name), join(modules, name));
  }
  const { code, stderr } = await launch(node, words, { cwd, env: { NO_COLOR: '1' } }).ended;
  expect(code).toBe(1);
  expect(stderr).toMatch(/: doublefork is not compiled: .* npm rebuild doublefork$/m);
  expect(stderr).not.toContain('→');
});
