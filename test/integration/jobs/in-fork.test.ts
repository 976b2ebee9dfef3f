// inFork(): a function in a copy of the process.

import { describe, expect, test } from 'vitest';
import { temporaryFolder } from '../../support/folder.js';
import { run } from '../../support/program.js';
import { PROGRAM, program } from './tools.js';

describe('what comes back', () => {
  test('the result of a function that sees all that its surroundings hold', async () => {
    const { reports } = await program(`
      const table = new Map([['a', { list: [1, 2], when: new Date(0), bytes: Buffer.from('xyz') }]]);
      const answer = await inFork(() => table);
      report([answer instanceof Map, answer.get('a').list, answer.get('a').when.getTime(), String(answer.get('a').bytes)]);
      report(await inFork(async () => { await sleep(5); return table.size; }));
      report(await inFork(() => undefined) === undefined);
    `);
    expect(reports).toEqual([[true, [1, 2], 0, 'xyz'], 1, true]);
  });

  test('of any size, byte by byte', async () => {
    const { reports } = await program(`
      const { createHash, randomFillSync } = await import('node:crypto');
      const hash = (bytes) => createHash('sha256').update(bytes).digest('hex');
      for (const size of [0, 1, 65_529, 65_536, 1_048_576, 50_000_001]) {
        const bytes = randomFillSync(Buffer.alloc(size));
        report(hash(await inFork(() => bytes)) === hash(bytes));
      }
    `);
    expect(reports).toEqual(Array(6).fill(true));
  });

  test('its exception: class, message, stack, code, cause and whatever hangs on it', async () => {
    const { reports } = await program(`
      const error = await failed(inFork(function thrower() {
        const cause = Object.assign(new TypeError('inner'), { code: 'ECAUSE' });
        throw Object.assign(new RangeError('outer', { cause }), { code: 'EOUTER', detail: { a: 1 }, fn() {} });
      }));
      const { util } = { util: await import('node:util') };
      report([error instanceof RangeError, error.message, error.code, error.detail, error.stack.includes('thrower'),
        error.cause instanceof TypeError, error.cause.code, typeof error.fn, util.types.isNativeError(error)]);
      const all = await failed(inFork(async () => { throw new AggregateError([new Error('one'), 'two'], 'all'); }));
      report([all instanceof AggregateError, all.errors[0].message, all.errors[1]]);
      report(await failed(inFork(() => { throw 'a string'; })));
      report((await failed(inFork(async () => { setTimeout(() => { throw new Error('late'); }); await sleep(1000); }))).message);
    `);
    expect(reports).toEqual([
      [true, 'outer', 'EOUTER', { a: 1 }, true, true, 'ECAUSE', 'string', true],
      [true, 'one', 'two'],
      'a string',
      'late',
    ]);
  });

  test('what it sends meanwhile, in order', async () => {
    const { reports } = await program(`
      const job = inFork(async ({ send }) => {
        for (let i = 0; i < 3; i++) { send({ i }); await sleep(1); }
        return 'done';
      });
      for await (const message of job) report(message);
      report(await job);
      const many = inFork(({ send }) => { for (let i = 0; i < 5000; i++) send('x'.repeat(100) + i); });
      let expected = 0;
      for await (const message of many) if (message !== 'x'.repeat(100) + expected++) report(message);
      report(expected);
    `);
    expect(reports).toEqual([{ i: 0 }, { i: 1 }, { i: 2 }, 'done', 5000]);
  });
});

