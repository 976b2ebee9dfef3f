// The directory in which the app runs, and deploys into it.

import { execFileSync } from 'node:child_process';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const root = join(import.meta.dirname, '../..');

/** Where what the app and the peers need is installed, once. */
export const packages = join(root, '.bench');

export function installPackages() {
  if (existsSync(join(packages, 'node_modules/doublefork'))) return;
  mkdirSync(packages, { recursive: true });
  writeFileSync(join(packages, 'package.json'), '{"private":true}');
  execFileSync('npm', ['install', '--no-audit', '--no-fund', 'pm2@6', 'ws@8'], {
    cwd: packages,
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  symlinkSync(root, join(packages, 'node_modules/doublefork'));
}

/** A version that is broken, and how. */
export const FAULTS = {
  'syntax error': 'this is no program',
  'module missing': "import 'nowhere';",
  throws: "throw new Error('broken');",
  'throws after a second':
    "await new Promise((next) => setTimeout(next, 1000)); throw new Error('broken');",
  'exits with code 0': 'process.exit(0);',
  'killed by a signal': "process.kill(process.pid, 'SIGKILL');",
};

const APP = ['app.mjs', 'app-doublefork.mjs', 'app-plain.mjs', 'cluster.mjs'];

export class Directory {
  path = mkdtempSync(join(tmpdir(), 'bench-handover-'));

  constructor() {
    for (const file of APP) copyFileSync(join(import.meta.dirname, file), join(this.path, file));
    symlinkSync(join(packages, 'node_modules'), join(this.path, 'node_modules'));
    const options =
      '-x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj /CN=localhost';
    execFileSync(
      'openssl',
      ['req', ...options.split(' '), '-keyout', 'key.pem', '-out', 'cert.pem'],
      { cwd: this.path, stdio: 'ignore' },
    );
  }

  /** @param {string} version @param {string=} fault text of a program that fails */
  deploy(version, fault = '') {
    const next = join(this.path, 'next');
    writeFileSync(next, `${fault}\nexport const version = '${version}';\n`);
    renameSync(next, join(this.path, 'release.mjs'));
  }

  remove() {
    rmSync(this.path, { recursive: true, force: true });
  }
}
