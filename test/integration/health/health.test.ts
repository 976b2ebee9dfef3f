// doublefork/health: whether a program lives and is ready, over HTTP.

import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { request as httpRequest, type IncomingMessage } from 'node:http';
import { connect } from 'node:net';
import { join } from 'node:path';
import parseMetrics from 'parse-prometheus-text-format';
import { describe, expect, test } from 'vitest';
import { temporaryFolder } from '../../support/folder.js';
import { killQuietly, stat, until } from '../../support/processes.js';
import { run, start } from '../../support/program.js';
import { decisions } from '../supervise/tools.js';

interface Answer {
  code: number;
  type: string;
  body: string;
}

function ask(
  socketPath: string,
  path: string,
  { body: sent, ...options }: { body?: string; [option: string]: unknown } = {},
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const request = httpRequest({ socketPath, path, ...options }, (response) => {
      let body = '';
      response.setEncoding('utf8').on('data', (text: string) => {
        body += text;
      });
      const { statusCode: code = 0, headers } = response;
      response.on('end', () => resolve({ code, type: headers['content-type'] ?? '', body }));
    });
    request.on('error', reject).end(sent);
  });
}

/** A program that calls health(), and then what it is given. */
function program(source: string, options = '') {
  const socket = join(temporaryFolder(), 'health');
  const running = start(`
    const { health } = await import('doublefork/health');
    const endpoint = health({ path: ${JSON.stringify(socket)}, cache: 0, interval: 100, ${options} });
    ${source}
  `);
  return { socket, running };
}

const SUPERVISE = `
  const worker = doublefork.supervise({ workers: 2 });
  worker.signal.addEventListener('abort', () => process.exit());
  endpoint.check('number', () => true);
  setInterval(() => {}, 1000);
`;

/** Once it answers what is wanted; until then there may be nobody. */
async function answers(socket: string, path: string, wanted: (answer: Answer) => boolean) {
  let answer: Answer | undefined;
  await until(async () => {
    answer = await ask(socket, path).catch(() => undefined);
    return answer !== undefined && wanted(answer);
  }, `${path} as wanted`);
  return answer!;
}

const isReady = ({ code }: Answer) => code === 200;

async function stop({ running }: ReturnType<typeof program>) {
  process.kill(running.pid, 'SIGTERM');
  return await running.ended;
}

describe('one process', () => {
  test('it lives, is ready, and says how it is; checks that fail, hang or lie are named', async () => {
    const service = program(
      'setInterval(() => {}, 1000); report(endpoint.address);',
      `timeout: 200, checks: {
        good: () => {},
        throws: async () => { throw new Error('no database'); },
        lies: () => false,
        hangs: () => new Promise(() => {}),
      }`,
    );
    expect(await service.running.report()).toEqual({ path: service.socket });
    await answers(service.socket, '/livez', isReady);
    const ready = await ask(service.socket, '/readyz');
    expect(ready).toMatchObject({ code: 503, type: 'text/plain; charset=utf-8' });
    expect(ready.body.split('\n')).toEqual([
      '[+] good',
      '[-] throws: no database',
      '[-] lies: it returned false',
      '[-] hangs: not answered within 200 ms',
      'not ok',
      '',
    ]);
    const { status, pid, memory, checks } = JSON.parse(
      (await ask(service.socket, '/healthz')).body,
    );
    expect({ status, pid }).toEqual({ status: 'degraded', pid: service.running.pid });
    expect(memory.rss).toBeGreaterThan(2 ** 20);
    expect(checks.good).toMatchObject({ ok: true });
    await stop(service);
  });

  test('what nobody should ask for is refused, and the next one is answered', async () => {
    const service = program('setInterval(() => {}, 1000);');
    await answers(service.socket, '/livez', isReady);
    expect(await ask(service.socket, '/nothing')).toMatchObject({ code: 404 });
    expect(await ask(service.socket, '/livez', { method: 'POST' })).toMatchObject({ code: 405 });
    expect(await ask(service.socket, '/livez', { method: 'HEAD' })).toMatchObject({ code: 200 });
    const huge = { headers: { 'x-huge': 'x'.repeat(100_000) } };
    const refused = await ask(service.socket, '/livez', huge).catch(({ code }) => ({ code }));
    expect([431, 'EPIPE', 'ECONNRESET']).toContain(refused.code);
    // Those that say nothing are in nobody's way.
    const silent = Array.from({ length: 20 }, () => connect(service.socket));
    const many = Array.from({ length: 100 }, () => ask(service.socket, '/metrics'));
    for (const { code } of await Promise.all(many)) expect(code).toBe(200);
    for (const socket of silent) socket.destroy();
    await stop(service);
  });

  test('a port that is taken is an error at the call; so is one in a worker', async () => {
    const { stderr, code } = await run(`
      const { health } = await import('doublefork/health');
      const other = (await import('node:net')).createServer().listen(0, '127.0.0.1', () => {
        health({ port: other.address().port });
      });
    `);
    expect(code).toBe(1);
    expect(stderr).toContain('EADDRINUSE');
    const worker = await run(`
      const { health } = await import('doublefork/health');
      doublefork.supervise({ maxFailures: 1, backoff: { initial: 0 } });
      health({ port: 0 });
    `);
    expect(worker.stderr).toContain('health() with a port or a path belongs before supervise()');
  });

  test('it does not keep the program alive', async () => {
    const { code } = await run(`
      const { health } = await import('doublefork/health');
      health({ port: 0 });
      await new Promise((resolve) => setTimeout(resolve, 100));
    `);
    expect(code).toBe(0);
  });
});

