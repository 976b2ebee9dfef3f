// examples/http-server, which `npm start` runs: in a copy, as it is changed.

import { cpSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { temporaryFolder } from '../support/folder.js';
import { node, root } from '../support/node.js';
import { stat } from '../support/processes.js';
import { launch } from '../support/program.js';

/** How soon a zombie goes is the business of whoever adopts orphans here. */
const isGone = (pid: number) => (stat(pid)?.state ?? 'Z') === 'Z';

class Example {
  readonly folder = temporaryFolder();
  readonly server = join(this.folder, 'examples/http-server/server.mjs');

  constructor() {
    cpSync(join(root, 'examples'), join(this.folder, 'examples'), { recursive: true });
    symlinkSync(join(root, 'dist'), join(this.folder, 'dist'));
    mkdirSync(join(this.folder, 'node_modules'));
    symlinkSync(root, join(this.folder, 'node_modules/doublefork'));
  }

  async run(file: string, args: readonly string[] = [], port = 0) {
    const running = launch(node, [join(this.folder, file), ...args], {
      cwd: this.folder,
      env: {
        RUNTIME_DIRECTORY: join(this.folder, 'run'),
        LOGS_DIRECTORY: join(this.folder, 'log'),
        NO_COLOR: '1',
        PORT: String(port),
      },
    });
    // Its pipes may be the daemon's, which lives on.
    await running.exited;
    return await running.ended;
  }

  start = (port?: number) => this.run('examples/http-server/start.mjs', [], port);
  stop = () => this.run('examples/http-server/stop.mjs');
  command = (...args: string[]) => this.run('dist/cli/doublefork.cjs', args);

  change(greeting: string) {
    const text = readFileSync(this.server, 'utf8');
    writeFileSync(this.server, text.replace("'Hello'", greeting));
  }
}

const pidIn = (text: string) => Number(/pid (\d+)/.exec(text)?.[1]);
const urlIn = (text: string) => /^GET (\S+)$/m.exec(text)![1]!;
/** Over a connection of its own: one that is kept alive would be waited for by a reload. */
const page = async (url: string) =>
  await (await fetch(url, { headers: { connection: 'close' } })).text();

test('npm start starts a daemon and shows it, npm stop ends it', async () => {
  const example = new Example();
  const started = await example.start();
  expect(started).toMatchObject({ code: 0 });
  const pid = pidIn(started.stdout);
  const daemon = stat(pid)!;
  expect(daemon.session).not.toBe(stat(process.pid)!.session);
  expect(daemon.session).not.toBe(pid);
  expect(daemon.pgrp).not.toBe(pid);
  expect(daemon.ttyNr).toBe(0);
  expect(started.stdout).toMatch(/^ {2}terminal +none/m);
  expect(started.stdout).toMatch(new RegExp(`^ {2}session +${daemon.session} `, 'm'));
  expect(started.stdout).toMatch(/^ {2}umask +0027/m);
  expect(started.stdout).toMatch(/^ {2}cwd +\/ /m);
  expect(started.stdout).toMatch(/^ {2}Hello from worker [12] with pid \d+\.$/m);

  const second = await example.start();
  expect(second.code).toBe(1);
  expect(second.stderr).toContain(`already running (pid ${pid})`);

  const stopped = await example.stop();
  expect(stopped.code).toBe(0);
  expect(stopped.stdout).toContain(`http-server has stopped (pid ${pid}, SIGTERM)`);
  expect(isGone(pid)).toBe(true);
  expect((await example.stop()).code).toBe(0);
});

test('doublefork reload has it serve its new code below the same pid, rollback the code before', async () => {
  const example = new Example();
  const { stdout } = await example.start();
  const [pid, url] = [pidIn(stdout), urlIn(stdout)];
  example.change("'Good morning'");
  expect(await page(url)).toMatch(/^Hello /);
  const reloaded = await example.command('reload');
  expect(reloaded.code).toBe(0);
  expect(reloaded.stdout).toContain(
    `http-server has been reloaded: 2 of 2 workers ready (pid ${pid})`,
  );
  expect(await page(url)).toMatch(/^Good morning /);

  writeFileSync(example.server, 'this is no program');
  const broken = await example.command('reload');
  expect(broken.code).toBe(1);
  expect(broken.stderr).toContain('SyntaxError');
  expect(await page(url)).toMatch(/^Good morning /);

  expect((await example.command('rollback')).code).toBe(0);
  expect(await page(url)).toMatch(/^Hello /);
  expect((await example.stop()).stdout).toContain(`(pid ${pid}, SIGTERM)`);
});

test('a port in use is told to the user, and nothing stays behind', async () => {
  const example = new Example();
  const other = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => other.once('listening', resolve));
  const { port } = other.address() as AddressInfo;
  const { code, stderr } = await example.start(port);
  other.close();
  expect(code).toBe(1);
  expect(stderr).toContain(`Port ${port} is in use`);
});