describe('how it can end', () => {
  test('exit, signal, crash: ERR_JOB_EXITED with the code or the signal', async () => {
    const { reports } = await program(`
      const show = ({ code, exitCode, signal, message }) => report([code, exitCode, signal, message]);
      show(await failed(inFork(() => process.exit(3))));
      show(await failed(inFork(() => process.kill(process.pid, 'SIGKILL'))));
      show(await failed(inFork(async () => { process.kill(process.pid, 'SIGTERM'); await sleep(10_000); })));
      show(await failed(inFork(() => process.abort(), { stdio: 'ignore' })));
    `);
    expect(reports).toEqual([
      ['ERR_JOB_EXITED', 3, null, 'The job exited with code 3 before it returned'],
      ['ERR_JOB_EXITED', null, 'SIGKILL', 'The job was ended by SIGKILL before it returned'],
      ['ERR_JOB_EXITED', null, 'SIGTERM', 'The job was ended by SIGTERM before it returned'],
      ['ERR_JOB_EXITED', null, 'SIGABRT', 'The job was ended by SIGABRT before it returned'],
    ]);
  });

  test('what cannot be cloned, a promise of a plain function, one that nothing settles', async () => {
    const { reports } = await program(`
      report((await failed(inFork(() => () => 1))).message);
      report((await failed(inFork(() => sleep(1)))).code);
      report(await inFork(() => sleep(1), { async: true }) === undefined);
      report((await failed(inFork(async () => { await new Promise(() => {}); }))).code);
    `);
    expect(reports).toEqual([
      '()=>1 could not be cloned.'.replace('()=>1', '() => 1'),
      'ERR_JOB_NOT_ASYNC',
      true,
      'ERR_JOB_UNSETTLED',
    ]);
  });

  test('time-out, memory, signal: the copy is gone when the promise is rejected', async () => {
    const { reports } = await program(`
      const gone = (job) => { try { process.kill(job.pid, 0); return false; } catch { return true; } };
      const spin = () => { for (;;); };
      const late = inFork(spin, { timeout: 50 });
      report([(await failed(late)).code, gone(late)]);
      const large = inFork(() => { const all = []; for (;;) all.push(Buffer.alloc(1 << 20, 1)); }, { memoryLimit: 1 << 26 });
      report([(await failed(large)).code, gone(large)]);
      const controller = new AbortController();
      const aborted = inFork(spin, { signal: controller.signal });
      setTimeout(() => controller.abort(new Error('enough')), 20);
      report([(await failed(aborted)).message, gone(aborted)]);
      const before = inFork(spin, { signal: AbortSignal.abort(new Error('never')) });
      report([(await failed(before)).message, before.pid === undefined]);
    `);
    expect(reports).toEqual([
      ['ERR_JOB_TIMEOUT', true],
      ['ERR_JOB_MEMORY', true],
      ['enough', true],
      ['never', true],
    ]);
  });

  test('the parent is killed: no copy stays', async () => {
    const { code, signal, reports } = await run(`${PROGRAM}
      // The end of file of fd 3 tells that all of them have ended.
      for (let i = 0; i < 3; i++) inFork(() => { report('up'); for (;;); });
      inFork(async () => { report('up'); setTimeout(() => process.kill(process.ppid, 'SIGKILL'), 100); await sleep(60_000); });
    `);
    expect({ code, signal }).toEqual({ code: null, signal: 'SIGKILL' });
    expect(reports).toEqual(['up', 'up', 'up', 'up']);
  });
});

