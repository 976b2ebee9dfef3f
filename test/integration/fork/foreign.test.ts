// Kernel objects that are not libuv's, and look like it or are shared all the same.

import { describe, expect, test } from 'vitest';
import { hasFork, testFork } from '../../support/engine.js';
import { temporaryFolder } from '../../support/folder.js';
import { node } from '../../support/node.js';
import { inline, launch, run } from '../../support/program.js';
import { withThreads } from '../../support/threads.js';

describe('a pipe that was inherited', () => {
  testFork(
    'with one byte in it, as of a make jobserver, is not taken for libuv’s lock',
    async () => {
      // fd 4 and 5, both ends, and in it the very byte that libuv uses.
      const source = `
      const links = () => [4, 5].map((fd) => fs.readlinkSync('/proc/self/fd/' + fd));
      const before = links();
      const child = fork();
      if (child === 0) {
        report(links().every((link, i) => link === before[i]));
        process.on('SIGUSR2', () => {});
        process.exit(0);
      }
      report(posix.waitpid(child).exitCode);
    `;
      const python = `
import os, sys
r, w = os.pipe(); os.write(w, b'*')
r2, w2 = os.dup(r), os.dup(w)
os.dup2(r2, 4); os.dup2(w2, 5)
for fd in (4, 5): os.set_inheritable(fd, True)
os.execv(sys.argv[1], sys.argv[1:])
`;
      const { reports } = await launch('python3', ['-c', python, node, ...inline(source)]).ended;
      expect(reports.sort()).toEqual([0, true]);
    },
  );
});

describe('files that a Worker watches', () => {
  const WATCH = `
    import { once } from 'node:events';
    import { Worker } from 'node:worker_threads';
    const worker = new Worker(\`
      require('node:fs').watch(process.argv[2], () => {});
      require('node:worker_threads').parentPort.postMessage('watching');
      setInterval(() => {}, 1e6);
    \`, { eval: true, execArgv: [], argv: [process.argv[1]] });
    await once(worker, 'message');
  `;
  testFork('are a reason for fork() to refuse: C32', async () => {
    const { reports } = await run(
      `${WATCH}
        try { fork(); } catch ({ code, message }) { report([code, message]); }
        process.exit(0);
      `,
      { args: [temporaryFolder()] },
    );
    expect(reports).toEqual([
      [
        'EBUSY',
        'files are watched by another loop than the main one: fs.watch() in a Worker, or an addon; each change would be told to only one of the two processes',
      ],
    ]);
  });

  testFork('are still watched after daemonize(): C32', async () => {
    const { reports } = await run(
      `
        import { once } from 'node:events';
        import { Worker } from 'node:worker_threads';
        const worker = new Worker(\`
          const { parentPort } = require('node:worker_threads');
          require('node:fs').watch(process.argv[2], (_, name) => parentPort.postMessage(name));
          parentPort.postMessage('watching');
        \`, { eval: true, execArgv: [], argv: [process.argv[1]] });
        await once(worker, 'message');
        daemonize({ keepFds: [3] });
        fs.writeFileSync(process.argv[1] + '/file', '');
        report((await once(worker, 'message'))[0]);
        process.exit(0);
      `,
      { args: [temporaryFolder()] },
    );
    expect(reports).toEqual(['file']);
  });
});

describe('a handle of the event loop in memory that an addon has given back', () => {
  test.skipIf(!hasFork).each(['overwritten', 'unmapped'])(
    'is an error, and not the end of the process: %s',
    async (how) => {
      const { reports, signal } = await run(
        withThreads(`
          threads.loseHandle('${how}');
          for (const call of [() => fork(), () => daemonize({ keepFds: [3] }), () => doublefork.supervise()]) {
            try {
              if (call() === 0) posix._exit(0);
              report('no refusal');
            } catch ({ code, message }) {
              report([code, /an addon has freed it without closing it/.test(message)]);
            }
          }
          posix._exit(0);
        `),
      );
      expect(signal).toBe(null);
      expect(reports).toEqual(Array(3).fill(['EFAULT', true]));
    },
  );
});

describe('a refused daemonize()', () => {
  testFork(
    'puts back what the kernel keeps for a memory, and is no reaper of orphans',
    async () => {
      const { reports } = await run(
        `
      import { execFileSync } from 'node:child_process';
      const adjustment = () => Number(fs.readFileSync('/proc/self/oom_score_adj'));
      const before = adjustment();
      try {
        // The limit is refused after the other was set.
        daemonize({ oomScoreAdj: before + 7, limits: { nofile: 2 ** 31 - 1 } });
      } catch (error) {
        report([error.syscall, adjustment() - before]);
      }
      const orphan = '(sleep 0.2; cut -d" " -f4 /proc/self/stat >"$0") >/dev/null 2>&1 &';
      const file = process.argv[1] + '/parent';
      execFileSync('mkfifo', [file]);
      execFileSync('sh', ['-c', orphan, file]);
      // Of the shell in the background, by cut's: what it is once its own parent has ended.
      const shell = fs.readFileSync(file, 'utf8').trim();
      const children = fs.readFileSync('/proc/' + process.pid + '/task/' + process.pid + '/children', 'utf8').split(' ');
      // A shell that has become its last command is nobody's parent.
      report(shell === String(process.pid) || children.includes(shell));
      process.exit(0);
    `,
        { args: [temporaryFolder()] },
      );
      expect(reports).toEqual([['setrlimit', 0], false]);
    },
  );

  testFork('leaves no memory behind', async () => {
    const { reports } = await run(`
      // What was mapped without a place in mind, in kB: neither V8's heap nor an arena of malloc(3),
      // which begins at a multiple of 64 MB.
      const size = () => fs.readFileSync('/proc/self/maps', 'utf8').split('\\n').reduce((sum, line) => {
        const [, begin, end] = /^7(f[0-9a-f]+)-7(f[0-9a-f]+) rw-p 00000000 00:00 0 *$/.exec(line) ?? [];
        if (begin === undefined || parseInt(begin, 16) % 2 ** 26 === 0) return sum;
        return sum + (parseInt(end, 16) - parseInt(begin, 16)) / 1024;
      }, 0);
      // Above the most that the kernel allows to anybody.
      const attempt = () => {
        try { daemonize({ limits: { nofile: 2 ** 31 - 1 } }); } catch (error) { return error.syscall; }
      };
      report(attempt());
      for (let i = 0; i < 3; i++) attempt();
      const before = size();
      // One of the launcher's stacks, with those beside it, is 80 kB.
      for (let i = 0; i < 60; i++) attempt();
      report(size() - before < 60 * 40);
      process.exit(0);
    `);
    expect(reports).toEqual(['setrlimit', true]);
  });
});
