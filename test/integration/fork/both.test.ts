// FORK.md, "What must be proved": parent and child live beside each other, and share nothing that
// they should not.

import { expect, test } from 'vitest';
import { run } from '../../support/program.js';

test('threadpool work in flight calls back in both processes', async () => {
  const { reports } = await run(`
    import { pbkdf2 } from 'node:crypto';
    let done = 0; let pid;
    for (let i = 0; i < 6; i++) pbkdf2('a', 'b', 20000, 32, 'sha256', (error) => { if (!error) done++; if (done === 6) report([pid === 0 ? 'child' : 'parent', done]); });
    fs.readFile('package.json', () => report([pid === 0 ? 'child' : 'parent', 'file']));
    pid = fork();
  `);
  expect(reports).toHaveLength(4);
  for (const who of ['parent', 'child']) {
    expect(reports).toContainEqual([who, 6]);
    expect(reports).toContainEqual([who, 'file']);
  }
});

test('work finished but not yet delivered is delivered in both processes', async () => {
  const { reports } = await run(`
    import { pbkdf2 } from 'node:crypto'; import { Worker } from 'node:worker_threads'; import { once } from 'node:events';
    const shared = new Int32Array(new SharedArrayBuffer(4));
    const worker = new Worker('const { workerData, parentPort } = require("worker_threads"); parentPort.postMessage("sent"); Atomics.store(workerData, 0, 1); Atomics.notify(workerData, 0); setInterval(() => {}, 1000);', { eval: true, execArgv: [], workerData: shared });
    let pid; const got = [];
    const tell = (what) => { got.push(what); if (got.length === 2) { report([pid === 0 ? 'child' : 'parent', got.sort()]); process.exit(); } };
    worker.on('message', tell);
    await once(worker, 'online');
    pbkdf2('a', 'b', 1, 8, 'sha1', () => tell('hashed'));
    Atomics.wait(shared, 0, 0);
    const end = Date.now() + 30; while (Date.now() < end);
    pid = fork();
  `);
  expect(reports).toHaveLength(2);
  for (const who of ['parent', 'child']) expect(reports).toContainEqual([who, ['hashed', 'sent']]);
});

const BUSY_BOTH = `
  import { Worker } from 'node:worker_threads'; import { once } from 'node:events';
  import { pbkdf2 } from 'node:crypto'; import http from 'node:http'; import zlib from 'node:zlib';
  const worker = new Worker(\`
    const { parentPort } = require('worker_threads'); const net = require('net');
    parentPort.on('message', (n) => parentPort.postMessage(n + 1));
    const server = net.createServer((socket) => socket.end('x')).listen(0, '127.0.0.1', function connect() {
      net.connect(server.address().port, '127.0.0.1').resume().on('error', () => {}).on('close', () => setTimeout(connect, 3));
    });\`, { eval: true, execArgv: [] });
  await once(worker, 'online');
  let echoes = 0; let cross = 0;
  worker.on('message', (n) => { if (n !== ++echoes) cross++; worker.postMessage(n); });
  worker.postMessage(0);
  const count = { pool: 0, zip: 0, tick: 0, http: 0, file: 0 };
  const hash = () => pbkdf2('a', 'b', 300, 16, 'sha1', () => { count.pool++; setTimeout(hash, 1); }); hash(); hash();
  const zip = () => zlib.gzip('text'.repeat(1000), () => { count.zip++; setTimeout(zip, 1); }); zip();
  const tick = setInterval(() => count.tick++, 2);
  const file = () => fs.readFile('package.json', () => { count.file++; setTimeout(file, 1); }); file();
  const serve = () => new Promise((resolve) => {
    const server = http.createServer((request, response) => response.end(process.pid + '')).listen(0, '127.0.0.1', () => resolve(server.address().port));
  });
`;

