// What a program may be in the midst of. Each load works on until it is stopped, and counts what it has
// got done: `count()` that stands still means that something was lost.

import { spawnSync } from 'node:child_process';
import { createHash, pbkdf2 } from 'node:crypto';
import { lookup } from 'node:dns';
import { promises as files } from 'node:fs';
import { createServer, request } from 'node:http';
import { Session } from 'node:inspector';
import { promisify } from 'node:util';
import { Worker } from 'node:worker_threads';
import zlib from 'node:zlib';

/**
 * @typedef Load
 * @property {() => number} count how much is done
 */

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** Does something again and again, in turns of the event loop. @returns {Load} */
function repeat(step) {
  let done = 0;
  (async () => {
    for (;;) {
      await step(done);
      done++;
    }
  })();
  return { count: () => done };
}

function echoing(source, options = {}) {
  const worker = new Worker(
    `const { parentPort } = require('node:worker_threads');
     parentPort.on('message', (n) => parentPort.postMessage(n + 1));
     ${source}`,
    { eval: true, execArgv: [], ...options },
  );
  let echoes = 0;
  worker.on('message', (n) => {
    echoes++;
    setTimeout(() => worker.postMessage(n), 1);
  });
  worker.postMessage(0);
  return { count: () => echoes };
}

/** A module of functions that each compute in a loop: enough for the compilers to be busy with. */
export function wasmModule(functions, variant) {
  const leb = (value) => {
    const bytes = [];
    do {
      const low = value & 0x7f;
      value >>>= 7;
      bytes.push(value === 0 ? low : low | 0x80);
    } while (value !== 0);
    return bytes;
  };
  const vector = (items) => [...leb(items.length), ...items.flat()];
  const section = (id, content) => [id, ...leb(content.length), ...content];
  // (func (param i32) (result i32) (local i32)
  //   (loop (local.set 1 (i32.add (i32.mul (local.get 1) 31) (local.get 0)))
  //         (br_if 0 (local.tee 0 (i32.sub (local.get 0) 1)))) (local.get 1))
  const body = (constant) => {
    const code = [
      ...[1, 1, 0x7f, 0x03, 0x40, 0x20, 1, 0x41, ...leb(constant % 64), 0x6c, 0x20, 0, 0x6a],
      ...[0x21, 1, 0x20, 0, 0x41, 1, 0x6b, 0x22, 0, 0x0d, 0, 0x0b, 0x20, 1, 0x0b],
    ];
    return [...leb(code.length), ...code];
  };
  const all = Array.from({ length: functions }, (_, index) => index);
  return Uint8Array.from([
    ...[0, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
    ...section(1, vector([[0x60, 1, 0x7f, 1, 0x7f]])),
    ...section(3, vector(all.map(() => [0]))),
    ...section(7, vector([[1, 0x66, 0, 0]])),
    ...section(10, vector(all.map((index) => body(index + variant + 3)))),
  ]);
}

/** @type {Record<string, (directory: string) => Load | Promise<Load>>} */
export const loads = {
  worker: () =>
    echoing(
      `setInterval(() => { const junk = []; for (let i = 0; i < 2000; i++) junk.push({ i, text: 'x' + i }); }, 1);`,
    ),
  workerFiles: () =>
    echoing(
      `const { readFile } = require('node:fs'); const { pbkdf2 } = require('node:crypto');
       const read = () => readFile(process.execPath + '.none', () => setImmediate(read)); read();
       const hash = () => pbkdf2('a', 'b', 300, 32, 'sha1', hash); hash();`,
    ),
  workerAtomics: () =>
    echoing(
      `const words = new Int32Array(new SharedArrayBuffer(8));
       new (require('node:worker_threads').Worker)(
         'const { workerData: words } = require("node:worker_threads"); for (;;) Atomics.wait(words, 0, 0, 5);',
         { eval: true, workerData: words });`,
    ),
  workerShortLived: () =>
    repeat(
      () =>
        new Promise((resolve) => {
          new Worker('1', { eval: true, execArgv: [] }).on('exit', resolve);
        }),
    ),
  wasm: () => {
    return repeat(async (round) => {
      const { instance } = await WebAssembly.instantiate(wasmModule(400, round % 50));
      for (let i = 0; i < 50; i++) instance.exports.f(2000);
      await sleep(1);
    });
  },
  wasmWorker: () =>
    echoing(
      `let round = 0; const bytes = require('node:worker_threads').workerData;
       (async () => { for (;;) { await WebAssembly.compile(bytes); await new Promise((resolve) => setTimeout(resolve, 1)); } })();`,
      { workerData: wasmModule(400, 1) },
    ),
  collector: () => {
    let kept = [];
    return repeat(async (round) => {
      for (let i = 0; i < 3000; i++) kept.push({ i, list: [i], text: `${round}.${i}` });
      kept.push(Buffer.alloc(100_000), new ArrayBuffer(200_000));
      if (kept.length > 60_000) kept = [];
      if (round % 20 === 0) globalThis.gc?.();
      await sleep(1);
    });
  },
  compiler: () =>
    repeat(async (round) => {
      new Function(
        `let s = 0; for (let i = 0; i < 20000; i++) s += i % ${(round % 97) + 2}; return s`,
      )();
      await sleep(1);
    }),
  http: async () => {
    const server = createServer((incoming, response) => incoming.pipe(response));
    await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address();
    // A connection from before a fork belongs to both processes, and may be given up.
    return repeat(
      () =>
        new Promise((resolve) => {
          const asked = request(
            { port, host: '127.0.0.1', method: 'POST', agent: false, timeout: 500 },
            (response) => response.on('close', resolve).resume(),
          );
          asked.on('timeout', () => asked.destroy()).on('error', () => setTimeout(resolve, 1));
          asked.end('x'.repeat(10_000));
        }),
    );
  },
  inspector: () => {
    const session = new Session();
    session.connect();
    const post = promisify(session.post.bind(session));
    return repeat(async (round) => {
      await post('Runtime.evaluate', { expression: `${round} + 1` });
      if (round % 10 === 0) {
        await post('Profiler.enable');
        await post('Profiler.start');
        await sleep(2);
        await post('Profiler.stop');
      }
      await sleep(1);
    });
  },
  pool: () => {
    const hash = promisify(pbkdf2);
    const zip = promisify(zlib.brotliCompress);
    return repeat(() =>
      Promise.all([
        hash('a', 'b', 500, 32, 'sha1'),
        hash('a', 'b', 500, 32, 'sha256'),
        zip(Buffer.alloc(20_000, 'abc'), { params: { [zlib.constants.BROTLI_PARAM_QUALITY]: 4 } }),
      ]),
    );
  },
  files: (directory) =>
    repeat(async (round) => {
      // What is under way when the process is copied happens in both: that of the other may have
      // removed it.
      try {
        const path = `${directory}/${process.pid}.${round % 5}`;
        await files.writeFile(path, 'x'.repeat(5000));
        await files.readFile(path);
        await files.rm(path);
        await files.readdir(directory);
      } catch (error) {
        if (error.code !== 'ENOENT') throw error;
      }
    }),
  watch: async (directory) => {
    let seen = 0;
    const path = await files.mkdtemp(`${directory}/watched-`);
    (async () => {
      for await (const _ of files.watch(path)) seen++;
    })();
    repeat(async (round) => {
      await files.writeFile(`${path}/${process.pid}`, `${round}`);
      await sleep(2);
    });
    return { count: () => seen };
  },
  names: () => {
    const find = promisify(lookup);
    return repeat(() => find('localhost').catch(() => {}));
  },
  timers: () => {
    let ticks = 0;
    setInterval(() => ticks++, 1);
    setInterval(() => setImmediate(() => ticks++), 3);
    return { count: () => ticks };
  },
  // Each ends before the next turn: none is running when the program forks.
  children: () =>
    repeat(async () => {
      spawnSync('true');
      await sleep(5);
    }),
  hashing: () =>
    repeat(async (round) => {
      createHash('sha256').update(`${round}`).digest('hex');
      crypto.getRandomValues(new Uint8Array(16));
      await crypto.subtle.digest('SHA-256', new Uint8Array(1000));
    }),
};
