// daemon.handover(): a daemon without supervise() starts its next version, which takes over. C35, C36.

import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { AF_UNIX, bind, close, MSG_DONTWAIT, recvmsg, SOCK_DGRAM, socket } from 'doublefork/posix';
import { describe, expect, onTestFinished, test } from 'vitest';
import { Pidfile } from '../../../src/pidfile/pidfile.js';
import { temporaryFolder } from '../../support/folder.js';
import { getJson } from '../../support/http.js';
import { endWithTest } from '../../support/managers/ending.js';
import { Systemd, testWithSystemd } from '../../support/managers/systemd.js';
import { node, root } from '../../support/node.js';
import { killQuietly, stat, until } from '../../support/processes.js';
import { execute, launch } from '../../support/program.js';

const engine = process.env.DOUBLEFORK_ENGINE ?? 'auto';
const PRELOAD = join(import.meta.dirname, 'kill-in-handover.cjs');

interface Version {
  name: string;
  /** Before listen(), before daemonize(), and after it. */
  first?: string;
  before?: string;
  after?: string;
  options?: string;
  handover?: string;
  pidfile?: string;
  /** Says that it serves. */
  ready?: string;
}

const isGone = (pid: number) => (stat(pid)?.state ?? 'Z') === 'Z';

/** A web server that hands over when it is told to reload; its answers name its version and its process. */
class Site {
  readonly directory = temporaryFolder();
  readonly pidfile = join(this.directory, 'pid');
  readonly log = join(this.directory, 'log');
  readonly #kill = join(this.directory, 'kill');
  #count = 0;

  source({ name, first, before, after, options, handover, pidfile, ready }: Version): string {
    return `
      import { createServer } from 'node:http';
      import * as fs from 'node:fs';
      import { daemonize, drain, handover, listen, supervise } from '${root}/dist/index.js';
      const say = (value) => fs.appendFileSync('${this.directory}/said', JSON.stringify(value) + '\\n');
      ${first ?? ''}
      const http = listen('http', { path: '${this.directory}/socket' });
      ${before ?? ''}
      const daemon = daemonize({ engine: '${engine}', pidfile: '${pidfile ?? this.pidfile}', log: '${this.log}', ready: 'manual', ${options ?? ''} });
      ${after ?? ''}
      const received = handover.received.map(({ value }) => value);
      const server = createServer((request, response) => {
        response.end(JSON.stringify({ version: '${name}', pid: process.pid, cwd: process.env.PWD, received }));
      });
      server.listen({ fd: http.fd }, () => { say({ serves: '${name}' }); ${ready ?? 'daemon.ready();'} });
      daemon.signal.addEventListener('abort', () => {
        say({ ends: '${name}', why: daemon.signal.reason });
        drain(server, { idleTimeout: 100 }).then(() => process.exit());
      });
      handover.send(() => ({ from: '${name}' }));
      daemon.on('reload', () => daemon.handover({ ${handover ?? ''} }).then(
        ({ pid }) => say({ over: pid }), ({ message, code }) => say({ failed: message, code })));
    `;
  }