test('parent and child both do everything for seconds: no lost wake-up, no cross-talk', async () => {
  const { reports, stderr, code } = await run(
    `
    ${BUSY_BOTH}
    await new Promise((resolve) => setTimeout(resolve, 100));
    const pid = fork();
    const port = await serve();
    const fetchLoop = async () => { for (;;) { const text = await (await fetch('http://127.0.0.1:' + port)).text(); if (text !== process.pid + '') cross++; count.http++; await new Promise((r) => setTimeout(r, 2)); } };
    fetchLoop();
    for (let round = 0; round < 6; round++) {
      const before = { echoes, ...count };
      await new Promise((resolve) => setTimeout(resolve, 500));
      // What is lost is lost for good. On a busy machine the first fetch alone may take so long.
      const stalls = () => { const now = { echoes, ...count }; return Object.keys(now).some((name) => now[name] === before[name]); };
      while (stalls()) await new Promise((resolve) => setTimeout(resolve, 5));
    }
    report({ who: pid === 0 ? 'child' : 'parent', cross });
    if (pid > 0) process.exit(posix.waitpid(pid).exitCode);
    process.exit(0);
  `,
  );
  expect(stderr).toBe('');
  expect(code).toBe(0);
  expect(reports).toHaveLength(2);
  for (const who of ['parent', 'child']) {
    expect(reports).toContainEqual({ who, cross: 0 });
  }
});

// The listener is shared by the family, so a connection may be taken by one that ends: hence 'error'.
test('a family of eight processes in three generations, each with its own live Worker', async () => {
  const { reports, code } = await run(`
    import { Worker } from 'node:worker_threads'; import { once } from 'node:events';
    const worker = new Worker(\`
      const net = require('net'); const { parentPort } = require('worker_threads'); let n = 0;
      const server = net.createServer((socket) => socket.end('x')).listen(0, '127.0.0.1', function connect() {
        net.connect(server.address().port, '127.0.0.1').resume().on('error', () => {}).on('close', () => { parentPort.postMessage(++n); setTimeout(connect, 2); });
      });\`, { eval: true, execArgv: [] });
    let seen = 0; worker.on('message', () => seen++);
    const progress = async (n) => { for (const end = seen + n; seen < end; ) await once(worker, 'message'); };
    await progress(5);
    let generation = 0; let children = [];
    for (let i = 0; i < 3; i++) {
      const pid = fork();
      if (pid === 0) { generation++; children = []; } else children.push(pid);
      await progress(3);
    }
    report(generation);
    process.exit(children.filter((pid) => posix.waitpid(pid).exitCode !== 0).length);
  `);
  expect(code).toBe(0);
  expect(reports.sort()).toEqual([0, 1, 1, 1, 2, 2, 2, 3]);
});

test('no randomness is shared by parent and siblings', async () => {
  const { reports } = await run(`
    import { randomUUID, randomInt, randomBytes, getRandomValues } from 'node:crypto';
    // Stocks that are filled, and partly used, in the parent.
    randomUUID(); randomInt(100); Math.random(); randomBytes(4);
    const draw = () => ({
      uuid: Array.from({ length: 300 }, () => randomUUID()),
      integers: Array.from({ length: 2000 }, () => randomInt(2 ** 47)),
      random: Array.from({ length: 5000 }, () => Math.random()),
      bytes: Array.from({ length: 50 }, () => randomBytes(8).toString('hex')),
    });
    // One after the other: a long report is not written in one piece.
    for (let i = 0; i < 3; i++) {
      const pid = fork();
      if (pid === 0) { report(draw()); posix._exit(0); }
      posix.waitpid(pid);
    }
    report(draw());
  `);
  expect(reports).toHaveLength(4);
  for (const kind of ['uuid', 'integers', 'random', 'bytes']) {
    const all = reports.flatMap((drawn) => drawn[kind]);
    expect(new Set(all).size, kind).toBe(all.length);
  }
  const random: number[] = reports.flatMap((drawn) => drawn.random);
  expect(Math.min(...random)).toBeGreaterThanOrEqual(0);
  expect(Math.max(...random)).toBeLessThan(1);
});

