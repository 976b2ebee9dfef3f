// A Node that runs on musl, on a machine with glibc. Nobody publishes one in the npm registry; but pnpm 11's single
// executable is one, and it is an ordinary Node again once its mark is taken back. It needs the C++ library of a
// system with musl. The one here is made for glibc, of which it lacks little.

import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  readFileSync,
  realpathSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { root } from '../support/node.js';
import { fetched } from './registry.js';

const MARK = 'NODE_SEA_FUSE_fce680ab2cc467b6e072b8b5df1996b2:1';

/** Debian's musl-tools compile for musl. */
export const hasMusl = existsSync('/usr/bin/musl-gcc');

/** The path of that Node, and the variables that it needs. */
export function muslNode(folder: string): { node: string; env: Record<string, string> } {
  const binary = readFileSync(
    fetched('@pnpm/linuxstatic-x64', '11.21.0', '@pnpm/linuxstatic-x64/pnpm'),
  );
  binary.write('0', binary.indexOf(MARK) + MARK.length - 1);
  const node = join(folder, 'node-musl');
  writeFileSync(node, binary);
  chmodSync(node, 0o755);

  for (const name of ['libstdc++.so.6', 'libgcc_s.so.1']) {
    const words = [`-print-file-name=${name}`];
    const where = execFileSync('g++', words, { encoding: 'utf8' }).trim();
    symlinkSync(realpathSync(where), join(folder, name));
  }
  const sources = join(root, 'test/install/musl');
  const shared = ['-shared', '-fPIC', '-O2', '-w'];
  const [libc, string] = [join(folder, 'libc-more.so'), join(folder, 'string-more.so')];
  execFileSync('musl-gcc', [...shared, '-o', libc, join(sources, 'libc.c')]);
  execFileSync('g++', [...shared, '-nostdlib', '-o', string, join(sources, 'string.cc')]);
  // It is named as needed, and musl has all that is in it.
  const linker = join(folder, 'ld-linux-x86-64.so.2');
  execFileSync('musl-gcc', [...shared, '-o', linker, '-x', 'c', '/dev/null']);
  return { node, env: { LD_LIBRARY_PATH: folder, LD_PRELOAD: `${libc} ${string}` } };
}
