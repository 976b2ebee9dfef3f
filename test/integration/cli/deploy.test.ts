// doublefork deploy, under load: good, broken and unhealthy versions, interrupted at each step, two at once.

import { spawn } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { expect, onTestFinished, test } from 'vitest';
import { node, root } from '../../support/node.js';
import { until } from '../../support/processes.js';
import { COMMAND, Place } from './command.js';

/** A place with a service, and what is deployed there. */
class Site {
  readonly place = new Place();
  readonly root = join(this.place.folder, 'srv');
  readonly socket = join(this.place.folder, 'http');
  readonly failures: string[] = [];
  answers = 0;
  #loading: Promise<unknown> | undefined;
  #over = false;

  constructor() {
    mkdirSync(join(this.place.folder, 'node_modules'));
    symlinkSync(root, join(this.place.folder, 'node_modules/doublefork'));
  }

  /** @param healthy what it says of its health: code 200 or 503 @param source instead of a server */
  version(name: string, healthy = true, source?: string): string {
    const directory = join(this.place.folder, `version-${name}`);
    mkdirSync(directory);
    const server = `
      import { createServer } from 'node:http';
      import { daemonize, drain, listen, supervise } from 'doublefork';
      daemonize({ ready: 'manual' });
      const http = listen('http', { path: ${JSON.stringify(this.socket)} });
      const worker = supervise({ workers: 2 });
      const server = createServer((request, response) => {
        if (request.url === '/health') response.statusCode = ${healthy ? 200 : 503};
        response.end('${name}');
      });
      server.listen({ fd: http.fd }, worker.ready);
      worker.signal.addEventListener('abort', () => drain(server));
    `;
    writeFileSync(join(directory, 'server.mjs'), source ?? server);
    return directory;
  }

  get words(): string[] {
    const health = `unix:${this.socket}:/health`;
    return ['--name', 'web', '--root', this.root, '--health', health, '--health-timeout', '2'];
  }

  deploy(version: string, ...options: string[]) {
    return this.place.run('deploy', ...this.words, ...options, version, '--', 'server.mjs');
  }

