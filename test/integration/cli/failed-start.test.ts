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

describe('status shows the last lines', () => {
  test('of a start that failed, and of a program that was killed', async () => {
    const place = new Place();
    writeFileSync(
      join(place.folder, 'app.mjs'),
      'console.log("about to"); throw new Error("boom")',
    );
    await place.startIt(SHORT, ['./app.mjs']);
    expect((await place.status('it')).lastLines).toContain('Error: boom');
    expect((await place.run('status', 'it')).stdout).toContain('  Error: boom\n');

    const forEver = 'setInterval(() => {}, 1e6);';
    const source = `for (let i = 0; i < 20; i++) console.log('line ' + i); ${forEver}`;
    writeFileSync(join(place.folder, 'app.mjs'), source);
    expect((await place.startIt('', ['./app.mjs'])).code).toBe(0);
    const { pid, lastLines } = await place.status('it');
    expect(lastLines).toEqual([]);
    process.kill(pid, 'SIGSEGV');
    await until(() => (stat(pid)?.state ?? 'Z') === 'Z', 'it has ended');
    const { stdout } = await place.run('status', 'it');
    const last = Array.from({ length: 10 }, (_, i) => `  line ${i + 10}\n`).join('');
    expect(stdout).toContain(last);
    expect(stdout).not.toContain('line 9\n');
    // One that was asked to stop has not failed.
    await place.startIt('', ['./app.mjs']);
    await place.run('stop', 'it');
    expect((await place.status('it')).lastLines).toEqual([]);
  });

  test('of a worker, from before its end; what others have written is not its own', async () => {
    const place = new Place();
    const source = `
      import { existsSync } from 'node:fs';
      setInterval(() => {
        if (!existsSync('go')) return;
        console.log('before the end');
        process.kill(process.pid, 'SIGKILL');
      }, 10);`;
    writeFileSync(join(place.folder, 'app.mjs'), source);
    const options = '--restart on-failure --backoff 600:600 --log-format json';
    expect((await place.startIt(options, ['./app.mjs'])).code).toBe(0);
    expect((await place.status('it')).crashes).toEqual([]);
    writeFileSync(join(place.folder, 'go'), '');
    await until(
      async () => (await place.status('it')).supervisor.workers[0].state === 'waiting',
      'the worker has ended',
    );
    const { crashes } = await place.status('it');
    expect(crashes).toMatchObject([{ id: 1 }]);
    expect(JSON.parse(crashes[0].lines.at(-1))).toMatchObject({ worker: 1, msg: 'before the end' });
    expect((await place.run('status', 'it')).stdout).toContain('worker 1 wrote before it ended:\n');
    await place.run('stop', 'it');
  });
});
