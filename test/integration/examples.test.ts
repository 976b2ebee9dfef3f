// examples/deploy and examples/watch-restart, run as their users would.

import { cpSync, mkdirSync, readFileSync, readlinkSync, symlinkSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { temporaryFolder } from '../support/folder.js';
import { node, root } from '../support/node.js';
import { killQuietly, stat, until } from '../support/processes.js';
import { launch } from '../support/program.js';

/** A directory in which the examples and the package can be used. */
function workplace(): string {
  const directory = temporaryFolder();
  cpSync(join(root, 'examples'), join(directory, 'examples'), { recursive: true });
  symlinkSync(join(root, 'dist'), join(directory, 'dist'));
  mkdirSync(join(directory, 'node_modules'));
  symlinkSync(root, join(directory, 'node_modules/doublefork'));
  return directory;
}

const isGone = (pid: number) => (stat(pid)?.state ?? 'Z') === 'Z';

test('deploy: good, broken and worse versions, and back', async () => {
  const directory = workplace();
  const run = async (file: string, ...args: string[]) => {
    const env = {
      DEPLOY_ROOT: join(directory, 'srv'),
      RUNTIME_DIRECTORY: join(directory, 'run'),
      LOGS_DIRECTORY: join(directory, 'log'),
      NO_COLOR: '1',
    };
    const running = launch(node, [join(directory, file), ...args], { cwd: directory, env });
    await running.exited;
    return await running.ended;
  };
  mkdirSync(join(directory, 'srv'));
  const socket = join(directory, 'http');
  const version = (name: string, text?: string) => {
    const path = join(directory, name);
    mkdirSync(path);
    const server = `
      import { createServer } from 'node:http';
      import { daemonize, drain, listen, supervise } from 'doublefork';
      daemonize({ ready: 'manual' });
      const http = listen('http', { path: ${JSON.stringify(socket)} });
      const worker = supervise();
      const server = createServer((request, response) => response.end('${name}'));
      server.listen({ fd: http.fd }, worker.ready);
      worker.signal.addEventListener('abort', () => drain(server));
    `;
    writeFileSync(join(path, 'server.mjs'), text ?? server);
    return path;
  };
  const page = () =>
    new Promise<string>((resolve, reject) => {
      let text = '';
      const client = connect(socket, () => client.end('GET / HTTP/1.0\r\n\r\n'));
      client.setEncoding('utf8').on('data', (data: string) => {
        text += data;
      });
      client.on('error', reject).on('close', () => resolve(text.split('\r\n\r\n')[1] ?? ''));
    });
  const deploy = (...args: string[]) => run('examples/deploy/deploy.mjs', ...args);
  const current = () => readlinkSync(join(directory, 'srv/current'));

  expect(await deploy(version('one'))).toMatchObject({ code: 0 });
  expect(await page()).toBe('one');
  const one = current();
  expect(await deploy(version('two'))).toMatchObject({ code: 0 });
  expect(await page()).toBe('two');
  const two = current();
  const broken = await deploy(version('broken', 'this is no program'));
  expect(broken).toMatchObject({ code: 1, stderr: expect.stringContaining('SyntaxError') });
  const worse = await deploy(version('worse', "throw new Error('no database');"));
  expect(worse).toMatchObject({ code: 1, stderr: expect.stringContaining('no database') });
  expect([await page(), current()]).toEqual(['two', two]);
  expect(await deploy('rollback')).toMatchObject({ code: 0 });
  expect([await page(), current()]).toEqual(['one', one]);
  expect((await run('dist/cli/doublefork.cjs', 'stop', 'deployed')).code).toBe(0);
});

test('watch-restart: a changed file is a new version below the same pid, and nobody is refused', async () => {
  const directory = workplace();
  const file = join(directory, 'examples/watch-restart/server.mjs');
  const started = launch(node, [file], { cwd: directory, env: { PORT: '0' } });
  expect((await started.exited).code).toBe(0);
  const pid = Number(readFileSync(join(directory, 'watch-restart.pid'), 'utf8'));
  onTestFinished(() => killQuietly(pid));
  const log = () => readFileSync(join(directory, 'watch-restart.log'), 'utf8');
  const port = Number(/port (\d+)/.exec(log())![1]);
  const greet = () =>
    new Promise<string>((resolve, reject) => {
      const socket = connect(port, '127.0.0.1');
      socket.setEncoding('utf8').once('data', (data: string) => {
        socket.destroy();
        resolve(data);
      });
      socket.on('error', reject).on('end', () => reject(new Error('it said nothing')));
    });
  expect(await greet()).toMatch(/^Hello from pid/);
  const guest = connect(port, '127.0.0.1');
  let heard = '';
  guest.setEncoding('utf8').on('data', (data: string) => {
    heard += data;
  });
  const left = new Promise((resolve) => guest.on('end', resolve));
  writeFileSync(file, readFileSync(file, 'utf8').replace("'Hello'", "'Good morning'"));
  await until(async () => (await greet()).startsWith('Good morning'), 'the new version');
  await left;
  guest.destroy();
  expect(heard).toContain('connect again');
  expect(Number(readFileSync(join(directory, 'watch-restart.pid'), 'utf8'))).toBe(pid);
  process.kill(pid, 'SIGTERM');
  await until(() => isGone(pid), 'its end');
  await started.ended;
});