describe("what is the parent's does not happen in the copy", () => {
  test('timers, immediates, ticks, promises, listeners, requests, Workers, watched files, signals', async () => {
    const folder = temporaryFolder();
    const { reports } = await program(
      `
      const own = process.pid;
      /** Reports where it happens, unless that is the parent. */
      const happens = (what) => () => { if (process.pid !== own) report(what); };
      const { Worker, MessageChannel } = await import('node:worker_threads');
      const { createServer, connect } = await import('node:net');
      const { watch, watchFile, unwatchFile, promises } = fs;
      const { lookup } = await import('node:dns');
      const file = process.argv[1] + '/watched';
      fs.writeFileSync(file, '');

      const timers = [setInterval(happens('interval'), 5), setTimeout(happens('timeout'), 30)];
      const server = createServer((socket) => { happens('connection')(); socket.on('data', happens('data')); socket.write('x'); });
      await new Promise((resolve) => server.listen(0, resolve));
      const client = connect(server.address().port);
      client.on('data', happens('answer'));
      const watcher = watch(file, happens('watch'));
      watchFile(file, { interval: 10 }, happens('watchFile'));
      process.on('exit', happens('exit'));
      process.on('beforeExit', happens('beforeExit'));
      process.on('SIGUSR2', happens('SIGUSR2'));
      const counter = process.argv[1] + '/worker';
      const worker = new Worker(
        'const fs = process.getBuiltinModule("fs"); const own = process.pid;'
          + 'setInterval(() => { if (process.ppid === ' + own + ' || process.pid !== own || Number(fs.readlinkSync("/proc/self")) !== own)'
          + ' fs.appendFileSync(' + JSON.stringify(counter) + ', "w"); }, 1)',
        { eval: true });
      await new Promise((resolve) => worker.once('online', resolve));
      let next = 0;
      const work = async () => {
        setImmediate(happens('immediate'));
        promises.readFile(file).then(happens('readFile'));
        fs.stat(file, happens('stat'));
        lookup('localhost', happens('lookup'));
        setTimeout(happens('late timer'), 1);
        client.write('y');
        queueMicrotask(happens('microtask'));
        process.nextTick(happens('tick'));
        Promise.resolve().then(happens('then'));
        await inFork(async () => {
          // Seen by all of them, if they were alive.
          fs.appendFileSync(file, 'changed');
          await sleep(100);
          report('done');
        });
      };
      await work();
      await work();
      await inFork(() => { fs.appendFileSync(file, 'again'); });
      await failed(inFork(async () => { process.exit(0); }));
      timers.map(clearInterval);
      watcher.close(); unwatchFile(file); client.destroy(); server.close();
      await worker.terminate();
      report(fs.existsSync(counter));
    `,
      { args: [folder] },
    );
    expect(reports).toEqual(['done', 'done', false]);
  });

  test("a signal's handler: the copy ends by the signal instead", async () => {
    const { reports } = await program(`
      process.on('SIGTERM', () => report('handled in ' + (process.pid === own ? 'parent' : 'copy')));
      const own = process.pid;
      const job = inFork(async ({ send }) => { report('up'); send('up'); await sleep(60_000); });
      job.catch(() => {});
      for await (const message of job) process.kill(job.pid, 'SIGTERM');
      report((await failed(job)).signal);
      process.removeAllListeners('SIGTERM');
    `);
    expect(reports).toEqual(['up', 'SIGTERM']);
  });

  test('its sockets: a copy neither writes to them nor keeps them open', async () => {
    const { reports } = await program(`
      const { createServer, connect } = await import('node:net');
      const { once } = await import('node:events');
      const server = createServer();
      server.listen(0);
      await once(server, 'listening');
      const { port } = server.address();
      const client = connect(port);
      const [socket] = await once(server, 'connection');
      client.on('data', (data) => report(String(data)));
      const job = inFork(async () => {
        socket.on('error', () => {});
        const error = await new Promise((resolve) => socket.write('from the copy', resolve));
        await sleep(300);
        return error?.code;
      });
      while (job.pid === undefined) await sleep(1);
      // Its peer sees the end at once, and the port is free, while the copy lives.
      socket.end();
      await once(client, 'end');
      client.destroy();
      server.close();
      await once(server, 'close');
      const again = createServer().listen(port);
      await once(again, 'listening');
      again.close();
      process.kill(job.pid, 0);
      report(await job);
    `);
    expect(reports).toEqual(['ENOTCONN']);
  });

  test('standard input is empty, output goes where the program prints, or nowhere', async () => {
    const { reports, stdout } = await program(`
      report(await inFork(() => fs.readFileSync(0, 'utf8')));
      console.log('parent');
      await inFork(() => console.log('copy'));
      await inFork(async () => { console.log('async copy'); await sleep(5); });
      await inFork(() => { console.log('never'); console.error('never'); }, { stdio: 'ignore' });
    `);
    expect(reports).toEqual(['']);
    expect(stdout).toBe('parent\ncopy\nasync copy\n');
  });

  test('a changed global and a leak stay in the copy', async () => {
    const { reports } = await program(`
      const state = { count: 1 };
      const seen = await inFork(() => { state.count = 100; globalThis.leak = true; return state; });
      report([seen.count, state.count, globalThis.leak ?? 'none']);
      // As it was at the call.
      const job = inFork(() => state.count);
      state.count = 2;
      report(await job);
    `);
    expect(reports).toEqual([[100, 1, 'none'], 1]);
  });
});

