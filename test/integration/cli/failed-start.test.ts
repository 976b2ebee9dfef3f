// C33 start: a program that dies, cannot load or cannot bind is a failed start, with its own words.

import { once } from 'node:events';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { stat, until } from '../../support/processes.js';
import { Place } from './command.js';

/** Far less than Node takes to come to the program's first line. */
const SHORT = '--settle 0.01';

describe('a Node program that', () => {
  test.each([
    ['throws in its first line', 'app.cjs', 'throw new Error("boom")', 'Error: boom'],
    ['lacks a module', 'app.mjs', 'import "not-installed"', "Cannot find package 'not-installed'"],
    ['has a syntax error', 'app.mjs', 'const = 1', 'SyntaxError: '],
    ['rejects', 'app.mjs', 'await Promise.reject(new Error("no"))', 'Error: no'],
    ['has nothing to do', 'app.mjs', 'console.log("done")', 'done'],
  ])('%s', async (_, file, source, words) => {
    const place = new Place();
    writeFileSync(join(place.folder, file), source);
    for (const options of [SHORT, '']) {
      const { code, stdout, stderr } = await place.startIt(options, [`./${file}`]);
      expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
      expect(stderr).toMatch(/^doublefork: the program \(pid \d+\) exited with code \d at once/);
      expect(stderr).toContain(words);
      expect((await place.status('it')).status).toBe('dead');
    }
  });

  test('finds its port taken, also behind a shell', async () => {
    const place = new Place();
    const server = createServer().listen(0, '127.0.0.1');
    onTestFinished(() => void server.close());
    await once(server, 'listening');
    const { port } = server.address() as { port: number };
    writeFileSync(
      join(place.folder, 'app.mjs'),
      `import { createServer } from 'node:http'; createServer().listen(${port}, '127.0.0.1');`,
    );
    const shell = ['sh', '-c', `"${process.execPath}" app.mjs; exit $?`];
    for (const program of [['./app.mjs'], shell]) {
      const { code, stderr } = await place.startIt(SHORT, program);
      expect(code).toBe(1);
      expect(stderr).toContain('Error: listen EADDRINUSE');
    }
  });
});

test('one that waits for its turn longer than --settle, and then dies', async () => {
  const place = new Place();
  // Stopped before its first line, as by a machine that has none for it.
  const starting = place.launch([
    ...['start', '--name', 'it', ...SHORT.split(' ')],
    ...['--', 'sh', '-c', 'kill -STOP $$; exit 5'],
  ]);
  let pid = 0;
  await until(() => {
    const pidfile = join(place.state, 'it.pid');
    pid = existsSync(pidfile) ? Number(readFileSync(pidfile, 'latin1')) : 0;
    return pid > 0 && stat(pid)?.state === 'T';
  }, 'it has stopped');
  // Several times as long as it must live.
  await new Promise((resolve) => setTimeout(resolve, 300));
  process.kill(pid, 'SIGCONT');
  const { code, stderr } = await starting.ended;
  expect(code).toBe(5);
  expect(stderr).toContain('exited with code 5 at once');
});

test('what it has started is ended with it', async () => {
  const place = new Place();
  const { code, stderr } = await place.startIt('', ['sh', '-c', 'sleep 100 & echo $!; exit 3']);
  expect(code).toBe(3);
  const child = Number(/log:\n(\d+)\n/.exec(stderr)?.[1]);
  await until(() => (stat(child)?.state ?? 'Z') === 'Z', 'ended');
});

describe('one that lives has started', () => {
  test.each([
    ['sleeps', 'exec sleep 100'],
    ['is busy all the time', 'while :; do :; done'],
    ['starts others again and again', 'while :; do sleep 0.05; done'],
  ])('and %s', async (_, script) => {
    const place = new Place();
    const { code, stderr } = await place.startIt('', ['sh', '-c', script]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    await place.run('stop', 'it');
  });
});