  deploy(version: Version): void {
    const release = join(this.directory, 'releases', String(++this.#count));
    mkdirSync(release, { recursive: true });
    writeFileSync(join(release, 'server.mjs'), this.source(version));
    symlinkSync(release, join(this.directory, 'next'));
    renameSync(join(this.directory, 'next'), join(this.directory, 'current'));
  }

  static async start(version: Version): Promise<Site> {
    const site = new Site();
    site.deploy(version);
    const cwd = join(site.directory, 'current');
    const env = { PWD: cwd, NODE_OPTIONS: `--require ${PRELOAD}`, KILL: site.#kill };
    const { code, stderr } = await execute(node, ['server.mjs'], { cwd, env });
    if (code !== 0) throw new Error(stderr);
    endWithTest(async () => {
      for (const pid of site.family()) killQuietly(pid);
      await until(() => site.family().length === 0, 'the end of all');
    });
    return site;
  }

  /** Has it killed at a point of the protocol; pid 0: who says it. */
  killAt(message: string, when: string, pid: number): void {
    writeFileSync(this.#kill, JSON.stringify({ message, when, pid }));
  }

  get isKilled(): boolean {
    return !existsSync(this.#kill);
  }

  get pid(): number {
    return Number(readFileSync(this.pidfile));
  }

  // biome-ignore lint/suspicious/noExplicitAny: as it was parsed
  get said(): any[] {
    const lines = readFileSync(join(this.directory, 'said'), 'utf8').split('\n').filter(Boolean);
    return lines.map((line) => JSON.parse(line));
  }

  /** Tells it to reload, and waits until that is over. */
  // biome-ignore lint/suspicious/noExplicitAny: as it was parsed
  async reload(): Promise<any> {
    const isOver = (it: object) => 'over' in it || 'failed' in it;
    const before = this.said.filter(isOver).length;
    process.kill(this.pid, 'SIGHUP');
    await until(() => this.said.filter(isOver).length > before, 'the reload is over');
    return this.said.filter(isOver).at(-1);
  }

  // biome-ignore lint/suspicious/noExplicitAny: as it was parsed
  get(): Promise<any> {
    return getJson({ socketPath: join(this.directory, 'socket') });
  }

  /** All processes of it that have not ended. */
  family(): number[] {
    return readdirSync('/proc')
      .map(Number)
      .filter((pid) => {
        try {
          const environment = readFileSync(`/proc/${pid}/environ`, 'latin1');
          return environment.includes(`KILL=${this.#kill}`) && !isGone(pid);
        } catch {
          return false;
        }
      });
  }

  async stop(): Promise<void> {
    process.kill(this.pid, 'SIGTERM');
    await until(() => this.family().length === 0, 'the end of all');
    expect(existsSync(this.pidfile)).toBe(false);
  }
}

test('the next version takes over: socket, pidfile with its lock, data; and hands over itself. No request fails', async () => {
  const site = await Site.start({ name: '1' });
  const first = site.pid;
  let done = false;
  const versions = new Set<string>();
  const asking = (async () => {
    for (; !done; await new Promise(setImmediate)) versions.add((await site.get()).version);
  })();
  let pid = first;
  for (const [before, name] of [
    ['1', '2'],
    ['2', '3'],
  ] as const) {
    site.deploy({ name });
    const { over } = await site.reload();
    expect(over).not.toBe(pid);
    expect(Pidfile.inspect(site.pidfile)).toMatchObject({ state: 'held', pid: over });
    expect(
      await execute(node, ['server.mjs'], { cwd: join(site.directory, 'current') }),
    ).toMatchObject({ code: 1 });
    await until(() => isGone(pid), 'the version before has ended');
    expect(await site.get()).toEqual({
      version: name,
      pid: over,
      cwd: join(site.directory, 'current'),
      received: [{ from: before }],
    });
    expect(site.said.find(({ ends }) => ends === before)?.why).toBe('handover');
    expect(site.family()).toEqual([over]);
    pid = over;
  }
  done = true;
  await asking;
  expect([...versions]).toEqual(['1', '2', '3']);
  await site.stop();
  expect(existsSync(join(site.directory, 'socket'))).toBe(true);
});

describe('a version that fails leaves everything as it was, and its words are for who asked', () => {
  test.each<[string, Omit<Version, 'name'>, string | RegExp]>([
    ['has a syntax error', { first: 'this is none' }, 'SyntaxError'],
    ['misses a module', { first: "await import('nowhere');" }, "Cannot find package 'nowhere'"],
    ['throws after daemonize()', { after: "throw new Error('broken');" }, 'broken'],
    ['gives up by fail()', { after: "daemon.fail('no database', 3);" }, 'no database'],
    ['exits with code 0', { after: 'process.exit(0);' }, 'exited with code 0 before it was ready'],
    [
      'is killed',
      { after: "process.kill(process.pid, 'SIGKILL');" },
      'it ended before it was ready',
    ],
    ['cannot open its log', { options: "log: '/nowhere/log'," }, '/nowhere/log'],
    ['would have another option', { options: 'logg: 1,' }, 'logg'],
    ['cannot take what was left', { after: 'handover.received[0].value.a.b;' }, /Cannot read prop/],
  ])('one that %s', async (_what, version, text) => {
    const site = await Site.start({ name: '1' });
    const { pid } = site;
    site.deploy({ name: '2', ...version });
    expect((await site.reload()).failed).toMatch(text);
    expect(Pidfile.inspect(site.pidfile)).toMatchObject({ state: 'held', pid });
    expect((await site.get()).version).toBe('1');
    expect(site.family()).toEqual([pid]);
    site.deploy({ name: '3' });
    expect((await site.reload()).over).toBeGreaterThan(0);
    await until(() => isGone(pid), 'the version before has ended');
    expect((await site.get()).version).toBe('3');
    await site.stop();
  });

  test('one that hangs, and one with children', async () => {
    const site = await Site.start({ name: '1', handover: 'readyTimeout: 3000' });
    const { pid } = site;
    const child = "(await import('node:child_process')).spawn('sleep', ['100']);";
    site.deploy({
      name: '2',
      after: `${child} await new Promise((done) => setTimeout(done, 1e6));`,
    });
    expect((await site.reload()).failed).toBe('the successor was not ready within 3 s');
    expect(site.family()).toEqual([pid]);
    expect(Pidfile.inspect(site.pidfile)).toMatchObject({ state: 'held', pid });
    await site.stop();
  });

  test('the directory is gone; what it leaves cannot be cloned', async () => {
    const site = await Site.start({
      name: '1',
      after:
        "process.on('SIGURG', () => { handover.send(() => ({ no() {} })); say({ urged: true }); });",
    });
    renameSync(join(site.directory, 'current'), join(site.directory, 'away'));
    expect(await site.reload()).toMatchObject({ code: 'ENOENT' });
    renameSync(join(site.directory, 'away'), join(site.directory, 'current'));
    process.kill(site.pid, 'SIGURG');
    await until(() => site.said.some(({ urged }) => urged), 'it will leave something else');
    expect((await site.reload()).failed).toBe('value.no cannot be handed over: it is a function');
    expect(site.family()).toEqual([site.pid]);
    await site.stop();
  });
});

describe('kill -9 of either at every point: exactly one serves, and the pidfile names it', () => {
  test.each(['ready', 'take', 'taken', 'go'])('%s', async (message) => {
    const points = ['before', 'after'].flatMap((when) =>
      [true, false].map((sender) => [when, sender] as const),
    );
    await Promise.all(
      points
        // Whoever is told "go" is the service alone, before it can be killed for that.
        .filter(([when, sender]) => message !== 'go' || when !== 'after' || sender)
        .map(([when, sender]) => killAndLook(message, when, sender)),
    );
  });

  async function killAndLook(message: string, when: string, sender: boolean): Promise<void> {
    const site = await Site.start({ name: '1' });
    const { pid } = site;
    site.deploy({ name: '2' });
    const saysOld = message === 'take' || message === 'go';
    // The other one is known by its number if it is the old one; if not, by its death at its next word.
    if (!sender && saysOld) {
      site.deploy({
        name: '2',
        first:
          // What it has said stays; the file may be gone before anybody looks.
          "fs.writeFileSync(process.env.KILL, JSON.stringify({ message: MESSAGE, when: WHEN, pid: process.pid })); say('begun');"
            .replace('MESSAGE', `'${message}'`)
            .replace('WHEN', `'${when}'`),
      });
      process.kill(pid, 'SIGHUP');
      await until(() => site.said.includes('begun'), 'the next version has begun');
    } else {
      site.killAt(message, when, sender ? 0 : pid);
      process.kill(pid, 'SIGHUP');
    }
    await until(() => site.isKilled, 'the point of the protocol');
    const isOldKilled = saysOld === sender;
    const settled = async () => {
      const family = site.family();
      if (family.length !== 1) return false;
      const [one] = family;
      if (isOldKilled === (one === pid)) return false;
      return existsSync(site.pidfile) && site.pid === one;
    };
    await until(settled, 'one process, which the pidfile names');
    const [one] = site.family();
    // It may be writing the file at this moment: it is empty then.
    const isHeld = () => {
      const found = Pidfile.inspect(site.pidfile);
      return found.state === 'held' && found.pid === one;
    };
    await until(isHeld, 'it has the pidfile');
    expect((await site.get()).pid).toBe(one);
    await until(() => site.pid === one, 'the pidfile names it');
    await site.stop();
  }
});

test('another pidfile, another name of a socket: what is not asked for is gone', async () => {
  const site = await Site.start({
    name: '1',
    before: "listen('old', { path: process.env.KILL + '.old' });",
  });
  const old = `${join(site.directory, 'kill')}.old`;
  expect(existsSync(old)).toBe(true);
  const { pid } = site;
  const pidfile = join(site.directory, 'pid2');
  site.deploy({ name: '2', pidfile });
  const { over } = await site.reload();
  await until(() => isGone(pid), 'the version before has ended');
  expect([existsSync(old), existsSync(site.pidfile)]).toEqual([false, false]);
  expect(Pidfile.inspect(pidfile)).toMatchObject({ state: 'held', pid: over });
  process.kill(over, 'SIGTERM');
  await until(() => site.family().length === 0, 'the end of all');
});

test('without ready it counts as ready once it has lived for a second', async () => {
  const site = await Site.start({ name: '1' });
  const { pid } = site;
  site.deploy({ name: '2', options: "ready: 'detached',", ready: '' });
  const { over } = await site.reload();
  await until(() => isGone(pid), 'the version before has ended');
  expect((await site.get()).pid).toBe(over);
  site.deploy({
    name: '3',
    options: "ready: 'detached',",
    ready: '',
    after: "setTimeout(() => { throw new Error('soon'); }, 300);",
  });
  expect((await site.reload()).failed).toContain('soon');
  expect((await site.get()).pid).toBe(over);
  await site.stop();
});

describe('it is refused', () => {
  test('in the foreground, where somebody waits for this very process', async () => {
    const site = new Site();
    site.deploy({ name: '1', options: "detach: 'never'," });
    const running = launch(node, ['server.mjs'], { cwd: join(site.directory, 'current') });
    await until(() => existsSync(join(site.directory, 'said')), 'it serves');
    expect(await site.reload()).toMatchObject({
      code: 'ENOTSUP',
      failed: expect.stringContaining('To keep the pid use supervise()'),
    });
    expect((await site.get()).version).toBe('1');
    process.kill(running.pid, 'SIGTERM');
    await running.ended;
  });

  test('while one is under way', async () => {
    const site = await Site.start({
      name: '1',
      after:
        "process.on('SIGURG', () => { daemon.handover(); daemon.handover().catch(({ code }) => say({ failed: code })); });",
    });
    process.kill(site.pid, 'SIGURG');
    await until(
      () => site.said.some(({ failed }) => failed === 'EALREADY'),
      'the second is refused',
    );
    await until(() => site.said.some(({ ends }) => ends === '1'), 'the first goes on');
    await until(() => site.family().length === 1, 'one is left');
    await site.stop();
  });
});

describe('in the foreground of a service manager that can be told', () => {
  test('it is told by the one before, first', async () => {
    const site = new Site();
    const path = join(site.directory, 'notify');
    const fd = socket(AF_UNIX, SOCK_DGRAM);
    bind(fd, { path });
    onTestFinished(() => close(fd));
    const messages: string[] = [];
    const take = () => {
      try {
        for (;;) {
          const { data, fds } = recvmsg(fd, { flags: MSG_DONTWAIT, fds: 8 });
          for (const one of fds) close(one);
          messages.push(data.toString());
        }
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') throw error;
      }
      return messages;
    };
    site.deploy({ name: '1', options: "detach: 'never'," });
    const cwd = join(site.directory, 'current');
    const running = launch(node, ['server.mjs'], { cwd, env: { NOTIFY_SOCKET: path, PWD: cwd } });
    await until(() => take().some((it) => it.includes('READY=1')), 'ready');
    messages.length = 0;
    const { over } = await site.reload();
    take();
    expect(messages[0]).toMatch(/^RELOADING=1\nMONOTONIC_USEC=/);
    expect(messages[1]).toBe(`MAINPID=${over}\nREADY=1\nSTATUS=Ready, reloaded (pid ${over})`);
    expect(messages[2]).toBe('BARRIER=1');
    await running.exited;
    messages.length = 0;
    site.deploy({ name: '3', options: "detach: 'never',", after: "throw new Error('broken');" });
    expect((await site.reload()).failed).toContain('broken');
    take();
    expect(messages.map((it) => it.split('\n', 1)[0])).toEqual(['RELOADING=1', 'READY=1']);
    expect(messages[1]).toContain('STATUS=Not reloaded: ');
    process.kill(over, 'SIGTERM');
    await until(() => isGone(over), 'the end');
  });

  testWithSystemd(
    'systemd follows to the new pid: no restart, and it can still be stopped',
    async () => {
      const site = new Site();
      const options = "detach: 'never',";
      site.deploy({ name: '1', options });
      const file = join(site.directory, 'current', 'server.mjs');
      const systemd = await Systemd.boot({
        'app.service': `[Service]\nType=notify\nNotifyAccess=main\nRestart=always\nExecStart=${node} ${file}\nExecReload=kill -HUP $MAINPID`,
      });
      await systemd.do('start', 'app');
      const before = await systemd.show('app', 'MainPID');
      site.deploy({ name: '2', options });
      await systemd.do('reload', 'app');
      await until(() => site.said.some(({ ends }) => ends === '1'), 'the version before ends');
      await until(async () => (await systemd.show('app', 'MainPID')) !== before, 'systemd knows');
      const after = await systemd.show('app', 'MainPID');
      expect(after).not.toBe(before);
      expect((await site.get()).version).toBe('2');
      await systemd.exec('sleep', '0.5');
      expect([
        await systemd.show('app', 'MainPID'),
        await systemd.show('app', 'NRestarts'),
        await systemd.show('app', 'ActiveState'),
      ]).toEqual([after, '0', 'active']);
      await systemd.do('stop', 'app');
      expect(await systemd.show('app', 'Result')).toBe('success');
      expect(site.said.at(-1)).toEqual({ ends: '2', why: 'SIGTERM' });
    },
  );
});
