// C14, C16, and files and folders that are not as they should be.

import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  linkSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { Pidfile } from 'doublefork';
import { describe, expect, test } from 'vitest';
import { hasFork, testFork } from '../../support/engine.js';
import { temporaryFolder } from '../../support/folder.js';
import { node, root } from '../../support/node.js';
import { until } from '../../support/processes.js';
import { execute, inline, type RunOptions, run } from '../../support/program.js';
import { unprivileged } from '../../support/root.js';

const isRoot = process.getuid?.() === 0;

/** Starts a daemon with a pidfile; it reports what it finds in there, and exits. */
const start = (file: string, then = '', options: RunOptions = {}) =>
  run(
    `const { Pidfile } = doublefork;
     const file = process.argv[1];
     daemonize({ pidfile: file, keepFds: [3] });
     report(fs.readFileSync(file, 'latin1') === process.pid + '\\n');
     ${then}`,
    { args: [file], ...options },
  );

describe('C14: a pidfile that nobody has locked does not stop a start', () => {
  const dead = 2 ** 22 - 7;
  for (const [what, content, names] of [
    ['a dead process', `${dead}\n`, dead],
    ['nothing', '', undefined],
    ['garbage', 'garbage\n', undefined],
    ['much garbage', 'x'.repeat(10_000), undefined],
    ['0', '0\n', undefined],
    ['-1', '-1\n', undefined],
    ['more than a pid can be', '99999999999\n', undefined],
    ['a foreign live process', `${process.ppid}\n`, process.ppid],
    ['init', '1\n', 1],
    ['the process that asks', `${process.pid}\n`, process.pid],
  ] as const) {
    test(`it holds ${what}`, async () => {
      const file = `${temporaryFolder()}/pid`;
      writeFileSync(file, content);
      expect(Pidfile.inspect(file)).toMatchObject({ state: 'stale', pid: names });
      expect(readFileSync(file, 'utf8')).toBe(content);
      const { code, reports, stderr } = await start(file);
      expect({ code, stderr, reports }).toEqual({ code: 0, stderr: '', reports: [true] });
      expect(existsSync(file)).toBe(false);
    });
  }

  test('its own pid, in the file before the start', async () => {
    const file = `${temporaryFolder()}/pid`;
    // fork() until the number comes round is not needed: a file that names the launcher will do.
    const { code, reports } = await run(
      `const file = process.argv[1];
       fs.writeFileSync(file, process.pid + '\\n');
       daemonize({ pidfile: file, keepFds: [3] });
       report(fs.readFileSync(file, 'latin1') === process.pid + '\\n');`,
      { args: [file] },
    );
    expect({ code, reports }).toEqual({ code: 0, reports: [true] });
  });
});

test('signals that come while it waits for the name of the winner do no harm', async () => {
  const { reports, stderr } = await run(
    `const { spawn } = await import('node:child_process');
     const file = process.argv[1];
     const winner = posix.open(file, fs.constants.O_RDWR | fs.constants.O_CREAT | posix.O_CLOEXEC, 0o600);
     posix.flock(winner, posix.LOCK_EX);
     const heard = new Promise((resolve) => process.on('SIGUSR2', resolve));
     const signals = spawn('sh', ['-c', 'while kill -USR2 ' + process.pid + '; do :; done']);
     await heard;
     try { doublefork.Pidfile.acquire(file); } catch ({ code, message }) { report([code, message]); }
     signals.kill('SIGKILL');
     process.exit();`,
    { args: [`${temporaryFolder()}/pid`] },
  );
  const message = expect.stringContaining('is already being started by another process');
  expect({ reports, stderr }).toEqual({ reports: [['EEXIST', message]], stderr: '' });
});

test('the daemon can inspect and read its own pidfile without losing it', async () => {
  const file = `${temporaryFolder()}/pid`;
  const outside = `
    import { join } from 'node:path';
import { Pidfile } from 'doublefork';
    process.stdout.write(JSON.stringify(Pidfile.inspect(process.argv[1])));`;
  const { reports } = await start(
    file,
    `const { execFileSync } = await import('node:child_process');
     const ask = () => JSON.parse(execFileSync(process.execPath,
       ['--input-type=module', '-e', ${JSON.stringify(outside)}, '--', file],
       { cwd: ${JSON.stringify(root)}, encoding: 'utf8' }));
     report([Pidfile.inspect(file).state, ask().state]);
     fs.readFileSync(file);
     report([Pidfile.inspect(file).state, ask().state, ask().pid === process.pid]);`,
  );
  expect(reports).toEqual([true, ['held', 'held'], ['held', 'held', true]]);
});

/** In front of a command line: /proc shows the processes of its user only. */
const HIDING = ['-m', 'sh', '-c', 'mount -t proc -o hidepid=1 proc /proc && exec "$@"', 'sh'];
const canHide = spawnSync('unshare', [...HIDING, 'true']).status === 0;