test('work of the threadpool that has been begun calls back in the parent only', async () => {
  const { reports } = await program(`
    const { pbkdf2, randomBytes } = await import('node:crypto');
    const { gzip } = await import('node:zlib');
    const own = process.pid;
    const calls = [];
    const called = (what) => new Promise((resolve) => what(() => {
      if (process.pid === own) calls.push(1); else report('called in the copy');
      resolve();
    }));
    for (let round = 0; round < 5; round++) {
      const all = Array.from({ length: 8 }, () => [
        called((done) => pbkdf2('a', 'b', 1000, 64, 'sha512', done)),
        called((done) => randomBytes(100_000, done)),
        called((done) => gzip(Buffer.alloc(100_000), done)),
        called((done) => fs.readFile('package.json', done)),
        called((done) => fs.promises.readFile('package.json').then(done)),
      ]).flat();
      report(await inFork(async () => { await sleep(20); return (await fs.promises.readFile('package.json')).length > 0; }));
      await Promise.all(all);
    }
    report(calls.length);
  `);
  expect(reports).toEqual([true, true, true, true, true, 200]);
});

test('a message that is on its way between two ports is heard in the parent only', async () => {
  const { reports } = await program(`
    const { MessageChannel } = await import('node:worker_threads');
    const { port1, port2 } = new MessageChannel();
    const heard = new Promise((resolve) => port2.on('message', (message) => { report(message); resolve(); }));
    setImmediate(() => port1.postMessage('once'));
    report(await inFork(async () => {
      await sleep(50);
      // Its own are heard.
      const own = new MessageChannel();
      own.port1.postMessage('own');
      return await new Promise((resolve) => own.port2.once('message', resolve));
    }));
    await heard;
    port1.close();
  `);
  expect(reports.toSorted()).toEqual(['once', 'own']);
});

test('a callback that cannot be taken away ends the copy, with its name', async () => {
  const { reports } = await program(`
    const { Worker } = await import('node:worker_threads');
    const flag = new Int32Array(new SharedArrayBuffer(4));
    const worker = new Worker('Atomics.wait(process.getBuiltinModule("worker_threads").workerData, 0, 0)', { eval: true, workerData: flag });
    await new Promise((resolve) => worker.once('online', resolve));
    const ended = new Promise((resolve) => worker.once('exit', (code) => { report('exit ' + code); resolve(); }));
    const threads = () => fs.readdirSync('/proc/self/task').length;
    // In the turn in which the copy is made, a Worker ends, and nobody has been told yet.
    setImmediate(() => {
      const before = threads();
      Atomics.store(flag, 0, 1);
      Atomics.notify(flag, 0);
      while (threads() === before);
    });
    const error = await failed(inFork(async () => { await sleep(5_000); return 'slept'; }));
    report([error.code, error.message.includes('(Worker)')]);
    await ended;
  `);
  expect(reports.map(String).toSorted()).toEqual(['EBUSY,true', 'exit 0']);
});

test('what was bound to a context in the parent may be called in the copy', async () => {
  const { reports } = await program(`
    const { AsyncLocalStorage, AsyncResource } = await import('node:async_hooks');
    const context = new AsyncLocalStorage();
    const bound = context.run('request 7', () => AsyncResource.bind(() => context.getStore()));
    const resource = new AsyncResource('mine');
    report(await inFork(async () => {
      await sleep(1);
      return [bound(), resource.runInAsyncScope(() => 'ran')];
    }));
  `);
  expect(reports).toEqual([['request 7', 'ran']]);
});

test('the event loop of the parent goes on, and the copy has a whole one: files, names, servers, children, Workers', async () => {
  const { reports } = await program(`
    let ticks = 0;
    const timer = setInterval(() => { ticks++; }, 1);
    report(await inFork(async () => {
      const { once } = await import('node:events');
      const { createServer, get } = await import('node:http');
      const { execFile } = await import('node:child_process');
      const { promisify } = await import('node:util');
      const { Worker } = await import('node:worker_threads');
      const server = createServer((request, response) => response.end('served')).listen(0);
      await once(server, 'listening');
      const [response] = await once(get({ port: server.address().port, agent: false }), 'response');
      let body = '';
      for await (const chunk of response) body += chunk;
      server.close();
      const { stdout } = await promisify(execFile)('echo', ['child']);
      const worker = new Worker('process.getBuiltinModule("worker_threads").parentPort.postMessage(7)', { eval: true });
      const [[message], [code]] = await Promise.all([once(worker, 'message'), once(worker, 'exit')]);
      const text = await fs.promises.readFile('package.json', 'utf8');
      return [body, stdout, message, code, text.includes('doublefork')];
    }));
    clearInterval(timer);
    report(ticks > 3);
  `);
  expect(reports).toEqual([['served', 'child\n', 7, 0, true], true]);
});

