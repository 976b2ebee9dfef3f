// FORK.md, "What must be proved": large and small images, many descriptors, unusual flags, and the
// refusals.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { temporaryFolder } from '../../support/folder.js';
import { node } from '../../support/node.js';
import { execute, inline, run } from '../../support/program.js';

/** What a child must be able to do whatever the flags: compute, collect, wait, use the threadpool. */
const CHECK = `
  import { pbkdf2 } from 'node:crypto'; import { promisify } from 'node:util';
  const work = async () => {
    let kept = []; for (let i = 0; i < 20000; i++) { kept.push({ i }); if (kept.length > 5000) kept = []; }
    await new Promise((resolve) => setTimeout(resolve, 5));
    const text = await fs.promises.readFile('package.json', 'utf8');
    const key = await promisify(pbkdf2)('a', 'b', 100, 8, 'sha1');
    return text.length > 0 && key.length === 8;
  };
  await work();
`;

test.each([
  [[], {}],
  [['--single-threaded'], {}],
  [['--jitless'], {}],
  [['--max-old-space-size=64'], {}],
  [['--v8-pool-size=0'], {}],
  [['--expose-gc', '--stress-compaction'], {}],
  [['--no-opt'], {}],
  [[], { UV_THREADPOOL_SIZE: '64' }],
  [[], { UV_USE_IO_URING: '1' }],
  [[], { UV_USE_IO_URING: '0' }],
] as [string[], Record<string, string>][])(
  'fork() and daemonize() with %j %j',
  async (flags, env) => {
    const { reports, stderr } = await run(
      `${CHECK}
    const pid = fork();
    report({ ok: await work(), who: pid === 0 ? 'child' : 'parent' });
    if (pid === 0) process.exit(0);
    posix.waitpid(pid);
    daemonize({ keepFds: [3], cwd: 'keep' });
    report({ ok: await work(), who: 'daemon' });
  `,
      { flags, env },
    );
    // What V8 says of --jitless.
    expect(stderr.replace(/^Warning: disabling flag .*\n/gm, '')).toBe('');
    expect(reports).toHaveLength(3);
    for (const who of ['child', 'parent', 'daemon'])
      expect(reports).toContainEqual({ ok: true, who });
  },
);

test('--cpu-prof writes the profile of the daemon', async () => {
  const folder = temporaryFolder();
  const { reports, stderr } = await run(
    `
    daemonize({ keepFds: [3], cwd: 'keep' });
    let n = 0; for (let i = 0; i < 1e6; i++) n += i % 3;
    report(process.pid);
  `,
    { flags: ['--cpu-prof', `--cpu-prof-dir=${folder}`, '--cpu-prof-name=profile.json'] },
  );
  expect(stderr).toBe('');
  expect(reports).toEqual([expect.any(Number)]);
  const profile = JSON.parse(readFileSync(join(folder, 'profile.json'), 'utf8'));
  expect(profile.nodes.length).toBeGreaterThan(1);
});

test.each([40, 500, 2000])('a heap of %i MB', async (size) => {
  const { reports, stderr } = await run(
    `${CHECK}
    // Half in V8's heap, half beside it.
    const heap = Array.from({ length: ${size} / 2 }, (_, i) => new Array(131072).fill(i));
    const beside = Array.from({ length: ${size} / 2 }, (_, i) => Buffer.alloc(1 << 20, i & 255));
    const whole = () => heap.every((part, i) => part[0] === i && part.at(-1) === i) && beside.every((part, i) => part[77] === (i & 255));
    // A collection of 2 GB that is under way may take its time on a busy machine.
    const pid = fork({ timeoutMs: 60_000 });
    report({ whole: whole(), ok: await work(), who: pid === 0 ? 'child' : 'parent' });
    if (pid === 0) process.exit(0);
    posix.waitpid(pid);
    daemonize({ keepFds: [3], cwd: 'keep', quiesceTimeout: 60_000 });
    globalThis.gc();
    report({ whole: whole(), ok: await work(), who: 'daemon' });
  `,
    { flags: ['--expose-gc', '--max-old-space-size=4096'] },
  );
  expect(stderr).toBe('');
  expect(reports).toHaveLength(3);
  for (const who of ['child', 'parent', 'daemon']) {
    expect(reports).toContainEqual({ whole: true, ok: true, who });
  }
});

test('500 open descriptors of its own stay open in the daemon', async () => {
  const { reports } = await run(`
    const files = Array.from({ length: 500 }, () => fs.openSync('package.json'));
    daemonize({ keepFds: [3], cwd: 'keep' });
    const byte = Buffer.alloc(1);
    report(files.every((fd) => fs.readSync(fd, byte, 0, 1, 0) === 1 && byte[0] === 123));
  `);
  expect(reports).toEqual([true]);
});

