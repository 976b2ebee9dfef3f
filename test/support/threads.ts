// Threads of an addon's own, which know nothing of Node: test/fixtures/threads/threads.c.

import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { root } from './node.js';

let addon: string | undefined;

/** The path of the addon, compiled once per test file. */
function compiled(): string {
  if (addon !== undefined) return addon;
  const directory = mkdtempSync(join(tmpdir(), 'doublefork-threads-'));
  process.on('exit', () => rmSync(directory, { recursive: true, force: true }));
  const file = join(directory, 'threads.node');
  const source = join(root, 'test/fixtures/threads/threads.c');
  const flags = ['-Wall', '-O1', '-shared', '-fPIC'];
  execFileSync('cc', [...flags, '-o', file, source, '-lpthread']);
  addon = file;
  return file;
}

/** In front of an inline program: the addon as `threads`. */
export function withThreads(source: string): string {
  return `
    import { createRequire } from 'node:module';
    const threads = createRequire('/')(${JSON.stringify(compiled())});
    ${source}`;
}
