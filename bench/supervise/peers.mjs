// Who starts the app, and watches over it: supervise() and its peers.

import { execFileSync, spawn } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const here = import.meta.dirname;
const programs = join(here, 'programs');
/** Installed once, beside this package's own modules. */
const cache = join(here, '../../node_modules/.cache/bench-supervise');
const directory = mkdtempSync(join(tmpdir(), 'bench-supervise-'));
const node = process.execPath;

const environment = { ...process.env, MODULES: join(cache, 'node_modules') };

function shell(command, env = environment) {
  return String(execFileSync('/bin/sh', ['-c', command], { cwd: programs, env, stdio: 'pipe' }));
}

function has(program) {
  try {
    return shell(`command -v ${program}`).trim() !== '';
  } catch {
    return false;
  }
}

export function install() {
  if (existsSync(join(cache, 'node_modules/pm2'))) return;
  mkdirSync(cache, { recursive: true });
  writeFileSync(join(cache, 'package.json'), '{"private":true}');
  execFileSync('npm', ['install', '--no-audit', '--no-fund', 'express@4', 'pm2@7'], {
    cwd: cache,
    stdio: 'inherit',
  });
}

export function clear() {
  rmSync(directory, { recursive: true, force: true });
}

let port = 21_000 + Math.floor(Math.random() * 10_000);
let services = 0;

function run([command, ...args], env) {
  const PORT = ++port;
  const child = spawn(command, args, {
    cwd: programs,
    env: { ...environment, ...env, PORT },
    stdio: 'ignore',
  });
  const gone = new Promise((resolve) => child.once('exit', resolve));
  const stop = async () => {
    child.kill('SIGTERM');
    await gone;
  };
  return { port: PORT, pid: child.pid, stop };
}

/** A directory with an executable `run`, as daemontools and its heirs want it. */
function service() {
  const path = join(directory, `service${++services}`);
  mkdirSync(path);
  const script = `#!/bin/sh\ncd ${programs}\nexec ${node} plain.cjs\n`;
  writeFileSync(join(path, 'run'), script, { mode: 0o755 });
  return path;
}

/** How each starts the app, with the given environment. @returns its port, its pid, how to stop it */
export const peers = {
  doublefork: (env) => run([node, 'doublefork.mjs'], env),
  'node:cluster': (env) => run([node, 'cluster.cjs'], env),
  plain: (env) => run([node, 'plain.cjs'], env),
  runit: (env) => {
    const path = service();
    const started = run(['runsv', path], env);
    return { ...started, stop: () => void shell(`sv force-shutdown ${path} || true`) };
  },
  s6: (env) => {
    const path = service();
    return run(['s6-supervise', path], env);
  },
  pm2: (env) => {
    const PORT = ++port;
    const home = { ...environment, ...env, PM2_HOME: join(directory, 'pm2'), PORT };
    const pm2 = `${node} ${join(cache, 'node_modules/pm2/bin/pm2')}`;
    shell(`${pm2} start plain.cjs -i 1`, home);
    return { port: PORT, pid: undefined, stop: () => void shell(`${pm2} kill`, home) };
  },
};

const needs = { runit: 'runsv', s6: 's6-supervise' };

/** Whether it is there to be compared with. */
export function isAvailable(name) {
  return needs[name] === undefined || has(needs[name]);
}