describe('a supervisor and its workers', () => {
  test('another process answers, while every worker is stuck', async () => {
    const service = program(
      `${SUPERVISE} process.on('SIGUSR2', () => { for (;;); });`,
      'timeout: 500,',
    );
    const { body } = await answers(
      service.socket,
      '/readyz',
      ({ code, body }) => code === 200 && body.split('number').length === 3,
    );
    expect(body.split('\n').toSorted()).toEqual(
      [
        '[+] worker 1',
        '[+] worker 1, number',
        '[+] worker 2',
        '[+] worker 2, number',
        'ok',
        '',
      ].toSorted(),
    );
    process.kill(service.running.pid, 'SIGUSR2');
    const { workers } = JSON.parse((await ask(service.socket, '/healthz')).body);
    for (const { pid } of workers) {
      await until(() => stat(pid)?.state === 'R', 'a worker that is stuck');
    }
    expect(await ask(service.socket, '/livez')).toMatchObject({ code: 200 });
    expect(await ask(service.socket, '/metrics')).toMatchObject({ code: 200 });
    // What they have said before they were stuck counts for a while only.
    const { body: stuck } = await answers(
      service.socket,
      '/readyz',
      // The last report of one is older than that of the other.
      ({ code, body }) => code === 503 && body.match(/, report: /g)?.length === 2,
    );
    expect(stuck).toMatch(/^\[-\] worker 1, report: the last one came \d+ ms ago$/m);
    expect(stuck).toMatch(/^\[-\] worker 2, report: /m);
    process.kill(service.running.pid, 'SIGQUIT');
    await service.running.ended;
  });

  test('a failing check in one worker is that of the service; a crash is counted by its reason', async () => {
    const service = program(`${SUPERVISE}
      endpoint.check('file', () => { if (fs.existsSync(process.env.BAD)) throw new Error('it is there'); });
      process.on('SIGUSR2', () => { if (worker.id === 1 && worker.generation === 1) process.abort(); });
    `);
    await answers(service.socket, '/readyz', isReady);
    process.kill(service.running.pid, 'SIGUSR2');
    const { body } = await answers(service.socket, '/metrics', ({ body }) =>
      body.includes('SIGABRT'),
    );
    const metrics = parseMetrics(body);
    const exits = metrics.find(({ name }) => name === 'doublefork_exits_total');
    expect(exits).toMatchObject({ type: 'COUNTER' });
    expect(exits!.metrics).toMatchObject([
      { value: '1', labels: { reason: expect.stringContaining('SIGABRT') } },
    ]);
    for (const { name, help, type } of metrics) {
      expect(name).toMatch(/^doublefork_[a-z_]+$/);
      expect(help).not.toBe('');
      expect(name.endsWith('_total')).toBe(type === 'COUNTER');
    }
    await answers(service.socket, '/readyz', isReady);
    expect((await stop(service)).code).toBe(0);
  });

  test('killed, it is started again; with the supervisor it ends, and leaves nothing', async () => {
    // Other tests have theirs beside it.
    const temporary = temporaryFolder();
    const service = program(`process.env.TMPDIR = ${JSON.stringify(temporary)};${SUPERVISE}`);
    await answers(service.socket, '/livez', isReady);
    const children = () =>
      execFileSync('ps', ['-o', 'pid=', '-o', 'args=', '--ppid', String(service.running.pid)])
        .toString()
        .split('\n')
        .filter((line) => /^ *\d+ doublefork health/.test(line))
        .map((line) => Number.parseInt(line, 10));
    await until(() => children().length === 1, 'its title');
    const [first] = children();
    killQuietly(first!);
    await until(() => children().some((pid) => pid !== first), 'the next one');
    await answers(service.socket, '/livez', isReady);
    expect(readdirSync(temporary)).not.toEqual([]);
    const ended = await stop(service);
    expect(ended.code).toBe(0);
    expect(decisions(ended, 'companion-exit')).toMatchObject([
      { companion: 'doublefork health', error: 'killed by SIGKILL' },
    ]);
    expect(existsSync(service.socket)).toBe(false);
    expect(readdirSync(temporary)).toEqual([]);
  });

  test('OpenMetrics for who asks for it', async () => {
    const service = program('setInterval(() => {}, 1000);');
    await answers(service.socket, '/livez', isReady);
    const headers = { accept: 'application/openmetrics-text; version=1.0.0' };
    const { type, body } = await ask(service.socket, '/metrics', { headers });
    expect(type).toContain('application/openmetrics-text');
    expect(body.endsWith('# EOF\n')).toBe(true);
    await stop(service);
  });
});