test('a Worker that counts to a file: after a double fork no number is written twice', async () => {
  const { reports } = await run(`
    import { Worker } from 'node:worker_threads'; import { tmpdir } from 'node:os'; import { once } from 'node:events';
    const path = fs.mkdtempSync(tmpdir() + '/doublefork-count-') + '/count';
    const worker = new Worker(\`
      const { workerData, parentPort } = require('worker_threads'); const fs = require('fs'); let n = 0;
      setInterval(() => { fs.appendFileSync(workerData, ++n + '\\\\n'); parentPort.postMessage(n); }, 1);\`, { eval: true, execArgv: [], workerData: path });
    await once(worker, 'message');
    daemonize({ keepFds: [3], cwd: 'keep' });
    for (let i = 0; i < 100; i++) await once(worker, 'message');
    await worker.terminate();
    const lines = fs.readFileSync(path, 'utf8').trim().split('\\n').map(Number);
    fs.rmSync(path, { recursive: true }); fs.rmdirSync(path.replace('/count', ''));
    report({ lines: lines.length, ordered: lines.every((n, i) => n === i + 1) });
  `);
  expect(reports).toEqual([{ lines: expect.any(Number), ordered: true }]);
  expect(reports[0].lines).toBeGreaterThan(100);
});

test('with the parent frozen its threads do not run on, and it can fork again', async () => {
  const { reports } = await run(`
    import { Worker } from 'node:worker_threads'; import { once } from 'node:events';
    const beats = new Int32Array(new SharedArrayBuffer(4));
    const worker = new Worker('setInterval(() => require("worker_threads").workerData[0]++, 1)', { eval: true, execArgv: [], workerData: beats });
    await once(worker, 'online');
    const children = [];
    for (let i = 0; i < 3; i++) {
      const pid = fork({ parent: 'frozen' });
      if (pid > 0) { children.push(pid); continue; }
      const before = beats[0];
      const alive = await new Promise((resolve) => { const timer = setInterval(() => { if (beats[0] > before + 5) { clearInterval(timer); resolve(true); } }, 2); });
      report({ child: i, alive });
      process.exit(0);
    }
    // Shared memory of Workers is private to each process, so this counts the parent's own.
    const before = beats[0];
    const codes = children.map((pid) => posix.waitpid(pid).exitCode);
    report({ parent: true, codes, still: beats[0] === before });
    posix._exit(0);
  `);
  expect(reports).toHaveLength(4);
  for (const child of [0, 1, 2]) expect(reports).toContainEqual({ child, alive: true });
  expect(reports).toContainEqual({ parent: true, codes: [0, 0, 0], still: true });
});

test("a Worker's child processes are seen to exit, in both processes", async () => {
  const { reports } = await run(`
    import { Worker } from 'node:worker_threads'; import { once } from 'node:events';
    const worker = new Worker(\`
      const { parentPort } = require('worker_threads'); const { spawn } = require('child_process');
      parentPort.on('message', async (n) => {
        for (let i = 0; i < n; i++) await new Promise((resolve) => spawn('true').once('exit', resolve));
        parentPort.postMessage(n);
      });\`, { eval: true, execArgv: [] });
    const ask = async (n) => { worker.postMessage(n); return (await once(worker, 'message'))[0]; };
    await ask(1);
    const pid = fork();
    report(await ask(60));
    if (pid > 0) posix.waitpid(pid);
    process.exit(0);
  `);
  expect(reports).toEqual([60, 60]);
});

test("a generator of the program's own in place of Math.random stays", async () => {
  const { reports } = await run(`
    Math.random = () => 0.5;
    const pid = fork();
    report(Math.random());
    if (pid > 0) posix.waitpid(pid);
  `);
  expect(reports).toEqual([0.5, 0.5]);
});
