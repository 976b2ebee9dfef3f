// C32: what the program has opened or started itself is there after daemonize(), or the call is refused.

import { copyFileSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { spawn } from 'node-pty';
import { describe, expect, test } from 'vitest';
import { testContinuing, testFork } from '../../support/engine.js';
import { temporaryFolder } from '../../support/folder.js';
import { node, root } from '../../support/node.js';
import { until } from '../../support/processes.js';
import { inline, launch, run } from '../../support/program.js';
import { Terminal } from '../../support/pty.js';

describe('C32: descriptors', () => {
  /** Another addon than doublefork's, which opens without O_CLOEXEC, as many do. */
  const addon = () => {
    const file = join(temporaryFolder(), 'other.node');
    copyFileSync(join(root, 'build/Release/doublefork.node'), file);
    return file;
  };

  test('that an addon has opened before doublefork was imported stay open, with a warning', async () => {
    const source = `
      import * as fs from 'node:fs';
      const other = { exports: {} };
      process.dlopen(other, process.argv[1]);
      const fd = other.exports.open(process.argv[1], 0, 0);
      const { daemonize } = await import('doublefork');
      process.on('warning', ({ code, message }) => {
        const word = [code, message.includes(fd + ' (')];
        fs.writeSync(3, JSON.stringify([...word, fs.readlinkSync('/proc/self/fd/' + fd)]) + '\\n');
      });
      daemonize({ keepFds: [3], detach: 'always', engine: 'fork' });
    `;
    const file = addon();
    const { reports } = await launch(node, ['--input-type=module', '-e', source, '--', file]).ended;
    expect(reports).toEqual([['DOUBLEFORK_LATE_IMPORT', true, file]]);
  });

  test('that were certainly inherited are closed then, too', async () => {
    const source = `
      import * as fs from 'node:fs';
      process.dlopen({ exports: {} }, process.argv[1]);
      const { daemonize } = await import('doublefork');
      daemonize({ keepFds: [3], detach: 'always', engine: 'fork' });
      fs.writeSync(3, JSON.stringify(fs.existsSync('/proc/self/fd/4')) + '\\n');
    `;
    const words = ['--input-type=module', '-e', source, '--', addon()];
    const { reports } = await launch('sh', ['-c', 'exec "$@" 4</dev/zero', 'sh', node, ...words])
      .ended;
    expect(reports).toEqual([false]);
  });
});

describe('C32: a terminal', () => {
  testContinuing('that the program has opened itself, a serial line, stays', async () => {
    // Its own, and not the one that the program is started on.
    const line = spawn('/bin/sh', ['-c', 'read -r end'], {});
    const { _pty: path } = line as unknown as { _pty: string };
    let read = '';
    line.onData((text) => {
      read += text;
    });
    const { reports } = await Terminal.start(
      `
        const fd = fs.openSync(process.argv[1], fs.constants.O_RDWR | fs.constants.O_NOCTTY);
        console.log('on the terminal, so that libuv opens it');
        daemonize({ keepFds: [3] });
        const open = fs.readdirSync('/proc/self/fd').flatMap((it) => {
          try { return fs.readlinkSync('/proc/self/fd/' + it); } catch { return []; }
        });
        report([fs.readlinkSync('/proc/self/fd/' + fd), open.filter((it) => it.startsWith('/dev/pts'))]);
        fs.writeSync(fd, 'to the line');
      `,
      { args: [path] },
    ).ended;
    expect(reports).toEqual([[path, [path]]]);
    await until(() => read.includes('to the line'), 'what was written');
    line.kill('SIGKILL');
  });
});

describe('C32: a child process', () => {
  const START = `
    import { createRequire } from 'node:module';
    import { Worker } from 'node:worker_threads';
    import { once } from 'node:events';
  `;
  const IN_WORKER = `
    const worker = new Worker(\`
      const child = require('node:child_process').spawn('sleep', ['1000'], { stdio: 'ignore' });
      child.on('spawn', () => require('node:worker_threads').parentPort.postMessage(child.pid));
      setInterval(() => {}, 1e6);
    \`, { eval: true, execArgv: [] });
    const [pid] = await once(worker, 'message');
    process.on('exit', () => process.kill(pid, 'SIGKILL'));
  `;
  const TRY = `
    try { CALL } catch ({ code, message }) { report([code, message.replaceAll(pid, 'PID').replace(/PID (node-MainThread|MainThread|node)/, 'PID cat')]); }
    process.exit(0);
  `;

  testFork.each([
    ['daemonize', "daemonize({ engine: 'fork' })"],
    ['supervise', "doublefork.supervise({ engine: 'fork' })"],
    ['fork', 'if (fork() === 0) posix._exit(0); report("no refusal");'],
  ])('that a Worker has started is named: %s()', async (name, call) => {
    const { reports } = await run(`${START} ${IN_WORKER} ${TRY.replace('CALL', call)}`);
    expect(reports).toEqual([
      [
        'EBUSY',
        `child processes are running (pid PID sleep of a Worker); start them after ${name}()`,
      ],
    ]);
  });

  testFork("with engine 'auto' it is a reason for a fresh image", async () => {
    const { reports } = await run(`${START}
      if (process.env.AGAIN === undefined) {
        ${IN_WORKER}
        process.env.AGAIN = '1';
        report(pid);
      }
      report('a start');
      exported.daemonize({ keepFds: [3], detach: 'always' });
      report('a daemon');
      process.exit(0);
    `);
    const [sleeper, ...rest] = reports;
    process.kill(sleeper, 'SIGKILL');
    expect(rest).toEqual(['a start', 'a start', 'a daemon']);
  });

  testContinuing('that an addon has started is seen', async () => {
    const { reports } = await run(`${START}
      const pty = createRequire('${root}/x.js')('node-pty').spawn('/bin/cat', [], {});
      const { pid } = pty;
      process.on('exit', () => process.kill(pid, 'SIGKILL'));
      ${TRY.replace('CALL', 'daemonize()')}
    `);
    expect(reports).toEqual([
      ['EBUSY', 'child processes are running (pid PID cat); start them after daemonize()'],
    ]);
  });

  test('of the shell that became this program is not its own', async () => {
    const words = inline(`daemonize({ keepFds: [3] }); report('a daemon'); process.exit(0);`);
    const source = 'sleep 1000 3>&- >/dev/null 2>&1 & echo $! >"$0"; sleep 0.1; exec "$@"';
    const file = join(temporaryFolder(), 'pid');
    const { reports } = await launch('sh', ['-c', source, file, node, ...words]).ended;
    process.kill(Number(readFileSync(file, 'utf8')), 'SIGKILL');
    expect(reports).toEqual(['a daemon']);
  });
});

describe('C7: signals', () => {
  test('that the program has blocked are unblocked', async () => {
    const { reports } = await run(`
      posix.sigprocmask(posix.SIG_BLOCK, ['SIGUSR2', 'SIGTERM', 'SIGWINCH']);
      daemonize({ keepFds: [3] });
      report(/^SigBlk:\\s*(\\w+)$/m.exec(fs.readFileSync('/proc/self/status', 'utf8'))[1]);
      process.exit(0);
    `);
    expect(reports).toEqual(['0000000000000000']);
  });
});
