// Kernel objects of libuv's that a child must have for itself (native/fork/separate.cc).

import { describe, expect } from 'vitest';
import { testFork } from '../../support/engine.js';
import { run } from '../../support/program.js';
import { withThreads } from '../../support/threads.js';

describe('after fork()', () => {
  testFork('a wake-up that had not been taken is there in both processes', async () => {
    const { reports } = await run(`
      import { once } from 'node:events';
      import { Worker } from 'node:worker_threads';
      const cell = new Int32Array(new SharedArrayBuffer(4));
      const worker = new Worker(\`
        const { parentPort, workerData } = require('node:worker_threads');
        parentPort.on('message', (text) => parentPort.postMessage(text + ' arrived'));
        parentPort.postMessage('ready');
        // Its loop does not turn: what is sent to it stays in the eventfd.
        setImmediate(() => Atomics.wait(workerData, 0, 0));
      \`, { eval: true, execArgv: [], workerData: cell });
      await once(worker, 'message');
      // Until it waits in Atomics.wait(), and the message before is through.
      await new Promise((resolve) => setTimeout(resolve, 300));
      worker.postMessage('it');
      const counts = () => new Map(fs.readdirSync('/proc/self/fd').map((fd) => {
        try {
          const info = fs.readFileSync('/proc/self/fdinfo/' + fd, 'utf8');
          return [fd, parseInt(/eventfd-count: *([0-9a-f]+)/.exec(info)?.[1] ?? '0', 16)];
        } catch {
          return [fd, 0];
        }
      }));
      // The Worker's: nobody takes that.
      const [fd, count] = [...counts()].toSorted((a, b) => b[1] - a[1])[0];
      const child = fork();
      // Whether it is taken is luck, otherwise: whatever else wakes the loop has it look at all.
      if (child === 0) {
        report(count > 0 && counts().get(fd) >= count ? 'child: counts' : 'child: no counts');
      }
      const who = child === 0 ? 'child' : 'parent';
      Atomics.store(cell, 0, 1);
      Atomics.notify(cell, 0);
      const timer = setTimeout(() => { report(who + ': lost'); process.exit(1); }, 10_000);
      const [text] = await once(worker, 'message');
      report(who + ': ' + text);
      process.exit(0);
    `);
    expect(reports.sort()).toEqual(['child: counts', 'child: it arrived', 'parent: it arrived']);
  });

  testFork(
    'what the event loop was about to watch for more is watched in both processes',
    async () => {
      const { reports } = await run(`
      import net from 'node:net';
      import { once } from 'node:events';
      const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
      // Reads nothing.
      const server = net.createServer((socket) => socket.pause()).listen(0, '127.0.0.1');
      await once(server, 'listening');
      const client = net.connect(server.address().port, '127.0.0.1').resume();
      await once(client, 'connect');
      await sleep(50);
      // It is watched for what comes; now that the kernel takes no more, for room to write as well.
      client.write(Buffer.alloc(2 ** 25));
      const pid = fork();
      await sleep(50);
      report(pid === 0 ? 'child' : 'parent');
      if (pid !== 0) report(posix.waitpid(pid));
      process.exit(0);
    `);
      expect(
        reports.map((it) => (typeof it === 'string' ? it : (it.signal ?? it.exitCode))).sort(),
      ).toEqual([0, 'child', 'parent']);
    },
  );

  testFork('the pipe by which a thread of an addon is woken is not in both', async () => {
    const { reports } = await run(
      withThreads(`
        const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
        threads.startWakers();
        let rounds = 0;
        async function wakeAgain(times) {
          for (const end = rounds + times; rounds < end; ) {
            threads.wake();
            rounds++;
            const expected = \`epoll \${rounds} 0, poll \${rounds} 0\`;
            for (let i = 0; threads.wakers() !== expected; i++) {
              if (i === 2000) return threads.wakers();
              await sleep(1);
            }
          }
          return threads.wakers();
        }
        await wakeAgain(3);
        const pid = fork();
        const wakers = await wakeAgain(50);
        report([pid === 0 ? 'child' : 'parent', wakers]);
        if (pid === 0) process.exit(0);
        posix.waitpid(pid);
        process.exit(0);
      `),
    );
    const all = 'epoll 53 0, poll 53 0';
    expect(reports.sort()).toEqual([
      ['child', all],
      ['parent', all],
    ]);
  });

  testFork('the pipe that libuv locks its signals with is not in both', async () => {
    const { reports } = await run(`
      process.on('SIGUSR2', () => {});
      // Both ends here, blocking and close-on-exec: its lock. No other is.
      const pipes = () => {
        const ends = fs.readdirSync('/proc/self/fd').flatMap((fd) => {
          try {
            const flags = parseInt(/flags:\\s*(\\d+)/.exec(fs.readFileSync('/proc/self/fdinfo/' + fd))[1], 8);
            const link = fs.readlinkSync('/proc/self/fd/' + fd);
            return link.startsWith('pipe:') && (flags & 0o2004000) === 0o2000000 ? link : [];
          } catch {
            return [];
          }
        });
        return ends.filter((link, i) => ends.indexOf(link) !== i);
      };
      const before = pipes();
      const child = fork();
      if (child === 0) {
        report([before.length, pipes().length, pipes().filter((pipe) => before.includes(pipe))]);
        process.exit(0);
      }
      posix.waitpid(child);
      process.exit(0);
    `);
    expect(reports).toEqual([[1, 1, []]]);
  });
});
