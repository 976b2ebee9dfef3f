// The option `keeper`: nobody supervises a supervisor elsewhere. Here its keeper does. C36.

import { readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { ControlClient } from '../../../src/supervise/control-client.js';
import { engine } from '../../support/engine.js';
import { temporaryFolder } from '../../support/folder.js';
import { killQuietly, stat, until } from '../../support/processes.js';
import { run, start } from '../../support/program.js';
import { decisions, get } from './tools.js';

const isGone = (pid: number) => (stat(pid)?.state ?? 'Z') === 'Z';

/** A web server on a unix socket below a keeper. */
class Service {
  readonly directory = temporaryFolder();
  readonly control = join(this.directory, 'control');
  readonly socket = join(this.directory, 'http');
  readonly running: ReturnType<typeof start>;

  constructor(options = '', worker = '') {
    this.running = start(`
        const { createServer } = await import('node:http');
        const { drain, listen, supervise } = doublefork;
        const http = listen('http', { path: ${JSON.stringify(this.socket)} });
        const born = process.pid;
        const worker = supervise({
          keeper: true, workers: 2, ready: 'manual', control: ${JSON.stringify(this.control)}, ${options}
        });
        ${worker}
        const server = createServer((request, response) => response.end(born + ' ' + process.ppid));
        server.listen({ fd: http.fd }, worker.ready);
        worker.signal.addEventListener('abort', () => drain(server));
      `);
  }

  async ask<T>(question: (client: ControlClient) => Promise<T>): Promise<T> {
    await using client = await ControlClient.connect(this.control);
    return await question(client);
  }

  status = () => this.ask((client) => client.status());

  /** @returns the status once all workers are ready */
  async serves() {
    let status: Awaited<ReturnType<Service['status']>> | undefined;
    await until(async () => {
      status = await this.status().catch(() => undefined);
      const { workers = [] } = status ?? {};
      return workers.length > 0 && workers.every(({ state }) => state === 'ready');
    }, 'the workers');
    return status!;
  }

  async stop() {
    process.kill(this.running.pid, 'SIGTERM');
    return await this.running.ended;
  }
}

describe.skipIf(engine !== 'fork')('supervise({ keeper: true })', () => {
  test('the supervisor is a process of its own, below the one that keeps the pid', async () => {
    const service = new Service();
    const { pid, image, previous, workers } = await service.serves();
    expect(pid).toBe(service.running.pid);
    expect(image).toMatchObject({ number: 1 });
    expect(previous).toBeNull();
    expect(stat(image.pid)?.ppid).toBe(pid);
    for (const worker of workers) expect(stat(worker.pid!)?.ppid).toBe(image.pid);
    await service.ask((client) => client.scale(3));
    await until(async () => (await service.serves()).workers.length === 3, 'three workers');
    await service.ask((client) => client.recycle());
    expect((await service.stop()).code).toBe(0);
  });

  test('kill -9 of the supervisor: its workers end with it, another one serves, nobody is refused', async () => {
    const service = new Service();
    const { image, workers } = await service.serves();
    let done = false;
    const refused: unknown[] = [];
    const client = async () => {
      while (!done) {
        await new Promise<void>((resolve) => {
          const socket = connect(service.socket, () => socket.end('GET / HTTP/1.0\r\n\r\n'));
          socket.on('error', (error: NodeJS.ErrnoException) => {
            // What a killed worker had accepted is lost, not what waits.
            if (error.code === 'ECONNREFUSED' || error.code === 'ENOENT') refused.push(error);
            resolve();
          });
          socket.on('data', () => {}).on('close', () => resolve());
        });
      }
    };
    const clients = [client(), client()];
    killQuietly(image.pid);
    // Meanwhile the answer is that none serves.
    const next = async () => (await service.status().catch(() => undefined))?.image.number === 2;
    await until(next, 'the next supervisor');
    const after = await service.serves();
    done = true;
    await Promise.all(clients);
    expect(refused).toEqual([]);
    for (const worker of workers) expect(isGone(worker.pid!)).toBe(true);
    expect(after.pid).toBe(service.running.pid);
    // Of the same memory: the program has not been started again.
    expect(await get(service.socket)).toBe(`${service.running.pid} ${after.image.pid}`);
    const { code, stderr } = await service.stop();
    expect(code).toBe(0);
    expect(decisions({ stderr }, 'image-start')).toMatchObject([
      { image: 1, reason: 'the service begins' },
      { image: 2, reason: 'the one before was killed' },
    ]);
  });

  test('killed again and again it is given up, with code 1, and nothing stays', async () => {
    const service = new Service();
    await service.serves();
    const seen = new Set<number>();
    const killer = setInterval(() => {
      service.status().then(
        ({ image, workers }) => {
          for (const { pid } of workers) if (pid !== null) seen.add(pid);
          if (image.pid === service.running.pid) return;
          seen.add(image.pid);
          killQuietly(image.pid);
        },
        () => {},
      );
    }, 20);
    const { code } = await service.running.ended;
    clearInterval(killer);
    expect(code).toBe(1);
    expect([...seen].every(isGone)).toBe(true);
  });

  test('the keeper killed: all ends', async () => {
    const service = new Service();
    const { image, workers } = await service.serves();
    killQuietly(service.running.pid);
    await service.running.exited;
    const pids = [image.pid, ...workers.map(({ pid }) => pid!)];
    await until(() => pids.every(isGone), 'the end of all');
  });

  test('SIGQUIT ends it at once; the code of a family that gives up is that of the service', async () => {
    const service = new Service('', "worker.signal.addEventListener('abort', () => {});");
    await service.serves();
    process.kill(service.running.pid, 'SIGQUIT');
    expect((await service.running.ended).code).toBe(0);

    const failing = new Service(
      'maxFailures: 1, backoff: { initial: 0 }, onGiveUp: 9,',
      "throw new Error('no database');",
    );
    expect(await failing.running.ended).toMatchObject({
      code: 9,
      stderr: expect.stringContaining('no database'),
    });
  });

  test('after daemonize(): the launcher hears of ready and of failure, the pidfile is the keeper’s', async () => {
    const directory = temporaryFolder();
    const pidfile = join(directory, 'pid');
    const program = (worker: string) => `
      const daemon = daemonize({ ready: 'manual', pidfile: ${JSON.stringify(pidfile)}, keepFds: [3] });
      const keeper = process.pid;
      const worker = doublefork.supervise({ keeper: true, log: 'none', maxFailures: 1, onGiveUp: 5 });
      ${worker}
      report({ keeper, supervisor: process.ppid, worker: process.pid });
    `;
    const good = start(program('daemon.ready();'));
    const report = await good.report();
    expect((await good.exited).code).toBe(0);
    expect(Number(readFileSync(pidfile, 'utf8'))).toBe(report.keeper);
    expect(stat(report.supervisor)?.ppid).toBe(report.keeper);
    process.kill(report.keeper, 'SIGTERM');
    await good.ended;
    expect(() => readFileSync(pidfile)).toThrow('ENOENT');

    const bad = await run(program("throw new Error('no database');"));
    expect(bad).toMatchObject({ code: 5, stderr: expect.stringContaining('no database') });
  });
});
