// The package as it is published, and a machine that has nothing but Node.

import { execFileSync } from 'node:child_process';
import { chmodSync, cpSync, mkdirSync, readFileSync, symlinkSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { platform } from '../../src/posix/parts.js';
import { temporaryFolder } from './folder.js';
import { node, root } from './node.js';

const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));

export interface PackageOptions {
  /**
   * Which binaries are in it: 'built': the one that was compiled here, for this platform; 'released': all of
   * prebuilds/. Default: 'built'.
   */
  binaries?: 'built' | 'released' | 'none';
}

/** Lays the files of the package out in a folder. */
export function layOut(folder: string, { binaries = 'built' }: PackageOptions = {}): void {
  mkdirSync(folder, { recursive: true });
  for (const name of ['package.json', ...manifest.files]) {
    if (name === 'prebuilds' && binaries !== 'released') continue;
    cpSync(join(root, name), join(folder, name), { recursive: true });
  }
  if (binaries !== 'built') return;
  for (const name of ['doublefork.node', 'doublefork-logger']) {
    const prebuilt = join(folder, 'prebuilds', platform(), name);
    cpSync(join(root, 'build/Release', name), prebuilt);
    chmodSync(prebuilt, 0o755);
  }
}

/** The path of a tarball as `npm publish` makes it. */
export function pack(options?: PackageOptions): string {
  const folder = temporaryFolder();
  layOut(join(folder, 'package'), options);
  // Not the scripts: they compile, and this is of what is compiled.
  const words = ['pack', '--ignore-scripts', '--silent', '--pack-destination', folder];
  const name = execFileSync('npm', words, { cwd: join(folder, 'package'), encoding: 'utf8' });
  return join(folder, name.trim());
}

/** A PATH with `node` and a shell, and neither compiler, make nor Python. */
export function barePath(): string {
  const folder = temporaryFolder();
  symlinkSync(node, join(folder, 'node'));
  for (const name of ['sh', 'env']) {
    const where = execFileSync('/bin/sh', ['-c', `command -v ${name}`], { encoding: 'utf8' });
    symlinkSync(where.trim(), join(folder, name));
  }
  return folder;
}

/** README's first program, on another port. */
export function firstProgram(port: number): string {
  const readme = readFileSync(join(root, 'README.md'), 'utf8');
  const [, program] = /^```js\n\/\/ hello\.mjs\n(.*?)^```$/ms.exec(readme)!;
  if (!program!.includes('8080')) throw new Error('README’s first program has another port now');
  return program!.replace('8080', String(port));
}

/** A port that nobody listens on. */
export function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const server = createServer().listen(0, () => {
      const { port } = server.address() as { port: number };
      server.close(() => resolve(port));
    });
  });
}
