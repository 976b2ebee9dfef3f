// FORK.md, "What must be proved": everything that Node does works in the child of fork().

import { expect, test } from 'vitest';
import { run } from '../../support/program.js';

test('fork() returns 0 in the child and its process id in the parent', async () => {
  const { code, reports } = await run(`
    const pid = fork();
    if (pid === 0) report({ child: process.pid });
    else {
      report({ parent: pid });
      report({ status: posix.waitpid(pid).exitCode });
    }
  `);
  expect(code).toBe(0);
  const { child } = reports.find((value) => 'child' in value);
  expect(reports).toContainEqual({ parent: child });
  expect(reports).toContainEqual({ status: 0 });
});

/** Runs `before`, forks, and in the child reports what `after` evaluates to. */
async function inChild(after: string, before = '', flags: readonly string[] = []) {
  const { reports, stderr } = await run(
    `
    ${before}
    if (fork() > 0) posix._exit(0);
    report(await (async () => { ${after} })());
  `,
    { flags },
  );
  // Where the inspector is open Node says so, and nothing else may be there.
  expect(stderr.replace(/^(Debugger listening|For help).*\n/gm, '')).toBe('');
  return reports;
}

const DEEP = `
  const compute = (n) => { let sum = 0; for (let i = 0; i < n; i++) sum = (sum + i * 7) % 1000003; return sum; };
`;

test.each([
  [
    'JIT',
    `${DEEP} const first = compute(10); for (let i = 0; i < 2000; i++) compute(5000); return [first, compute(10)];`,
    [315, 315],
  ],
  [
    'minor and major GC',
    `
    let kept = [];
    for (let i = 0; i < 300; i++) { kept.push(new Array(1000).fill({ i })); if (kept.length > 50) kept = kept.slice(25); }
    globalThis.gc({ type: 'minor' }); globalThis.gc();
    return kept.at(-1)[0].i;`,
    299,
  ],
  [
    'concurrent GC',
    `
    const kept = new Map();
    for (let round = 0; round < 60; round++) {
      for (let i = 0; i < 3000; i++) kept.set(i, { round, text: 'x'.repeat(i % 50) });
      await new Promise((resolve) => setImmediate(resolve));
    }
    return kept.size;`,
    3000,
  ],
  [
    'timers',
    `
    // Ascending: a process that is held up between two of them starts the later one later. And an
    // immediate may come before or after a timer that is due.
    const order = []; const immediate = new Promise((resolve) => setImmediate(resolve, 'immediate'));
    setTimeout(() => order.push('5'), 5); setTimeout(() => order.push('20'), 20);
    await new Promise((resolve) => setTimeout(resolve, 40));
    return [await immediate, ...order];`,
    ['immediate', '5', '20'],
  ],
  [
    'fs promises',
    `return (await fs.promises.readFile('package.json', 'utf8')).includes('doublefork');`,
    true,
  ],
  [
    'dns on the threadpool',
    `
    const dns = await import('node:dns/promises');
    return ['127.0.0.1', '::1'].includes((await dns.lookup('localhost')).address);`,
    true,
  ],
  [
    'crypto on the threadpool',
    `
    const { pbkdf2, randomBytes, generateKeyPair } = await import('node:crypto');
    const { promisify } = await import('node:util');
    const key = await promisify(pbkdf2)('a', 'b', 1000, 16, 'sha256');
    await promisify(generateKeyPair)('ec', { namedCurve: 'P-256' });
    return [key.toString('hex'), (await promisify(randomBytes)(8)).length];`,
    ['a9ad83929ae9ec538bc0f44e36ada66f', 8],
  ],
  [
    'zlib on the threadpool',
    `
    const zlib = await import('node:zlib'); const { promisify } = await import('node:util');
    return String(await promisify(zlib.gunzip)(await promisify(zlib.gzip)('again')));`,
    'again',
  ],
  [
    'child_process',
    `
    const { execFile, spawnSync } = await import('node:child_process'); const { promisify } = await import('node:util');
    const { stdout } = await promisify(execFile)(process.execPath, ['-p', 'process.ppid']);
    return [Number(stdout) === process.pid, spawnSync('echo', ['sync']).stdout.toString()];`,
    [true, 'sync\n'],
  ],
  [
    'a new Worker',
    `
    const { Worker } = await import('node:worker_threads'); const { once } = await import('node:events');
    const worker = new Worker('require("worker_threads").parentPort.postMessage(6 * 7)', { eval: true, execArgv: [] });
    const [[answer], [code]] = await Promise.all([once(worker, 'message'), once(worker, 'exit')]);
    return [answer, code];`,
    [42, 0],
  ],
  [
    'WebAssembly',
    `
    const bytes = new Uint8Array([0,97,115,109,1,0,0,0,1,7,1,96,2,127,127,1,127,3,2,1,0,7,7,1,3,97,100,100,0,0,10,9,1,7,0,32,0,32,1,106,11]);
    const { instance } = await WebAssembly.instantiate(bytes);
    return instance.exports.add(40, 2);`,
    42,
  ],
  [
    'an http server and its client',
    `
    const http = await import('node:http'); const { once } = await import('node:events');
    const server = http.createServer((request, response) => response.end(request.url)).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const text = await (await fetch('http://127.0.0.1:' + server.address().port + '/page')).text();
    server.close(); server.closeAllConnections();
    return text;`,
    '/page',
  ],
  [
    'heap snapshot',
    `
    const v8 = await import('node:v8'); let length = 0;
    for await (const chunk of v8.getHeapSnapshot()) length += chunk.length;
    return length > 100000;`,
    true,
  ],
  [
    'signals',
    `
    const { once } = await import('node:events');
    const timer = setInterval(() => {}, 1000); const come = once(process, 'SIGTERM');
    process.kill(process.pid, 'SIGTERM');
    const [name] = await come; clearInterval(timer); return name;`,
    'SIGTERM',
  ],
])('in the child: %s', async (_name, after, expected) => {
  expect(await inChild(after, '', ['--expose-gc'])).toEqual([expected]);
});