test('a job may fork jobs of its own, and fork()', async () => {
  const { reports } = await program(`
    report(await inFork(async () => {
      const inner = await Promise.all([inFork(() => 1), inFork(async () => { await sleep(5); return 2; })]);
      const pid = fork();
      if (pid === 0) posix._exit(9);
      return [...inner, posix.waitpid(pid).exitCode];
    }));
  `);
  expect(reports).toEqual([[1, 2, 9]]);
});

test('hundreds at once and one after the other leave no child, descriptor or listener behind', async () => {
  const { reports } = await program(
    `
    const open = () => fs.readdirSync('/proc/self/fd').length;
    const controller = new AbortController();
    await inFork(() => 0);
    await childless();
    const before = open();
    for (let i = 0; i < 100; i++) {
      const answer = await inFork(() => i, { signal: controller.signal, timeout: 60_000 });
      if (answer !== i) report({ i, answer });
    }
    const all = await Promise.all(Array.from({ length: 50 }, (_, i) => inFork(() => i)));
    report(all.every((answer, i) => answer === i));
    await childless();
    report(open() - before);
    report((await import('node:events')).getEventListeners(controller.signal, 'abort').length);
  `,
    { deadline: 120_000 },
  );
  expect(reports).toEqual([true, 0, 0]);
});

test("the answer is not kept back until the kernel has freed the copy, which stands in nobody's way", async () => {
  const { reports } = await program(`
    const large = Buffer.alloc(400 << 20, 1);
    report(await inFork(() => large.length));
    const pid = fork();
    if (pid === 0) {
      // The copy was its parent's child, which it need not wait for.
      await sleep(20);
      posix._exit(0);
    }
    report(posix.waitpid(pid).exitCode);
    report(await inFork(() => large.length));
    daemonize({ keepFds: [3] });
    report(await inFork(() => large.length));
  `);
  expect(reports).toEqual([400 << 20, 0, 400 << 20, 400 << 20]);
});

test('what the first job prepares for the next ones may fail: no descriptor is left', async () => {
  const { reports } = await program(`
    const first = inFork(() => 1);
    const limit = posix.getrlimit('nofile');
    posix.setrlimit('nofile', { soft: 3, hard: limit.hard });
    await sleep(20);
    posix.setrlimit('nofile', limit);
    report([await first, await inFork(() => 2)]);
  `);
  expect(reports).toEqual([[1, 2]]);
});

test('wrong options are refused, with nothing begun', async () => {
  const { reports } = await program(`
    const code = (...args) => { try { inFork(...args); return 'taken'; } catch (error) { return [error.code, error.message]; } };
    report(code('text'));
    report(code(() => 1, { timout: 1 }));
    report(code(() => 1, { timeout: -1 }));
    report(code(() => 1, { stdio: 'pipe' }));
    report(code(() => 1, { signal: {} }));
  `);
  expect(reports.map(([code]) => code)).toEqual([
    'ERR_INVALID_ARG_TYPE',
    'ERR_INVALID_ARG_VALUE',
    'ERR_OUT_OF_RANGE',
    'ERR_OUT_OF_RANGE',
    'ERR_INVALID_ARG_TYPE',
  ]);
  expect(reports[1][1]).toContain('"timout"');
});

test('what the copy had open, too, is free once the answer is there: locks, addresses', async () => {
  const { code, stderr, reports } = await run(
    `
    const path = process.argv[1] + '/lock';
    let locked = 0;
    for (let round = 0; round < 50; round++) {
      const fd = fs.openSync(path, 'w');
      posix.flock(fd, posix.LOCK_EX | posix.LOCK_NB);
      // So that its memory takes a while to free.
      const much = Buffer.alloc(20_000_000, 1);
      await doublefork.inFork(() => { much.fill(2); return 1; });
      fs.closeSync(fd);
      const again = fs.openSync(path, 'r');
      try { posix.flock(again, posix.LOCK_EX | posix.LOCK_NB); } catch { locked++; }
      fs.closeSync(again);
    }
    report(locked);
    `,
    { args: [temporaryFolder()] },
  );
  expect({ code, stderr, reports }).toEqual({ code: 0, stderr: '', reports: [0] });
});
