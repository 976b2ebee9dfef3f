import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { node } from '../support/node.js';
import { killQuietly, stat, until } from '../support/processes.js';
import { type Ended, execute } from '../support/program.js';

let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'doublefork-example-'));
});

afterEach(() => rmSync(folder, { recursive: true }));

function example(program: 'start' | 'stop', port = 0): Promise<Ended> {
  return execute(node, [`examples/http-server/${program}.mjs`], {
    env: { XDG_RUNTIME_DIR: folder, PORT: String(port) },
  });
}

const stateFile = () => join(folder, `doublefork-http-server-${process.getuid!()}`, 'state.json');

/** How soon a zombie goes is the business of whoever adopts orphans here. */
const isGone = (pid: number) => (stat(pid)?.state ?? 'Z') === 'Z';

const pidIn = (text: string) => Number(/pid (\d+)/.exec(text)?.[1]);

test('npm start starts a daemon and shows it, npm stop ends it', async () => {
  const started = await example('start');
  expect(started).toMatchObject({ code: 0, stderr: '' });
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
  expect(started.stdout).toContain(`Page 1 from the daemon with pid ${pid}.`);

  const { url } = JSON.parse(readFileSync(stateFile(), 'utf8'));
  expect(await (await fetch(url)).text()).toBe(`Page 2 from the daemon with pid ${pid}.\n`);

  const second = await example('start');
  expect(second.code).toBe(1);
  expect(second.stderr).toContain(`running already: pid ${pid}`);

  expect(await example('stop')).toMatchObject({
    code: 0,
    stdout: `The server (pid ${pid}) has ended.\n`,
  });
  expect(isGone(pid)).toBe(true);
  expect(await example('stop')).toMatchObject({ code: 0, stdout: 'The server is not running.\n' });
});

test('a port in use is told to the user, and nothing stays behind', async () => {
  const other = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => other.once('listening', resolve));
  const { port } = other.address() as AddressInfo;
  const { code, stderr } = await example('start', port);
  other.close();
  expect(code).toBe(1);
  expect(stderr).toContain(`Port ${port} is in use`);
});

test('after a crash the server is not running, and can be started', async () => {
  const first = pidIn((await example('start')).stdout);
  killQuietly(first);
  await until(() => isGone(first), 'end of the server');
  expect((await example('stop')).stdout).toBe('The server is not running.\n');
  const second = pidIn((await example('start')).stdout);
  expect(second).not.toBe(first);
  expect((await example('stop')).stdout).toContain(`pid ${second}`);
});

test('npm stop leaves a process alone that has the pid of a server of the past', async () => {
  expect((await example('stop')).code).toBe(0);
  const { pid } = process;
  writeFileSync(stateFile(), JSON.stringify({ pid, startTime: 1, url: 'http://127.0.0.1:1/' }));
  expect((await example('stop')).stdout).toBe('The server is not running.\n');
});