test('in the child: a Worker made before exchanges messages and can be ended', async () => {
  const reports = await inChild(
    `
    worker.postMessage(20);
    const [answer] = await once(worker, 'message');
    return [answer, await worker.terminate()];
  `,
    `
    import { Worker } from 'node:worker_threads'; import { once } from 'node:events';
    const worker = new Worker('const { parentPort } = require("worker_threads"); parentPort.on("message", (n) => parentPort.postMessage(n + 1));', { eval: true, execArgv: [] });
    await once(worker, 'online');
  `,
  );
  expect(reports).toEqual([[21, 1]]);
});

test('in the child: a server, a connection, a timer and a SIGTERM handler made before go on', async () => {
  const reports = await inChild(
    `
    const text = await (await fetch('http://127.0.0.1:' + server.address().port)).text();
    await ticked;
    const stopped = once(process, 'SIGTERM');
    process.kill(process.pid, 'SIGTERM');
    await stopped;
    server.close(); server.closeAllConnections();
    return [text, handled];
  `,
    `
    import http from 'node:http'; import { once } from 'node:events';
    const server = http.createServer((request, response) => response.end('served')).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const ticked = new Promise((resolve) => setTimeout(resolve, 30));
    let handled = 0; process.on('SIGTERM', () => handled++);
  `,
  );
  expect(reports).toEqual([['served', 1]]);
});

test('in the child: the inspector opened by --inspect answers', async () => {
  const reports = await inChild(
    `
    const inspector = await import('node:inspector');
    const list = await (await fetch('http://' + new URL(inspector.url()).host + '/json/list')).json();
    const session = new inspector.Session(); session.connect();
    const result = await new Promise((resolve) => session.post('Runtime.evaluate', { expression: '6*7' }, (_, value) => resolve(value.result.value)));
    inspector.close();
    return [list.length, result];
  `,
    '',
    ['--inspect=127.0.0.1:0'],
  );
  expect(reports).toEqual([[1, 42]]);
});

test.each([
  ['process.exit', 'process.exit(7)', 7],
  ['falling off the end', '', 0],
  ['process.exitCode', 'process.exitCode = 9', 9],
  ['an uncaught exception', 'throw new Error("broken")', 1],
  ['an unhandled rejection', 'Promise.reject(new Error("broken"))', 1],
])(
  'in the child: %s ends with its code, after the exit handlers',
  async (_name, code, expected) => {
    const { reports } = await run(`
    process.on('exit', (code) => report({ exit: code }));
    const pid = fork();
    if (pid > 0) { report({ status: posix.waitpid(pid) }); posix._exit(0); }
    ${code}
  `);
    expect(reports[0]).toEqual({ exit: expected });
    expect(reports[1].status).toMatchObject({ exitCode: expected, signal: null });
  },
);

test.each([
  ['at top level', 'go();'],
  ['in a timer', 'setTimeout(go, 1);'],
  ['in a promise job', 'Promise.resolve().then(go);'],
  ['in process.nextTick', 'process.nextTick(go);'],
  ['in an fs callback', `fs.readFile('package.json', go);`],
  ['in a setImmediate', 'setImmediate(go);'],
  [
    'in an http request handler',
    `
    import http from 'node:http';
    const server = http.createServer(async (request, response) => { await go(); response.end(); server.close(); }).listen(0, '127.0.0.1', () => {
      http.get({ port: server.address().port, host: '127.0.0.1', agent: false }, (response) => response.resume());
    });`,
  ],
])('fork() %s, and both processes go on', async (_name, place) => {
  const { reports, code } = await run(`
    async function go() {
      const pid = fork();
      const text = await fs.promises.readFile('package.json', 'utf8');
      await new Promise((resolve) => setTimeout(resolve, 5));
      report([pid === 0 ? 'child' : 'parent', text.length > 0]);
      if (pid > 0 && posix.waitpid(pid).exitCode !== 0) process.exitCode = 1;
      if (pid === 0) posix._exit(0);
    }
    ${place}
  `);
  expect(code).toBe(0);
  expect(reports).toHaveLength(2);
  expect(reports).toContainEqual(['child', true]);
  expect(reports).toContainEqual(['parent', true]);
});