test('hundreds of forks under load: none hangs', async () => {
  const { reports, code } = await run(
    `
    import { Worker } from 'node:worker_threads'; import { once } from 'node:events'; import { pbkdf2 } from 'node:crypto';
    const worker = new Worker('const { parentPort } = require("worker_threads"); setInterval(() => { const junk = []; for (let i = 0; i < 3000; i++) junk.push({ i }); parentPort.postMessage(junk.length); }, 1);', { eval: true, execArgv: [] });
    await once(worker, 'message');
    let hashes = 0; const hash = () => pbkdf2('a', 'b', 300, 16, 'sha1', () => { hashes++; hash(); }); hash(); hash(); hash();
    let failed = 0;
    for (let i = 0; i < 200; i++) {
      const pid = fork();
      if (pid === 0) {
        await once(worker, 'message');
        const before = hashes; while (hashes === before) await new Promise((resolve) => setImmediate(resolve));
        await worker.terminate();
        process.exit(0);
      }
      new Function('x', 'let s = 0; for (let i = 0; i < 30000; i++) s += i % ' + (i + 2) + '; return s')(1);
      await new Promise((resolve) => setImmediate(resolve));
      if (posix.waitpid(pid).exitCode !== 0) failed++;
    }
    report({ failed });
    process.exit(0);
  `,
    { deadline: 120_000 },
  );
  expect(code).toBe(0);
  expect(reports).toEqual([{ failed: 0 }]);
});

test('EBUSY when a thread will not quiesce names it, and the process goes on unharmed', async () => {
  const { reports } = await run(`
    import { Worker } from 'node:worker_threads'; import { once } from 'node:events';
    const stop = new Int32Array(new SharedArrayBuffer(4));
    const worker = new Worker('const { workerData, parentPort } = require("worker_threads"); parentPort.postMessage("up"); while (Atomics.load(workerData, 0) === 0); parentPort.postMessage("stopped"); ', { eval: true, execArgv: [], workerData: stop });
    await once(worker, 'message');
    try { fork({ timeoutMs: 100 }); } catch (error) { report({ code: error.code, errno: error.errno, syscall: error.syscall, message: error.message }); }
    const text = await fs.promises.readFile('package.json', 'utf8');
    // What a Worker says last may come together with its end.
    const exited = once(worker, 'exit');
    Atomics.store(stop, 0, 1);
    const [said] = await once(worker, 'message');
    await exited;
    const pid = fork();
    if (pid === 0) { await new Promise((resolve) => setTimeout(resolve, 1)); process.exit(5); }
    report([text.length > 0, said, posix.waitpid(pid).exitCode]);
  `);
  expect(reports[0]).toMatchObject({ code: 'EBUSY', errno: -16, syscall: 'fork' });
  // On a busy machine some thread has not had its turn to answer in 100 ms.
  expect(reports[0].message).toMatch(
    /did not (come to rest in a system call|take the signal that stops it): thread \d+ ".+".*; .* allow more time$/,
  );
  expect(reports[1]).toEqual([true, 'stopped', 5]);
});

test('from a Worker fork() throws ERR_NOT_MAIN_THREAD', async () => {
  const { reports } = await run(`
    import { Worker } from 'node:worker_threads'; import { once } from 'node:events';
    const worker = new Worker('import("doublefork").then(({ fork }) => fork()).catch((error) => require("worker_threads").parentPort.postMessage(error.code))', { eval: true, execArgv: [] });
    report((await once(worker, 'message'))[0]);
  `);
  expect(reports).toEqual(['ERR_NOT_MAIN_THREAD']);
});

/** What V8 hides from fork, and what of that can be seen later. Mappings come and go meanwhile. */
const HIDDEN = `
  const mappings = () => fs.readFileSync('/proc/self/smaps', 'utf8').split(/^(?=[0-9a-f]+-[0-9a-f]+ )/m).map((text) => {
    const [begin, end] = text.split(/[- ]/, 2).map((address) => parseInt(address, 16));
    return { begin, end, hidden: /^VmFlags:.* dc/m.test(text) };
  });
  const hidden = () => mappings().filter((mapping) => mapping.hidden);
  const shown = (before) => mappings().filter((now) => !now.hidden && before.some(({ begin, end }) => begin < now.end && now.begin < end));
`;

test('forkSupport() says yes here, and has no side effects', async () => {
  const { reports } = await run(`${HIDDEN}
    const before = hidden();
    report(doublefork.forkSupport());
    report([before.length > 0, shown(before)]);
  `);
  expect(reports).toEqual([{ supported: true }, [true, []]]);
});

test("V8's heap hides from fork again afterwards, in both processes", async () => {
  const { reports } = await run(`${HIDDEN}
    // A mapping of a single page stays visible (native/fork/heap.cc).
    const before = hidden().filter(({ begin, end }) => end - begin > 65536);
    const pid = fork();
    report([before.length > 0, shown(before)]);
    if (pid > 0) posix.waitpid(pid);
  `);
  expect(reports).toEqual([
    [true, []],
    [true, []],
  ]);
});

test.skipIf(process.getuid?.() !== 0)(
  '/proc of another pid namespace: ENOTSUP, not a thread that cannot be found',
  async () => {
    const { reports } = await execute('unshare', [
      '--pid',
      '--fork',
      node,
      ...inline(`
          try { fork(); } catch (error) { report([error.code, error.message]); }
          report(doublefork.forkSupport().supported);
        `),
    ]);
    expect(reports).toEqual([
      ['ENOTSUP', expect.stringContaining('/proc belongs to another pid namespace')],
      false,
    ]);
  },
);