  /** One that is killed when it says that it begins this step. */
  async interrupted(version: string, step: string, ...options: string[]): Promise<boolean> {
    const words = ['deploy', ...this.words, ...options, version, '--', 'server.mjs'];
    const child = spawn(node, [COMMAND, ...words], {
      cwd: this.place.folder,
      env: { ...process.env, ...this.place.env },
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    const ended = new Promise((resolve) => child.on('exit', resolve));
    let seen = false;
    for await (const line of createInterface({ input: child.stdout })) {
      if (!line.startsWith(step)) continue;
      seen = child.kill('SIGKILL');
    }
    await ended;
    return seen;
  }

  ask(path = '/'): Promise<string> {
    return new Promise((resolve, reject) => {
      let text = '';
      const client = connect(this.socket, () => client.write(`GET ${path} HTTP/1.0\r\n\r\n`));
      client.setEncoding('utf8').on('data', (data: string) => {
        text += data;
      });
      client.on('error', reject).on('close', () => {
        const body = text.split('\r\n\r\n')[1];
        if (body) resolve(body);
        else reject(new Error(`no answer: ${JSON.stringify(text)}`));
      });
    });
  }

  /** Asks all the time, and notes what fails. */
  load(): void {
    const loop = async () => {
      while (!this.#over) {
        await this.ask().then(
          () => void this.answers++,
          (error: Error) => void this.failures.push(error.message),
        );
      }
    };
    this.#loading = Promise.all([loop(), loop()]);
    onTestFinished(async () => {
      this.#over = true;
      await this.#loading;
    });
  }

  async stop(): Promise<void> {
    this.#over = true;
    await this.#loading;
    expect(await this.place.run('stop', 'web')).toMatchObject({ code: 0 });
  }

  get releases(): string[] {
    return readdirSync(join(this.root, 'releases')).sort();
  }

  get current(): string {
    return readlinkSync(join(this.root, 'current'));
  }

  /** What a deploy leaves: releases, the link, and a lock that nobody has. */
  get isClean(): boolean {
    return (
      !this.releases.some((name) => name.endsWith('.partial')) &&
      readdirSync(this.root).sort().join() === 'current,deploy.lock,releases'
    );
  }
}

test('good, broken, not installed, unhealthy versions: 0 failed requests, and what serves is where the link leads', async () => {
  const site = new Site();
  const first = await site.deploy(site.version('one'), '--json');
  expect(first).toMatchObject({ code: 0 });
  expect(JSON.parse(first.stdout)).toMatchObject({ name: 'web', previous: null, removed: [] });
  expect(await site.ask()).toBe('one');
  site.load();

  const two = await site.deploy(site.version('two'), '--install', 'echo done > installed');
  expect(two).toMatchObject({ code: 0 });
  expect(await site.ask()).toBe('two');
  expect(readFileSync(join(site.root, site.current, 'installed'), 'utf8')).toBe('done\n');
  const good = site.current;

  const failures: [string, string[], RegExp][] = [
    [site.version('broken', true, 'this is no program'), [], /SyntaxError/],
    [
      site.version('dies', true, "throw new Error('no database')"),
      [],
      /no database.*doublefork reload web failed with code 1/s,
    ],
    [site.version('no packages'), ['--install', 'exit 3'], /"exit 3" failed: code 3/],
    [site.version('ill', false), [], /not healthy within 2 s: unix:.*: 503 ill/],
  ];
  for (const [version, options, why] of failures) {
    const failed = await site.deploy(version, ...options);
    expect({ version, ...failed }).toMatchObject({ code: 1, stderr: expect.stringMatching(why) });
    expect([await site.ask(), site.current, site.releases.length]).toEqual(['two', good, 2]);
    expect(site.isClean).toBe(true);
  }

  for (const name of ['three', 'four'])
    expect(await site.deploy(site.version(name), '--keep', '2')).toMatchObject({ code: 0 });
  expect([await site.ask(), site.releases.length, site.isClean]).toEqual(['four', 2, true]);
  await site.stop();
  expect(site.failures).toEqual([]);
  expect(site.answers).toBeGreaterThan(50);
});

test('interrupted by kill -9 at each step, the next one finds a clean state; 0 failed requests', async () => {
  const site = new Site();
  expect(await site.deploy(site.version('0'))).toMatchObject({ code: 0 });
  site.load();
  const ill = site.version('ill', false);
  const steps = ['copying', 'installing', 'switching', 'reloading', 'waiting for health'];
  for (const [index, step] of steps.entries()) {
    expect({ step, seen: await site.interrupted(ill, step, '--install', 'true') }).toEqual({
      step,
      seen: true,
    });
    // What it has started may not have ended: then nobody else may deploy.
    await until(async () => {
      const { code, stderr } = await site.deploy(site.version(`${index + 1}${Date.now()}`));
      if (code !== 0) expect(stderr).toMatch(/another deploy to .* is under way/);
      return code === 0;
    }, 'the next deploy');
    expect((await site.ask()).startsWith(String(index + 1))).toBe(true);
    expect(readFileSync(join(site.root, site.current, 'server.mjs'), 'utf8')).toContain(
      `'${await site.ask()}'`,
    );
    expect([site.isClean, site.releases.length]).toEqual([true, Math.min(5, index + 2)]);
  }
  await site.stop();
  expect(site.failures).toEqual([]);
});

test('the first one, interrupted or unhealthy, leaves nothing that runs', async () => {
  const site = new Site();
  const ill = site.version('ill', false);
  expect(await site.interrupted(ill, 'waiting for health')).toBe(true);
  const failed = await site.deploy(ill);
  expect(failed).toMatchObject({ code: 1, stderr: expect.stringMatching(/not healthy/) });
  expect(existsSync(join(site.root, 'current'))).toBe(false);
  expect((await site.place.run('status', 'web')).code).toBe(3);
  expect(site.releases).toEqual([]);
});

test('two at once: the second one is refused, by the pid of the first', async () => {
  const site = new Site();
  const fifo = join(site.place.folder, 'go');
  const version = site.version('one');
  const first = site.deploy(version, '--install', `while [ ! -e ${fifo} ]; do sleep 0.1; done`);
  await until(() => existsSync(join(site.root, 'deploy.json')), 'that it is under way');
  const second = await site.deploy(version);
  const pid = readFileSync(join(site.root, 'deploy.lock'), 'utf8').trim();
  expect(second.code).toBe(1);
  expect(second.stderr).toContain(
    `another deploy to ${site.root} is under way, or what it has started: pid ${pid}`,
  );
  writeFileSync(fifo, '');
  expect(await first).toMatchObject({ code: 0 });
  await site.stop();
});

test('--dry-run says what would be done, and does nothing; bad input changes nothing', async () => {
  const site = new Site();
  const plan = await site.deploy(site.version('one'), '--dry-run', '--install', 'npm ci');
  expect(plan).toMatchObject({ code: 0, stderr: '' });
  expect(plan.stdout.split('\n').map((line) => line.split(' ').slice(0, 2).join(' '))).toEqual([
    '1. copy',
    '2. run',
    '3. have',
    '4. reload',
    '5. wait',
    '6. keep',
    '',
  ]);
  const refused = async (...words: string[]) => {
    const { code, stderr } = await site.place.run('deploy', ...words);
    return [code, stderr];
  };
  const file = join(site.place.folder, 'file');
  writeFileSync(file, '');
  expect(await refused('--name', 'web', '/nowhere')).toEqual([
    1,
    expect.stringMatching(/no such file/),
  ]);
  expect(await refused('--name', 'web', file)).toEqual([
    1,
    expect.stringMatching(/is no directory; a version is one/),
  ]);
  expect(await refused('--name', 'a/b', site.place.folder)).toEqual([1, expect.any(String)]);
  expect(
    await refused('--name', 'web', '--root', join(site.place.folder, 'x'), site.place.folder),
  ).toEqual([1, expect.stringMatching(/: it would be copied into itself; give another --root/)]);
  expect(
    await refused(
      '--name',
      'web',
      '--root',
      site.root,
      '--health',
      'nonsense',
      join(site.place.folder, 'version-one'),
    ),
  ).toEqual([
    1,
    expect.stringContaining(
      '--health must be http://HOST:PORT/PATH or unix:SOCKET:/PATH, not "nonsense"',
    ),
  ]);
  mkdirSync(join(site.root, 'current'), { recursive: true });
  expect(
    await refused('--name', 'web', '--root', site.root, join(site.place.folder, 'version-one')),
  ).toEqual([
    1,
    expect.stringMatching(/is no link to a directory in .*; move it away, or give another --root/),
  ]);
  expect(existsSync(join(site.root, 'releases/'))).toBe(true);
  expect(site.releases).toEqual([]);
});
