// Programs by name, in folders of any kind.

import { chmodSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { findExecutable } from '../../src/posix/path.js';
import { temporaryFolder } from '../support/folder.js';

const file = (folder: string, name: string, mode: number) => {
  writeFileSync(join(folder, name), '#!/bin/sh\n');
  chmodSync(join(folder, name), mode);
};

test('the first that may be executed; folders that cannot be searched have none', () => {
  const root = temporaryFolder();
  const folders = ['a', 'b', 'c'].map((name) => join(root, name));
  for (const folder of folders) mkdirSync(folder);
  const [a, b, c] = folders as [string, string, string];
  mkdirSync(join(a, 'tool'));
  file(b, 'tool', 0o644);
  file(c, 'tool', 0o755);
  file(b, 'data', 0o644);
  symlinkSync('loop', join(root, 'loop'));
  // No folder, a file for one, and a path that even root cannot follow.
  const path = [join(root, 'none'), '/dev/null', join(root, 'loop'), a, b, c].join(':');
  const find = (program: string, cwd = root) => findExecutable(program, cwd, path);
  expect(find('tool')).toBe(join(c, 'tool'));
  expect(find('./c/tool')).toBe(join(c, 'tool'));
  expect(findExecutable('tool', c, '')).toBe(join(c, 'tool'));
  expect(() => find('data')).toThrow(expect.objectContaining({ code: 'EACCES', path: 'data' }));
  expect(() => find('nothing')).toThrow(expect.objectContaining({ code: 'ENOENT' }));
  expect(() => find('b/tool')).toThrow(expect.objectContaining({ code: 'EACCES' }));
});
