// Relative paths begin where the program was started, also after daemonize() has moved to `/`.

import { existsSync, mkdirSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { temporaryFolder } from '../../support/folder.js';
import { root } from '../../support/node.js';
import { run } from '../../support/program.js';

const USE = `
  const { supervise, listen, Pidfile } = doublefork;
  const worker = supervise({ control: 'control.sock', log: 'decisions.log', restart: 'never' });
  const { address } = listen('http', { path: 'http.sock' });
  const pidfile = Pidfile.acquire('own.pid');
  pidfile.write();
  report([
    fs.existsSync(process.env.BASE + '/control.sock'),
    fs.existsSync(process.env.BASE + '/decisions.log'),
    address.path,
    pidfile.path,
    Pidfile.inspect('own.pid').state,
  ]);
`;

test.each([
  ['daemonize()', `daemonize({ keepFds: [3], detach: 'always' });`, ''],
  ['daemonize() in the foreground', `daemonize({ detach: 'never' });`, ''],
  ['daemonize({ cwd })', `daemonize({ keepFds: [3], cwd: '/tmp', detach: 'always' });`, ''],
  [
    'a chdir() of its own',
    `daemonize({ keepFds: [3] }); process.chdir(process.env.BASE);`,
    'below',
  ],
])('after %s', async (_, before, below) => {
  const cwd = temporaryFolder();
  const BASE = join(cwd, below);
  mkdirSync(BASE, { recursive: true });
  // An inline program finds its packages from where it is started.
  mkdirSync(join(cwd, 'node_modules'));
  symlinkSync(root, join(cwd, 'node_modules/doublefork'));
  const { code, reports, stderr } = await run(`${before} ${USE}`, {
    env: { BASE },
    cwd,
  });
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  expect(reports).toEqual([[true, true, join(BASE, 'http.sock'), join(BASE, 'own.pid'), 'held']]);
  expect(existsSync('/control.sock')).toBe(false);
});