test.skipIf(!canHide)('a daemon of another user is seen where /proc hides it', async () => {
  const folder = temporaryFolder();
  chmodSync(folder, 0o755);
  const file = `${folder}/pid`;
  const pidfile = Pidfile.acquire(file);
  pidfile.write();
  const { reports, stderr } = await execute('unshare', [
    ...HIDING,
    ...unprivileged,
    node,
    ...inline('report(doublefork.Pidfile.inspect(process.argv[1]));', { args: [file] }),
  ]);
  pidfile.remove();
  expect(stderr).toBe('');
  expect(reports).toMatchObject([{ state: 'held', pid: process.pid }]);
});

test('C16: descendants do not hold the lock', async () => {
  const file = `${temporaryFolder()}/pid`;
  const { code, reports } = await start(
    file,
    `const { spawn } = await import('node:child_process');
     const child = spawn('/bin/sleep', ['100'], { stdio: 'ignore', detached: true });
     child.once('spawn', () => {
       const fds = '/proc/' + child.pid + '/fd/';
       report(fs.readdirSync(fds).flatMap((fd) => {
         // Its loader is opening and closing libraries meanwhile: what counts is where they lead.
         try { return fs.readlinkSync(fds + fd); } catch { return []; }
       }));
       report(child.pid);
       process.kill(process.pid, 'SIGKILL');
     });`,
  );
  expect(code).toBe(0);
  const [, files, child] = reports;
  expect(files.slice(0, 3)).toEqual(['/dev/null', '/dev/null', '/dev/null']);
  expect(files).not.toContain(file);
  // A dying process closes its descriptors one by one, fd 3 before the lock's.
  await until(() => Pidfile.inspect(file).state === 'stale', 'the lock is gone');
  expect((await start(file)).code).toBe(0);
  process.kill(child, 'SIGKILL');
});

testFork('a forked child does not have the lock, nor does its exit remove the file', async () => {
  const file = `${temporaryFolder()}/pid`;
  const { reports } = await start(
    file,
    `const child = fork();
     if (child === 0) process.exit();
     posix.waitpid(child);
     report([fs.existsSync(file), Pidfile.inspect(file).state]);`,
  );
  expect(reports).toEqual([true, [true, 'held']]);
  expect(existsSync(file)).toBe(false);
});

test('C16: a symbolic link is refused, and what it leads to stays as it is', async () => {
  const dir = temporaryFolder();
  writeFileSync(`${dir}/target`, 'precious');
  symlinkSync('target', `${dir}/pid`);
  const { code, stderr, reports } = await start(`${dir}/pid`);
  expect({ code, reports }).toEqual({ code: 1, reports: [] });
  expect(stderr).toContain('ELOOP');
  expect(readFileSync(`${dir}/target`, 'utf8')).toBe('precious');
});

test('a hard link, a folder, a named pipe and a file that everybody may write to are refused', async () => {
  const dir = temporaryFolder();
  writeFileSync(`${dir}/target`, 'precious');
  linkSync(`${dir}/target`, `${dir}/hard`);
  mkdirSync(`${dir}/folder`);
  await execute('mkfifo', [`${dir}/fifo`]);
  writeFileSync(`${dir}/open`, '');
  chmodSync(`${dir}/open`, 0o666);
  for (const [name, error] of [
    ['hard', 'EMLINK'],
    ['folder', 'EISDIR'],
    ['fifo', 'EINVAL'],
    ['open', 'EPERM'],
  ]) {
    const { code, stderr } = await start(`${dir}/${name}`);
    expect(code).toBe(1);
    expect(stderr).toContain(error);
  }
  expect(readFileSync(`${dir}/target`, 'utf8')).toBe('precious');
});

test('the mode is as asked for, whatever the umask', async () => {
  const dir = temporaryFolder();
  const { reports } = await run(
    `process.umask(0o077);
     daemonize({ pidfile: process.argv[1], keepFds: [3] });
     report(fs.statSync(process.argv[1]).mode & 0o777);`,
    { args: [`${dir}/usual`] },
  );
  expect(reports).toEqual([0o644]);
  const asked = await run(
    `daemonize({ pidfile: { file: process.argv[1], mode: 0o640 }, keepFds: [3] });
     report(fs.statSync(process.argv[1]).mode & 0o777);`,
    { args: [`${dir}/asked`] },
  );
  expect(asked.reports).toEqual([0o640]);
  const wrong = await run(`daemonize({ pidfile: { file: '/nowhere', mode: 0o666 } });`);
  expect(wrong.code).toBe(1);
  expect(wrong.stderr).toContain('ERR_OUT_OF_RANGE');
});

