// 500 double forks under JIT, GC, threadpool and Worker load: 500 daemons finish, none hangs or dies.

import { expect, test } from 'vitest';
import { run } from '../../support/program.js';

const DAEMONS = Number(process.env.DOUBLEFORK_LOAD ?? 500);

test(`${DAEMONS} double forks under JIT, GC, threadpool and Worker load`, async () => {
  // One loaded process is forked; each child, loaded like it, becomes a daemon.
  const { reports, code, stderr } = await run(
    `
    import { Worker } from 'node:worker_threads'; import { once } from 'node:events'; import { pbkdf2 } from 'node:crypto'; import zlib from 'node:zlib';
    const worker = new Worker(\`
      const { parentPort } = require('worker_threads');
      parentPort.on('message', (n) => parentPort.postMessage(n + 1));
      setInterval(() => { const junk = []; for (let i = 0; i < 2000; i++) junk.push({ i, text: 'x' + i }); }, 1);\`, { eval: true, execArgv: [] });
    let echoes = 0; worker.on('message', (n) => { echoes++; worker.postMessage(n); }); worker.postMessage(0);
    let pool = 0; const hash = () => pbkdf2('a', 'b', 500, 32, 'sha1', () => { pool++; hash(); }); hash(); hash(); hash();
    const zip = () => zlib.gzip(Buffer.alloc(30000, 'abc'), () => { pool++; zip(); }); zip();
    let junk = []; let round = 0;
    setInterval(() => {
      for (let i = 0; i < 2000; i++) junk.push({ i, list: [i] });
      if (junk.length > 30000) junk = [];
      new Function('let s = 0; for (let i = 0; i < 20000; i++) s += i % ' + (++round % 97 + 2) + '; return s')();
    }, 2);
    const reach = async (n) => { const e = echoes + n; const p = pool + n; while (echoes < e || pool < p) await new Promise((resolve) => setTimeout(resolve, 1)); };
    await reach(10);
    for (let i = 0; i < ${DAEMONS}; i++) {
      const pid = fork();
      if (pid === 0) {
        await new Promise((resolve) => setTimeout(resolve, i % 7));
        daemonize({ keepFds: [3], cwd: 'keep', ready: 'manual' }).ready();
        await reach(3);
        await worker.terminate();
        report(i);
        process.exit(0);
      }
      const { exitCode, signal } = posix.waitpid(pid);
      if (exitCode !== 0) { report({ launcher: i, exitCode, signal }); process.exit(1); }
    }
    process.exit(0);
  `,
    { deadline: 170_000 },
  );
  expect(stderr).toBe('');
  expect(code).toBe(0);
  expect(new Set(reports).size).toBe(DAEMONS);
  expect(reports).toHaveLength(DAEMONS);
});