describe('the status page', () => {
  const TOKEN = 'a token for the tests alone';
  const post = (body: object, headers: object = {}) => ({
    method: 'POST',
    body: JSON.stringify(body),
    headers: { authorization: `Bearer ${TOKEN}`, host: 'localhost', ...headers },
  });

  test('other sites, other names and other methods get nothing; probes may use any name', async () => {
    const service = program('setInterval(() => {}, 1000);');
    await answers(service.socket, '/livez', isReady);
    const page = await ask(service.socket, '/', { headers: { host: 'localhost' } });
    expect(page).toMatchObject({ code: 200, type: 'text/html; charset=utf-8' });
    expect(page.body).not.toMatch(/\son\w+=|<style|style=|<script>|https?:/);
    const as = (headers: object, path = '/events') => ask(service.socket, path, { headers });
    expect(await as({ host: 'evil.example' })).toMatchObject({ code: 403 });
    expect(await as({ host: 'evil.example' }, '/livez')).toMatchObject({ code: 200 });
    expect(await as({ origin: 'https://evil.example' })).toMatchObject({ code: 403 });
    expect(await as({ 'sec-fetch-site': 'cross-site' })).toMatchObject({ code: 403 });
    expect(await ask(service.socket, '/', { method: 'POST' })).toMatchObject({ code: 405 });
    // More than Node takes.
    expect(await as({ huge: 'x'.repeat(20_000) }, '/livez')).toMatchObject({ code: 431 });
    expect(await ask(service.socket, '/livez')).toMatchObject({ code: 200 });
    await stop(service);
  });

  test('actions need the token, the same origin, and sense', async () => {
    const service = program(SUPERVISE, `token: '${TOKEN}'`);
    await answers(service.socket, '/readyz', isReady);
    const act = (body: object, headers: object = {}) =>
      ask(service.socket, '/actions', post(body, headers));
    const scale = { key: 'service', action: 'scale', workers: 3 };
    // Nobody has opened the page: there is no such service yet.
    expect(await act(scale)).toMatchObject({ code: 404 });
    const watching = httpRequest({
      socketPath: service.socket,
      path: '/events',
      headers: { host: 'localhost' },
    }).end();
    const [events] = (await once(watching, 'response')) as [IncomingMessage];
    await once(events, 'data');
    expect(await act(scale, { authorization: '' })).toMatchObject({ code: 401 });
    expect(await act(scale, { authorization: `Bearer ${TOKEN}x` })).toMatchObject({ code: 401 });
    expect(await act(scale, { origin: 'https://evil.example' })).toMatchObject({ code: 403 });
    expect(await act(scale, { 'sec-fetch-site': 'same-site' })).toMatchObject({ code: 403 });
    expect(await act({ ...scale, workers: 1e9 })).toMatchObject({ code: 409 });
    expect(await act({ ...scale, workers: -1 })).toMatchObject({ code: 400 });
    expect(await act({ ...scale, action: 'kill' })).toMatchObject({ code: 400 });
    expect(await act({ padding: 'x'.repeat(5000) })).toMatchObject({ code: 400 });
    expect(await act(scale)).toMatchObject({ code: 204 });
    await answers(service.socket, '/healthz', ({ body }) => JSON.parse(body).workers.length === 3);
    // The token is not for everybody to see.
    const pid = service.running.pid;
    const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'latin1').trim().split(' ');
    const lines = children.map((child) => readFileSync(`/proc/${child}/cmdline`, 'latin1'));
    const served = lines.filter((line) => line.startsWith('doublefork health'));
    expect(served).toHaveLength(1);
    expect(served.join()).not.toContain(TOKEN);
    watching.destroy();
    await stop(service);
  });
});