test('a start that fails after it has locked the pidfile leaves none', async () => {
  const dir = temporaryFolder();
  const { code, stderr } = await run(
    `daemonize({ pidfile: process.argv[1] + '/pid', log: process.argv[1] + '/missing/log' });`,
    { args: [dir] },
  );
  expect(code).toBe(1);
  expect(stderr).toContain('ENOENT');
  expect(readdirSync(dir)).toEqual([]);
});

test('a folder that is not there: ENOENT, with the path', async () => {
  const { code, stderr } = await start('/nowhere/at/all/pid');
  expect(code).toBe(1);
  expect(stderr).toContain('cannot open /nowhere/at/all/pid: there is no such file or directory');
});

/** A shell script with a mount namespace of its own. */
const inNamespace = (script: string, options: RunOptions = {}) =>
  execute('unshare', ['--mount', '--propagation', 'private', 'sh', '-euc', script], options);

const program = (dir: string) =>
  `"${node}" --input-type=module -e "import { daemonize } from 'doublefork'; daemonize({ pidfile: '${dir}/m/pid' })"`;

test.skipIf(!isRoot)('a full disk: the start fails and leaves no half-written file', async () => {
  const dir = temporaryFolder();
  mkdirSync(`${dir}/m`);
  const { stdout, stderr, code } = await inNamespace(
    `mount -t tmpfs -o size=4k tmpfs ${dir}/m
     echo x >${dir}/m/full
     set +e
     ${program(dir)}
     echo "exit $?"
     ls ${dir}/m`,
  );
  expect(stderr).toContain('no space is left on the device');
  expect({ code, stdout }).toEqual({ code: 0, stdout: 'exit 1\nfull\n' });
});

test.skipIf(!isRoot)('a read-only folder: EROFS, and nothing has started', async () => {
  const dir = temporaryFolder();
  mkdirSync(`${dir}/m`);
  const { stdout, stderr } = await inNamespace(
    `mount -t tmpfs -o ro tmpfs ${dir}/m
     set +e
     ${program(dir)}
     echo "exit $?"`,
  );
  expect(stderr).toContain('EROFS');
  expect(stdout).toBe('exit 1\n');
});

test.skipIf(!isRoot || !hasFork)('another user may ask whether it runs', async () => {
  const dir = temporaryFolder();
  chmodSync(dir, 0o755);
  const { reports } = await run(
    `daemonize({ pidfile: process.argv[1], keepFds: [3] });
     const child = fork();
     if (child === 0) {
       process.setegid(65534);
       process.seteuid(65534);
       const found = doublefork.Pidfile.inspect(process.argv[1]);
       report([found.state, found.pid === process.ppid]);
       posix._exit(0);
     }
     posix.waitpid(child);`,
    { args: [`${dir}/pid`] },
  );
  expect(reports).toEqual([['held', true]]);
});

test.skipIf(!isRoot)('a pidfile of another user cannot be taken, only read', async () => {
  const dir = temporaryFolder();
  chmodSync(dir, 0o755);
  writeFileSync(`${dir}/pid`, '7\n');
  const before = statSync(`${dir}/pid`);
  const { code, stderr, reports } = await run(
    `process.setegid(65534);
     process.seteuid(65534);
     report(doublefork.Pidfile.inspect(process.argv[1]).state);
     daemonize({ pidfile: process.argv[1] });`,
    { args: [`${dir}/pid`] },
  );
  expect(code).toBe(1);
  expect(stderr).toContain('EACCES');
  expect(reports).toEqual(['stale']);
  expect(statSync(`${dir}/pid`).mtimeMs).toBe(before.mtimeMs);
});

test('a file that is replaced between open and lock is not the one that is held', async () => {
  const file = join(temporaryFolder(), 'pid');
  writeFileSync(file, '');
  // The moment is held fast in the call that looks at the open file before it is locked.
  const hook = `
    import fs from 'node:fs';
    const { fstatSync } = fs;
    const { PIDFILE } = process.env;
    fs.fstatSync = (fd, ...rest) => {
      if (!globalThis.replaced && fs.readlinkSync('/proc/self/fd/' + fd) === PIDFILE) {
        globalThis.replaced = true;
        fs.renameSync(PIDFILE, PIDFILE + '.old');
        fs.writeFileSync(PIDFILE, '');
      }
      return fstatSync(fd, ...rest);
    };`;
  const { reports } = await run(
    `const pidfile = doublefork.Pidfile.acquire(process.env.PIDFILE);
     report([globalThis.replaced, fs.fstatSync(pidfile.fd).ino === fs.statSync(pidfile.path).ino]);`,
    {
      flags: ['--import', `data:text/javascript,${encodeURIComponent(hook)}`],
      env: { PIDFILE: file },
    },
  );
  expect(reports).toEqual([[true, true]]);
});
