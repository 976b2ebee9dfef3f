// C10: who the daemon is, with both engines, detached and in the foreground.

import {
  chmodSync,
  copyFileSync,
  readdirSync,
  readFileSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { getgrouplist, getpwnam } from 'doublefork/posix';
import { describe, expect, test } from 'vitest';
import { hasFork, variants } from '../../support/engine.js';
import { temporaryFolder } from '../../support/folder.js';
import { root as checkout, node } from '../../support/node.js';
import { execute, inline, launch, run, start } from '../../support/program.js';
import { isRoot, testAsRoot, unprivileged } from '../../support/root.js';

const STAY = 'report(process.pid); setInterval(() => {}, 1e6);';

const literal = (value: unknown) => JSON.stringify(value);

/** The same field of every thread: one value, if they agree. */
function everyThread(pid: number, field: string): string[] {
  const values = readdirSync(`/proc/${pid}/task`).map((tid) => {
    const text = readFileSync(`/proc/${pid}/task/${tid}/status`, 'utf8');
    return new RegExp(`^${field}:\\s*(.*?)\\s*$`, 'm').exec(text)![1]!.replaceAll('\t', ' ');
  });
  expect(values.length).toBeGreaterThan(4);
  return [...new Set(values)];
}

/** Starts a daemon with options, has a look at it from outside, and ends it. */
async function daemon(
  options: object,
  look: (pid: number) => void,
  { before = '', after = STAY }: { before?: string; after?: string } = {},
) {
  const program = start(
    `${before}; daemonize({ keepFds: [3], ready: 'manual', ...${literal(options)} }).ready(); ${after}`,
  );
  const pid: number = await program.report();
  try {
    look(pid);
  } finally {
    process.kill(pid);
  }
  return program.ended;
}

const four = (id: number) => Array(4).fill(id).join(' ');
const nobody = getpwnam('nobody')!;
const groups = isRoot ? getgrouplist('nobody', nobody.gid).sort((a, b) => a - b) : [];

describe.each(variants)('C10 engine %s, detach %s', (engine, detach) => {
  const chosen = { engine, detach };

  testAsRoot('C10 a user: all ids of all threads, with the groups of the user', () =>
    daemon({ ...chosen, user: 'nobody' }, (pid) => {
      expect(everyThread(pid, 'Uid')).toEqual([four(nobody.uid)]);
      expect(everyThread(pid, 'Gid')).toEqual([four(nobody.gid)]);
      expect(everyThread(pid, 'Groups')).toEqual([groups.join(' ')]);
      for (const set of ['CapInh', 'CapPrm', 'CapEff', 'CapAmb']) {
        expect(everyThread(pid, set)).toEqual(['0000000000000000']);
      }
    }),
  );

  testAsRoot('C10 threads that come later have them too', () =>
    daemon(
      { ...chosen, user: 'nobody', noNewPrivileges: true },
      (pid) => {
        expect(readdirSync(`/proc/${pid}/task`).length).toBeGreaterThan(10);
        expect(everyThread(pid, 'Uid')).toEqual([four(nobody.uid)]);
        expect(everyThread(pid, 'NoNewPrivs')).toEqual(['1']);
      },
      {
        before: `
          import { Worker } from 'node:worker_threads';
          import { once } from 'node:events';
          const wait = () => once(new Worker('setInterval(() => {}, 1e6)', { eval: true }), 'online');
          await wait();`,
        after: `await fs.promises.readFile('/proc/self/stat'); await wait(); ${STAY}`,
      },
    ),
  );

  testAsRoot('C10 a group, supplementary groups and a user without an entry, by id', () =>
    daemon({ ...chosen, user: 54321, group: 'daemon', groups: [7, 'mail', 9] }, (pid) => {
      expect(everyThread(pid, 'Uid')).toEqual([four(54321)]);
      expect(everyThread(pid, 'Gid')).toEqual([four(1)]);
      expect(everyThread(pid, 'Groups')).toEqual(['7 8 9']);
    }),
  );

  testAsRoot('C10 a group alone leaves no group of root', () =>
    daemon({ ...chosen, group: 'daemon' }, (pid) => {
      expect(everyThread(pid, 'Uid')).toEqual([four(0)]);
      expect(everyThread(pid, 'Gid')).toEqual([four(1)]);
      expect(everyThread(pid, 'Groups')).toEqual(['1']);
    }),
  );

  testAsRoot('C10 capabilities: kept in five sets, by every thread, and of use', () =>
    daemon(
      { ...chosen, user: 'nobody', capabilities: ['CAP_NET_BIND_SERVICE'] },
      (pid) => {
        for (const set of ['CapInh', 'CapPrm', 'CapEff', 'CapBnd', 'CapAmb']) {
          expect(everyThread(pid, set)).toEqual(['0000000000000400']);
        }
      },
      {
        after: `
          import { createServer } from 'node:net';
          createServer().listen(81, '127.0.0.1', () => { ${STAY} });
        `,
      },
    ),
  );

  testAsRoot('C10 capabilities of root can be limited as well', () =>
    daemon({ ...chosen, capabilities: ['kill', 'chown'] }, (pid) => {
      expect(everyThread(pid, 'Uid')).toEqual([four(0)]);
      expect(everyThread(pid, 'CapEff')).toEqual(['0000000000000021']);
      expect(everyThread(pid, 'CapBnd')).toEqual(['0000000000000021']);
    }),
  );

  testAsRoot(
    'C10 log and pidfile are opened as root; the log is the user’s to open again',
    async () => {
      const folder = temporaryFolder();
      chmodSync(folder, 0o711);
      const [log, pidfile] = [join(folder, 'log'), join(folder, 'pid')];
      await daemon(
        { ...chosen, user: 'nobody', log, pidfile },
        (pid) => {
          expect(readFileSync(pidfile, 'utf8')).toBe(`${pid}\n`);
          expect(readFileSync(log, 'utf8')).toBe('one\nEACCES\n');
          expect(statSync(log).uid).toBe(nobody.uid);
        },
        {
          after: `
          console.log('one');
          fs.appendFileSync(${literal(log)}, '');
          try { fs.writeFileSync(${literal(join(folder, 'new'))}, ''); } catch (e) { console.log(e.code); }
          ${STAY}
        `,
        },
      );
    },
  );

  testAsRoot('root cannot be had back: not in eight ways', async () => {
    const folder = temporaryFolder();
    chmodSync(folder, 0o755);
    const setuid = join(folder, 'id');
    copyFileSync('/usr/bin/id', setuid);
    chmodSync(setuid, 0o4755);
    const secret = join(folder, 'secret');
    writeFileSync(secret, 'secret', { mode: 0o600 });
    const { reports } = await run(`
          daemonize({ keepFds: [3], user: 'nobody', noNewPrivileges: true, ...${literal(chosen)} });
          import { execFileSync } from 'node:child_process';
          import { Worker } from 'node:worker_threads';
          const ways = {
            setuid: () => process.setuid(0),
            seteuid: () => process.seteuid(0),
            setresuid: () => posix.setresuid(0, 0, 0),
            'the saved id': () => posix.setresuid(-1, 0, -1),
            setresgid: () => posix.setresgid(0, 0, 0),
            setgroups: () => posix.setgroups([0]),
            initgroups: () => posix.initgroups('root', 0),
            chroot: () => posix.chroot('/'),
            'nice, which root may lower': () => posix.nice(-1),
            'a signal to init': () => posix.kill(1, 0, { dangerous: true }),
            "root's file": () => fs.readFileSync(${literal(secret)}),
            "root's file, in another thread": () => fs.promises.readFile(${literal(secret)}),
            'a thread of before': async () => { throw { code: await new Promise((resolve) =>
              fs.open(${literal(secret)}, 'w', (error) => resolve(error?.code))) }; },
            'setpriv(1)': () => execFileSync('setpriv', ['--reuid=0', 'true'], { stdio: 'ignore' }),
            'a setuid program': () => {
              const user = execFileSync(${literal(setuid)}, ['-u'], { encoding: 'utf8' }).trim();
              if (user !== '0') throw { code: 'still ' + user };
            },
          };
          const outcome = {};
          for (const [name, attempt] of Object.entries(ways)) {
            try { await attempt(); outcome[name] = 'root!'; }
            catch (error) { outcome[name] = error.code ?? 'exit ' + error.status; }
          }
          report(outcome);
    `);
    expect(reports[0]).toEqual({
      setuid: 'EPERM',
      seteuid: 'EPERM',
      setresuid: 'EPERM',
      'the saved id': 'EPERM',
      setresgid: 'EPERM',
      setgroups: 'EPERM',
      initgroups: 'EPERM',
      chroot: 'EPERM',
      'nice, which root may lower': expect.stringMatching(/^E(PERM|ACCES)$/),
      'a signal to init': 'EPERM',
      "root's file": 'EACCES',
      "root's file, in another thread": 'EACCES',
      'a thread of before': 'EACCES',
      'setpriv(1)': expect.stringMatching(/^exit \d+$/),
      'a setuid program': `still ${nobody.uid}`,
    });
  });

  describe('C10 a step that fails ends the start', () => {
    /** As a user who is not root; stdout tells whether the program went on. */
    async function refused(options: object) {
      const folder = temporaryFolder();
      chmodSync(folder, 0o777);
      const all = { ...chosen, log: join(folder, 'log'), pidfile: join(folder, 'pid'), ...options };
      const { code, stderr, stdout } = await execute(unprivileged[0]!, [
        ...unprivileged.slice(1),
        node,
        ...inline(`daemonize(${literal(all)}); fs.writeSync(1, 'went on');`),
      ]);
      expect({ code, stdout, left: readdirSync(folder) }).toEqual({
        code: 1,
        stdout: '',
        left: [],
      });
      return stderr;
    }

    test.each([
      [{ user: 'no-such-user' }, 'there is no user no-such-user'],
      [{ group: 'no-such-group' }, 'there is no group no-such-group'],
      [{ groups: [1, 'nogrp'] }, 'there is no group nogrp'],
      [{ chroot: '/no/such/folder', cwd: '/' }, ': there is no such file or directory'],
      [{ capabilities: ['fly'] }, 'The value of "options.capabilities[0]" is out of range'],
      [{ limits: { patience: 1 } }, 'The value of "options.limits.patience" is out of range'],
      [{ limits: { core: { soft: 2, hard: 1 } } }, '"options.limits.core.soft" is out of range'],
      [{ user: true }, 'The "options.user" argument must be a name or an id'],
      [{ nice: 20 }, 'The value of "options.nice" is out of range'],
      [{ chroot: '/', cwd: 'keep' }, 'The value of "options.cwd" is out of range'],
    ])('%o', async (options, message) => {
      expect(await refused(options)).toContain(message);
    });

    test.each([
      [{ user: 'nobody' }, /: (other groups need|another user needs) root \(CAP_SET[GU]ID\)$/m],
      [{ user: 12345 }, 'another user needs root (CAP_SETUID)'],
      [{ group: 12345 }, 'other groups need root (CAP_SETGID)'],
      [{ groups: [12345] }, 'other groups need root (CAP_SETGID)'],
      [{ chroot: '/' }, 'another root folder needs root (CAP_SYS_CHROOT)'],
      [{ capabilities: [] }, 'to limit capabilities needs root (CAP_SETPCAP)'],
      [{ nice: -5 }, 'a lower nice value needs root (CAP_SYS_NICE)'],
      [{ oomScoreAdj: -500 }, /a lower oom_score_adj needs root \(CAP_SYS_RESOURCE\)$/m],
      [{ limits: { nofile: 2 ** 30 } }, 'a limit above the hard limit needs root'],
    ])('without root: %o', async (options, message) => {
      expect(await refused(options)).toMatch(message);
    });

    testAsRoot('more groups than the kernel takes', async () => {
      const { code, stderr, reports } = await run(
        `daemonize({ ...${literal(chosen)}, user: 54322, groups: Array(70_000).fill(5) }); report(1);`,
      );
      expect({ code, reports }).toEqual({ code: 1, reports: [] });
      expect(stderr).toContain('setgroups() failed: invalid argument');
    });
  });

  test('who the process is already needs no root', async () => {
    const [command, ...rest] = unprivileged;
    const program = launch(command!, [
      ...rest,
      node,
      ...inline(`
        const options = { user: process.getuid(), group: process.getgid(), groups: posix.getgroups() };
        daemonize({ ...${literal(chosen)}, keepFds: [3], ...options, noNewPrivileges: ${detach === 'always'} });
        report(posix.getresuid());
      `),
    ]);
    const { stderr, reports } = await program.ended;
    expect(stderr).toBe('');
    expect(new Set(reports[0]).size).toBe(1);
  });
});

describe('C11', () => {
  test.skipIf(!isRoot || !hasFork)(
    'C11 chroot: cwd is inside, paths were resolved before',
    async () => {
      const folder = temporaryFolder();
      const root = join(folder, 'root');
      const log = join(folder, 'log');
      const { code, stderr, reports } = await run(`
      fs.mkdirSync(${literal(join(root, 'in'))}, { recursive: true });
      fs.chmodSync(${literal(folder)}, 0o755);
      daemonize({ engine: 'fork', keepFds: [3], user: 'nobody', chroot: ${literal(root)}, cwd: '/in', log: ${literal(log)} });
      console.log('logged');
      report([process.cwd(), fs.readdirSync('/'), fs.existsSync('/etc/passwd')]);
      process.chdir('../../../..');
      report(fs.readdirSync('.'));
    `);
      expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
      expect(reports).toEqual([['/in', ['in'], false], ['in']]);
      expect(readFileSync(log, 'utf8')).toBe('logged\n');
    },
  );

  test.skipIf(!isRoot || !hasFork)(
    'C11 chroot leaves no way out by the working directory, before daemonize() changes that',
    async () => {
      const { stderr, reports } = await run(`
        const addon = { exports: {} };
        process.dlopen(addon, ${literal(join(checkout, 'build/Release/doublefork.node'))});
        process.chdir('/');
        const request = { limits: [], oomScoreAdj: '', chroot: ${literal(temporaryFolder())}, noNewPrivileges: false };
        report(addon.exports.confine(request, 5000));
        report(['etc/passwd', '/etc/passwd', '../etc/passwd'].map((path) => fs.existsSync(path)));
      `);
      expect({ stderr, reports }).toEqual({ stderr: '', reports: [null, [false, false, false]] });
    },
  );

  testAsRoot('C11 chroot with the exec engine: the program runs from inside', async () => {
    const folder = temporaryFolder();
    // All that there is, with one file more; in a mount namespace that goes with the process.
    const mounts = `mount --rbind / ${folder} && mount -t tmpfs none ${folder}/mnt && touch ${folder}/mnt/inside`;
    const source = `
      daemonize({ engine: 'exec', keepFds: [3], user: 'nobody', chroot: ${literal(folder)}, cwd: '/mnt' });
      report([process.cwd(), fs.existsSync('/mnt/inside'), process.getuid()]);
    `;
    const { code, stderr, reports } = await execute('unshare', [
      ...['--mount', 'sh', '-c', `${mounts} && exec "$@"`, 'sh', node],
      ...inline(source),
    ]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(reports).toEqual([['/mnt', true, nobody.uid]]);
  });

  testAsRoot('C11 the exec engine says that Node is not inside', async () => {
    const root = temporaryFolder();
    const { code, stderr } = await run(`daemonize({ engine: 'exec', chroot: ${literal(root)} })`);
    expect(code).toBe(1);
    expect(stderr).toContain(`the exec engine needs ${node} inside of the new root directory `);
  });

  testAsRoot('C11 a cwd that is not inside is an error', async () => {
    const root = temporaryFolder();
    const { code, stderr } = await run(`daemonize({ chroot: ${literal(root)}, cwd: '/tmp' })`);
    expect(code).toBe(1);
    expect(stderr).toContain(`cannot look at ${root}/tmp: there is no such file or directory`);
  });
});
