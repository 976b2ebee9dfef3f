// listen(): sockets that are bound before the program serves.

import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { testFork } from '../../support/engine.js';
import { temporaryFolder } from '../../support/folder.js';
import { run } from '../../support/program.js';

const LISTEN = 'const { listen } = doublefork;';

/** What a program throws. */
const THROWN = (call: string) => `
  try { ${call}; report('nothing'); } catch (error) { report(error.code); }
`;

describe('a unix socket', () => {
  test('nobody may connect between bind and chmod', async () => {
    // The moment is held fast where the program itself cannot be: in the call that gives the mode.
    const hook = `
      import fs from 'node:fs';
      const { chmodSync } = fs;
      fs.chmodSync = (path, mode) => {
        globalThis.before = fs.statSync(path).mode & 0o777;
        chmodSync(path, mode);
      };`;
    const path = join(temporaryFolder(), 'socket');
    const { reports } = await run(
      `${LISTEN}
        listen('it', { path: process.argv[1], mode: 0o660 });
        report([globalThis.before, fs.statSync(process.argv[1]).mode & 0o777]);`,
      { flags: ['--import', `data:text/javascript,${encodeURIComponent(hook)}`], args: [path] },
    );
    expect(reports).toEqual([[0, 0o660]]);
  });
});

describe('TCP', () => {
  test('the address is known at once; default is IPv6 and IPv4, with a port that is free', async () => {
    const { reports } = await run(`${LISTEN}
      report(listen('all', { port: 0 }).address);
      report(listen('v4', { port: 0, host: '127.0.0.1' }).address);
      report(listen('v6', { port: 0, host: '::1' }).address);
      report(posix.isCloseOnExec(listen('x', { port: 0 }).fd));
    `);
    const port = expect.any(Number);
    expect(reports).toEqual([
      { address: '::', family: 'IPv6', port },
      { address: '127.0.0.1', family: 'IPv4', port },
      { address: '::1', family: 'IPv6', port },
      true,
    ]);
  });

  test('a server on its descriptor serves both families', async () => {
    const { reports } = await run(`${LISTEN}
      const http = await import('node:http');
      const { fd, address } = listen('http', { port: 0 });
      const server = http.createServer((request, response) => response.end('hello'));
      server.listen({ fd });
      for (const host of ['127.0.0.1', '[::1]']) {
        report(await (await fetch('http://' + host + ':' + address.port)).text());
      }
      process.exit();
    `);
    expect(reports).toEqual(['hello', 'hello']);
  });

  test('an address in use is an error, unless both allow it', async () => {
    const { reports } = await run(`${LISTEN}
      const { port } = listen('first', { port: 0, host: '127.0.0.1' }).address;
      ${THROWN(`listen('second', { port, host: '127.0.0.1' })`)}
      const shared = listen('third', { port: 0, host: '127.0.0.1', reusePort: true });
      ${THROWN(`listen('fourth', { port: shared.address.port, host: '127.0.0.1', reusePort: true })`)}
      ${THROWN(`listen('fifth', { port: 0, host: '192.0.2.1' })`)}
      ${THROWN(`listen('first', { port: 0 })`)}
      ${THROWN(`listen('sixth', { port: 70000 })`)}
      ${THROWN(`listen('seventh', { port: '80' })`)}
    `);
    expect(reports).toEqual([
      'EADDRINUSE',
      'nothing',
      'EADDRNOTAVAIL',
      'ERR_INVALID_ARG_VALUE',
      'ERR_OUT_OF_RANGE',
      'ERR_INVALID_ARG_TYPE',
    ]);
  });
});

