// Bad input and trouble: a clear error on the user's terminal before anything has changed, exit code 1
// from the launcher, nothing left behind.

import { chmodSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { hasFork, testContinuing } from '../../support/engine.js';
import { temporaryFolder } from '../../support/folder.js';
import { node } from '../../support/node.js';
import { MARK, marked } from '../../support/processes.js';
import { execute, inline, type RunOptions, run } from '../../support/program.js';
import { Terminal } from '../../support/pty.js';

const isRoot = process.getuid?.() === 0;

/** What of itself a program could find changed. */
const STATE = `
  const state = () => JSON.stringify([
    process.pid, process.cwd(), process.umask(), posix.getsid(), posix.getpgid(),
    fs.readFileSync('/proc/self/status', 'utf8').match(/^Sig(Pnd|Blk|Ign|Cgt).*/gm),
    fs.readdirSync('/proc/self/fd').flatMap((fd) => {
      try { return fd + fs.readlinkSync('/proc/self/fd/' + fd); } catch { return []; }
    }),
    { ...process.env },
  ]);
`;

/** A program in which daemonize() fails; it tells how, and dies of it. */
const failing = (call: string, before = '') => `
  ${STATE}
  ${before}
  const before = state();
  try {
    ${call};
    report('no error');
  } catch (error) {
    const { code, message, syscall, path } = error;
    report({ code, message, syscall, path, changed: before === state() ? undefined : [before, state()] });
    throw error;
  }
`;

/** Runs it on a terminal, and expects what must be true of every failed start. */
async function refusal(source: string, how: RunOptions & { command?: string[] } = {}) {
  const [command, ...args] = [...(how.command ?? []), node, ...inline(source, how)];
  const terminal = Terminal.launch(command!, args, how);
  await terminal.exited;
  // A daemon that got away would be here, and nobody else: the shell is waiting.
  const left = marked(process.env[MARK]!).filter(
    (pid) => pid !== process.pid && pid !== terminal.pid,
  );
  expect(left).toEqual([]);
  const { code, output, reports } = await terminal.ended;
  expect(reports).toHaveLength(1);
  const [{ changed, ...error }] = reports;
  expect(output).toContain(error.message);
  expect(changed).toBeUndefined();
  expect(code).toBe(1);
  return error;
}

/** `JSON.stringify` for a program's source. */
const literal = (value: unknown) => JSON.stringify(value);

describe('bad input', () => {
  const type = 'ERR_INVALID_ARG_TYPE';
  const value = 'ERR_INVALID_ARG_VALUE';
  const range = 'ERR_OUT_OF_RANGE';

  test('is refused on the terminal, and nothing is left', async () => {
    const folder = temporaryFolder();
    const log = join(folder, 'log');
    const error = await refusal(failing(`daemonize({ log: ${literal(log)}, colour: 'red' })`));
    expect(error.code).toBe(value);
    expect(error.message).toMatch(/Unknown option "colour" in options\. Known are: cwd, umask, /);
    expect(readdirSync(folder)).toEqual([]);
  });

  const CASES: [string, string, string][] = [
    ['null', type, 'options'],
    [`'/log'`, type, 'options'],
    ['{ colour: 1 }', value, 'colour'],
    ['{ cwd: 5 }', type, 'options.cwd'],
    [`{ cwd: '/a\\0b' }`, value, 'options.cwd'],
    [`{ umask: '022' }`, type, 'options.umask'],
    ['{ umask: 0o1000 }', range, 'options.umask'],
    ['{ umask: -1 }', range, 'options.umask'],
    ['{ stdin: true }', type, 'options.stdin'],
    ['{ stdout: -1 }', range, 'options.stdout'],
    ['{ stderr: 1.5 }', range, 'options.stderr'],
    [`{ log: '' }`, value, 'options.log'],
    ['{ log: {} }', type, 'options.log.file'],
    [`{ log: { file: '/tmp/x', mode: '600' } }`, type, 'options.log.mode'],
    [`{ log: { file: '/tmp/x', mode: 0o10000 } }`, range, 'options.log.mode'],
    [`{ log: { file: '/tmp/x', append: 'yes' } }`, type, 'options.log.append'],
    ['{ keepFds: 3 }', type, 'options.keepFds'],
    ['{ keepFds: [3, -1] }', range, 'options.keepFds[1]'],
    [`{ keepFds: ['3'] }`, type, 'options.keepFds[0]'],
    [`{ env: 'A=1' }`, type, 'options.env'],
    ['{ env: { A: 1 } }', type, 'options.env.A'],
    [`{ env: { 'A=B': '1' } }`, range, 'options.env'],
    [`{ env: { '': '1' } }`, range, 'options.env'],
    ['{ title: 5 }', type, 'options.title'],
    [`{ ready: 'soon' }`, range, 'options.ready'],
    [`{ readyTimeout: '5' }`, type, 'options.readyTimeout'],
    ['{ readyTimeout: -1 }', range, 'options.readyTimeout'],
    ['{ readyTimeout: 2 ** 31 }', range, 'options.readyTimeout'],
    ['{ quiesceTimeout: NaN }', range, 'options.quiesceTimeout'],
    [`{ detach: 'maybe' }`, range, 'options.detach'],
    [`{ commands: { rotate: 'SIGUSR2' } }`, range, 'options.commands.rotate'],
  ];

  test('of every kind is named', async () => {
    const { reports, code } = await run(`
      ${STATE}
      const before = state();
      for (const options of [${CASES.map(([options]) => options).join(', ')}]) {
        try { daemonize(options); } catch ({ code, message }) { report([code, message]); }
      }
      report(before === state());
    `);
    expect(code).toBe(0);
    expect(reports.pop()).toBe(true);
    expect(reports).toHaveLength(CASES.length);
    for (const [index, [options, code, name]] of CASES.entries()) {
      expect([options, reports[index][0]]).toEqual([options, code]);
      expect(reports[index][1]).toContain(name);
    }
  });
});

describe('files', () => {
  test('a log in a folder that is missing', async () => {
    const folder = temporaryFolder();
    const log = join(folder, 'missing', 'log');
    const error = await refusal(failing(`daemonize({ log: ${literal(log)} })`));
    expect(error).toMatchObject({ code: 'ENOENT', syscall: 'open', path: log });
    expect(readdirSync(folder)).toEqual([]);
  });

  test('a log that is a folder', async () => {
    const folder = temporaryFolder();
    const error = await refusal(failing(`daemonize({ log: ${literal(folder)} })`));
    expect(error).toMatchObject({ code: 'EISDIR', syscall: 'open', path: folder });
  });

  test.skipIf(!isRoot)('a log that is not writable', async () => {
    const folder = temporaryFolder();
    chmodSync(folder, 0o755);
    const log = join(folder, 'log');
    writeFileSync(log, 'root only', { mode: 0o600 });
    const command = ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups'];
    const open = temporaryFolder();
    chmodSync(open, 0o777);
    const options = { stdout: join(open, 'created'), stderr: log };
    const error = await refusal(failing(`daemonize(${literal(options)})`), { command });
    expect(error).toMatchObject({ code: 'EACCES', syscall: 'open', path: log });
    expect(readFileSync(log, 'utf8')).toBe('root only');
    expect(readdirSync(open)).toEqual([]);
  });

  test('a file that was created for the start is removed again', async () => {
    const folder = temporaryFolder();
    writeFileSync(join(folder, 'old'), 'old\n');
    const options = {
      stdout: join(folder, 'new'),
      stderr: join(folder, 'missing', 'error'),
      stdin: join(folder, 'old'),
    };
    const error = await refusal(failing(`daemonize(${literal(options)})`));
    expect(error).toMatchObject({ code: 'ENOENT', path: options.stderr });
    expect(readdirSync(folder)).toEqual(['old']);
    expect(readFileSync(join(folder, 'old'), 'utf8')).toBe('old\n');
  });

  test('a log is not emptied by a start that fails', async () => {
    const folder = temporaryFolder();
    const log = join(folder, 'log');
    writeFileSync(log, 'old\n');
    const options = {
      stdout: { file: log, append: false },
      stderr: join(folder, 'missing', 'error'),
    };
    await refusal(failing(`daemonize(${literal(options)})`));
    expect(readFileSync(log, 'utf8')).toBe('old\n');
  });

  test('stdin that is missing', async () => {
    const file = join(temporaryFolder(), 'missing');
    const error = await refusal(failing(`daemonize({ stdin: ${literal(file)} })`));
    expect(error).toMatchObject({ code: 'ENOENT', syscall: 'open', path: file });
  });

  test('a descriptor that is not open', async () => {
    const error = await refusal(failing('daemonize({ stdout: 99 })'));
    expect(error).toMatchObject({ code: 'EBADF', syscall: 'dup' });
  });

  test.each([
    ['missing', 'ENOENT', 'stat'],
    ['file', 'ENOTDIR', 'chdir'],
  ])('a cwd that is a %s', async (name, code, syscall) => {
    const folder = temporaryFolder();
    writeFileSync(join(folder, 'file'), '');
    const cwd = join(folder, name);
    const options = { cwd, log: join(folder, 'log') };
    const error = await refusal(failing(`daemonize(${literal(options)})`));
    expect(error).toMatchObject({ code, syscall, path: cwd });
    expect(readdirSync(folder)).toEqual(['file']);
  });

  test.skipIf(!isRoot)('a cwd that may not be entered', async () => {
    const folder = temporaryFolder();
    chmodSync(folder, 0o755);
    const cwd = join(folder, 'closed');
    mkdirSync(cwd, { mode: 0o700 });
    const command = ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups'];
    const error = await refusal(failing(`daemonize({ cwd: ${literal(cwd)} })`), { command });
    expect(error).toMatchObject({ code: 'EACCES', path: cwd });
  });

  test('a cwd that goes away after it was checked', async () => {
    const folder = temporaryFolder();
    const cwd = join(folder, 'cwd');
    mkdirSync(cwd);
    // The error comes in the daemon; its launcher tells of it.
    const { code, output, reports } = await Terminal.start(`
      const { chdir } = process;
      process.chdir = (path) => { fs.rmdirSync(path); chdir(path); };
      daemonize({ keepFds: [3], ...${literal({ cwd, log: join(folder, 'log') })} });
      report('still alive');
    `).ended;
    expect(output).toMatch(/cannot change to the directory .*: there is no such file or directory/);
    expect({ code, reports }).toEqual({ code: 1, reports: [] });
    expect(readdirSync(folder)).toEqual([]);
  });

  test('a relative path where the working directory is gone', async () => {
    const { code, stderr } = await run(`
      process.chdir(fs.mkdtempSync('/tmp/doublefork-'));
      fs.rmdirSync(process.cwd());
      daemonize({ log: 'log' });
    `);
    expect(code).toBe(1);
    expect(stderr).toMatch(/cannot open .*\/log: there is no such file or directory/);
  });
});

describe('the system', () => {
  test.skipIf(!isRoot || !hasFork)(
    '/proc is missing: there is no fork, but another image',
    async () => {
      const source = `
      try {
        daemonize({ engine: 'fork' });
      } catch (error) {
        console.log(error.code, error.message, doublefork.forkSupport());
      }
      daemonize({ keepFds: [3] });
      report(process.pid);
    `;
      const { code, stderr, stdout, reports, pid } = await execute('unshare', [
        ...['--mount', 'sh', '-c', 'umount --lazy /proc && exec "$@"', 'sh'],
        ...[node, ...inline(source)],
      ]);
      expect(stdout).toMatch(/^E\w+ .*\/proc.* \{ supported: false, reason: '.*\/proc.*' \}\n$/);
      expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
      expect(reports[0]).not.toBe(pid);
    },
  );

  test.skipIf(!isRoot)('/dev/null is missing', async () => {
    const command = ['unshare', '--mount', 'sh', '-c'];
    const hide = 'mount -t tmpfs none /mnt && mount --bind /mnt /dev && exec "$@"';
    const error = await refusal(failing('daemonize()'), { command: [...command, hide, 'sh'] });
    expect(error).toMatchObject({ code: 'ENOENT', syscall: 'open', path: '/dev/null' });
  });

  test.skipIf(!isRoot)('the user has too many processes (RLIMIT_NPROC)', async () => {
    const folder = temporaryFolder();
    chmodSync(folder, 0o777);
    const log = join(folder, 'log');
    const error = await refusal(
      failing(
        `daemonize({ log: ${literal(log)} })`,
        `
          import { execFileSync } from 'node:child_process';
          execFileSync('prlimit', ['--pid', String(process.pid), '--nproc=1:1']);
        `,
      ),
      { command: ['setpriv', '--reuid=65533', '--regid=65533', '--clear-groups'] },
    );
    expect(error).toMatchObject({ code: 'EAGAIN', syscall: 'fork' });
    expect(readdirSync(folder)).toEqual([]);
  });

  /** execs a program for which clone(2) of a process, not that of a thread, fails with an errno. */
  const refuseClone = (errno: number) => {
    const number = process.arch === 'arm64' ? 220 : 56;
    const prctl = process.arch === 'arm64' ? 167 : 157;
    const CLONE_THREAD = 0x10000;
    return [
      'perl',
      '-e',
      // ld nr; jeq clone; ld flags; jset CLONE_THREAD; ret ERRNO; ret ALLOW: seccomp(2), bpf(4).
      `$filter = pack('SCCL' x 6, 0x20, 0, 0, 0, 0x15, 0, 3, ${number}, 0x20, 0, 0, 16,
         0x45, 1, 0, ${CLONE_THREAD}, 6, 0, 0, 0x50000 | ${errno}, 6, 0, 0, 0x7fff0000);
       $program = pack('S x6 P', 6, $filter);
       syscall(${prctl}, 38, 1, 0, 0, 0) == 0 or die "no_new_privs: $!";
       syscall(${prctl}, 22, 2, $program) == 0 or die "seccomp: $!";
       exec @ARGV`,
    ];
  };

  test('there is no memory for another process', async () => {
    const folder = temporaryFolder();
    const log = join(folder, 'log');
    const error = await refusal(failing(`daemonize({ log: ${literal(log)} })`), {
      command: refuseClone(12),
    });
    expect(error).toMatchObject({ code: 'ENOMEM', syscall: 'fork' });
    expect(readdirSync(folder)).toEqual([]);
  });

  testContinuing('after a refusal the program works on, and a later call succeeds', async () => {
    const { code, reports } = await run(`
      import { Worker } from 'node:worker_threads';
      import { once } from 'node:events';
      const worker = new Worker('for (;;);', { eval: true });
      await once(worker, 'online');
      try { daemonize({ keepFds: [3], quiesceTimeout: 100 }); } catch (error) { report(error.code); }
      await worker.terminate();
      await fs.promises.readFile('/proc/self/stat');
      daemonize({ keepFds: [3] });
      report('daemon');
    `);
    expect({ code, reports }).toEqual({ code: 0, reports: ['EBUSY', 'daemon'] });
  });
});

describe('the program', () => {
  testContinuing('a thread does not come to rest', async () => {
    const folder = temporaryFolder();
    const log = join(folder, 'log');
    const error = await refusal(
      failing(
        `daemonize({ quiesceTimeout: 200, log: ${literal(log)} })`,
        `
          import { Worker } from 'node:worker_threads';
          import { once } from 'node:events';
          const worker = new Worker('for (;;);', { eval: true });
          await once(worker, 'online');
          worker.unref();
        `,
      ),
    );
    expect(error.code).toBe('EBUSY');
    expect(error.message).toMatch(/thread/);
    expect(readdirSync(folder)).toEqual([]);
  });

  test('it is called from a Worker', async () => {
    const { code, output } = await Terminal.start(`
      import { Worker } from 'node:worker_threads';
      new Worker("import('doublefork').then(({ daemonize }) => daemonize())", { eval: true });
    `).ended;
    expect(output).toContain('daemonize() works from the main thread only, not from a Worker');
    expect(output).toContain('ERR_NOT_MAIN_THREAD');
    expect(code).toBe(1);
  });

  test('it is called twice', async () => {
    const { code, output } = await Terminal.start(`
      daemonize({ keepFds: [3], ready: 'manual' });
      daemonize({ keepFds: [3] });
    `).ended;
    expect(output).toContain('daemonize() was called before: this process is a daemon already');
    expect(output).toContain('ERR_ALREADY_DAEMON');
    expect(code).toBe(1);
  });

  test('it is called twice in the foreground', async () => {
    const { code, stderr } = await run(`
      daemonize({ detach: 'never' });
      daemonize({ detach: 'never' });
    `);
    expect(stderr).toContain('ERR_ALREADY_DAEMON');
    expect(code).toBe(1);
  });

  test.each([
    ['spawn', `spawn('sleep', ['1000'], { stdio: 'ignore' })`],
    ['exec', `exec('exec sleep 1000 >/dev/null')`],
    ['fork', `fork('-e', ['setInterval(() => {}, 1e6)'])`],
  ])('child processes are running: %s', async (_name, start) => {
    const source = `
      import { exec, fork as forkNode, spawn } from 'node:child_process';
      import { once } from 'node:events';
      const child = ${start.replace('fork(', 'forkNode(')};
      await once(child, 'spawn');
      process.on('exit', () => child.kill('SIGKILL'));
      try {
        daemonize({ keepFds: [3] });
      } catch (error) {
        report([error.code, error.message.includes('pid ' + child.pid)]);
        throw error;
      }
    `;
    const { code, stderr, reports } = await run(source);
    expect(reports).toEqual([['EBUSY', true]]);
    expect(stderr).toMatch(/child processes are running \(pid \d+ \S+\); start them after/);
    expect(code).toBe(1);
  });

  test('a child process that has ended is no trouble', async () => {
    const { code, reports } = await run(`
      import { spawn } from 'node:child_process';
      import { once } from 'node:events';
      await once(spawn('true'), 'close');
      daemonize({ keepFds: [3] });
      report('daemon');
    `);
    expect({ code, reports }).toEqual({ code: 0, reports: ['daemon'] });
  });
});