describe('unix', () => {
  test('nobody may connect to it before its mode is as asked', async () => {
    const path = join(temporaryFolder(), 'socket');
    const { reports } = await run(`
      const { umask } = process;
      // What the file system shows whenever the mask is set: before the bind, and after all is done.
      process.umask = (...mask) => {
        if (mask.length > 0) {
          const file = fs.statSync('${path}', { throwIfNoEntry: false });
          report([mask[0], file && file.mode & 0o777]);
        }
        return umask(...mask);
      };
      umask(0o22);
      doublefork.listen('http', { path: '${path}', mode: 0o600 });
    `);
    expect(reports).toEqual([
      [0o777, null],
      [0o22, 0o600],
    ]);
  });

  test('the mode is as asked, whatever the umask; close() removes the path', async () => {
    const path = join(temporaryFolder(), 'socket');
    const { reports } = await run(`${LISTEN}
      process.umask(0o77);
      const listener = listen('ux', { path: '${path}', mode: 0o666 });
      report((fs.statSync('${path}').mode & 0o777).toString(8));
      report(process.umask().toString(8));
      listener.close();
      report(fs.existsSync('${path}'));
    `);
    expect(reports).toEqual(['666', '77', false]);
  });

  test('a socket of a killed program is replaced; that of a live one is in use; a file is left alone', async () => {
    const folder = temporaryFolder();
    const path = join(folder, 'socket');
    await run(`${LISTEN} listen('ux', { path: '${path}' }); process.kill(process.pid, 'SIGKILL');`);
    expect(statSync(path).isSocket()).toBe(true);
    const file = join(folder, 'file');
    const { reports } = await run(`${LISTEN}
      listen('again', { path: '${path}' });
      ${THROWN(`listen('twice', { path: '${path}' })`)}
      fs.writeFileSync('${file}', 'mine');
      ${THROWN(`listen('file', { path: '${file}' })`)}
      ${THROWN(`listen('long', { path: '/tmp/${'x'.repeat(200)}' })`)}
    `);
    expect(reports).toEqual(['EADDRINUSE', 'EADDRINUSE', 'ENAMETOOLONG']);
    expect(readFileSync(file, 'utf8')).toBe('mine');
  });

  test('a socket that as many wait for as may is in use, and not waited for', async () => {
    const path = join(temporaryFolder(), 'socket');
    const { reports } = await run(`${LISTEN}
      listen('ux', { path: '${path}', backlog: 1 });
      const isRoom = () => {
        const client = posix.socket(posix.AF_UNIX, posix.SOCK_STREAM);
        posix.setNonBlocking(client, true);
        try { posix.connect(client, { path: '${path}' }); return true; } catch { return false; }
      };
      while (isRoom());
      ${THROWN(`listen('twice', { path: '${path}' })`)}
      ${THROWN(`doublefork.supervise({ workers: 1, control: '${path}' })`)}
    `);
    expect(reports).toEqual(['EADDRINUSE', 'EADDRINUSE']);
  });

  test('signals that come while it waits for others do no harm', async () => {
    const folder = temporaryFolder();
    const { reports, stderr } = await run(`${LISTEN}
      const { spawn } = await import('node:child_process');
      const lock = posix.open('${folder}', fs.constants.O_RDONLY | posix.O_CLOEXEC);
      posix.flock(lock, posix.LOCK_EX);
      const heard = new Promise((resolve) => process.on('SIGUSR2', resolve));
      const signals = spawn('sh', ['-c', 'while kill -USR2 ' + process.pid + '; do :; done']);
      await heard;
      ${THROWN(`listen('ux', { path: '${folder}/socket' })`)}
      signals.kill('SIGKILL');
      process.exit();
    `);
    expect({ reports, stderr }).toEqual({ reports: ['nothing'], stderr: '' });
  });

  testFork('of several that replace the socket of a killed program at once one wins', async () => {
    const path = join(temporaryFolder(), 'socket');
    const { reports } = await run(`${LISTEN}
      for (let round = 0; round < 30; round++) {
        const killed = fork();
        if (killed === 0) {
          listen('ux', { path: '${path}' });
          process.kill(process.pid, 'SIGKILL');
        }
        posix.waitpid(killed);
        const [gate, opener] = posix.pipe();
        const [results, result] = posix.pipe();
        const children = [];
        for (let n = 0; n < 4; n++) {
          const child = fork();
          if (child !== 0) {
            children.push(child);
            continue;
          }
          posix.close(opener);
          posix.poll([{ fd: gate, events: posix.POLLIN }]);
          try {
            listen('ux', { path: '${path}' });
            fs.writeSync(result, 'won ');
          } catch (error) {
            fs.writeSync(result, error.code + ' ');
          }
          posix.close(result);
          for (;;) posix.poll([], 60_000);
        }
        for (const fd of [gate, opener, result]) posix.close(fd);
        report(fs.readFileSync(results, 'latin1').trim().split(' ').sort().join());
        posix.close(results);
        for (const child of children) {
          posix.kill(child, 'SIGKILL');
          posix.waitpid(child);
        }
      }
    `);
    expect(reports).toEqual(Array(30).fill('EADDRINUSE,EADDRINUSE,EADDRINUSE,won'));
  });
});

test('descriptors and credentials go over a unix socket; recvmsg closes them on exec', async () => {
  const path = join(temporaryFolder(), 'socket');
  const { reports } = await run(`${LISTEN}
    const { fd } = listen('ux', { path: '${path}' });
    const client = posix.socket(posix.AF_UNIX, posix.SOCK_STREAM);
    posix.connect(client, { path: '${path}' });
    const server = posix.accept(fd);
    report(posix.peerCredentials(server).pid === process.pid);
    const [read, write] = posix.pipe();
    posix.sendmsg(client, { data: Buffer.from('take this'), fds: [read] });
    const { data, fds } = posix.recvmsg(server, { fds: 4 });
    fs.writeSync(write, 'through the pipe');
    const text = Buffer.alloc(16);
    fs.readSync(fds[0], text);
    report([String(data), fds.length, String(text), posix.isCloseOnExec(fds[0])]);
  `);
  expect(reports).toEqual([true, ['take this', 1, 'through the pipe', true]]);
});
