// Datagrams while a service is reloaded: what the kernel has queued is for whoever reads next.

import { createSocket, type Socket } from 'node:dgram';
import { readFileSync } from 'node:fs';
import { afterEach, describe, expect, test } from 'vitest';
import { until } from '../../support/processes.js';
import { Service, type Version } from './service.js';

/** A version whose workers answer each datagram with its number, the version and their pid. */
const version = (name: string, options: string, reads = true): Version => ({
  name,
  first: `
    const udp = listen('udp', { udp: true, ${options} });
    writeFileSync(process.env.CONTROL + '.udp', String(udp.address.port));
  `,
  after: reads
    ? `
      const socket = udp.createSocket();
      socket.on('message', (data, { port, address }) =>
        socket.send(data + ' ${name} ' + process.pid, port, address));
      worker.signal.addEventListener('abort', () => socket.close());
    `
    : '',
});

const LOCAL = "host: '127.0.0.1'";

/** Sends numbers, and hears of each who has had it. */
class Client {
  readonly #socket: Socket;
  readonly #host: string;
  readonly answers: { number: number; version: string; pid: string }[] = [];
  sent = 0;

  constructor(host = '127.0.0.1') {
    this.#host = host;
    this.#socket = createSocket(host.includes(':') ? 'udp6' : 'udp4');
    this.#socket.on('message', (data) => {
      const [number, version, pid] = String(data).split(' ') as [string, string, string];
      this.answers.push({ number: Number(number), version, pid });
    });
    clients.push(this);
  }

  send(port: number, count: number): void {
    for (let i = 0; i < count; i++) this.#socket.send(String(this.sent++), port, this.#host);
  }

  /** As many at a time as the socket's queue can hold, until it is over, and at least `least`. */
  async keepSending(port: number, least: number, isOver: () => boolean): Promise<void> {
    while (!isOver() || this.sent < least) {
      this.send(port, 8);
      await new Promise((resolve) => setTimeout(resolve, 2));
      await until(() => this.sent - this.answers.length <= 64, 'answers');
    }
  }

  /** Waits for the answers to all. @returns the versions that have given them */
  async versions(): Promise<string[]> {
    await until(
      () => this.answers.length >= this.sent,
      `answers to ${this.sent} datagrams; there are ${this.answers.length}`,
    );
    const numbers = this.answers.map(({ number }) => number).sort((a, b) => a - b);
    expect(numbers).toEqual(Array.from({ length: this.sent }, (_, index) => index));
    return [...new Set(this.answers.map(({ version }) => version))].sort();
  }

  close(): void {
    this.#socket.close();
  }
}

const clients: Client[] = [];
afterEach(() => {
  for (const client of clients.splice(0)) client.close();
});

const portOf = (service: Service) => Number(readFileSync(`${service.control}.udp`));

describe('UDP sockets of listen() and a reload', () => {
  test('1,000 datagrams sent meanwhile are had once each, by a version that was there', async () => {
    const service = await Service.start(version('old', `${LOCAL}, port: 0`));
    const client = new Client();
    client.send(portOf(service), 50);
    expect(await client.versions()).toEqual(['old']);
    service.deploy(version('new', `${LOCAL}, port: 0`));
    let over = false;
    const reload = service.reload().finally(() => {
      over = true;
    });
    await client.keepSending(portOf(service), 1000, () => over);
    await reload;
    client.send(portOf(service), 50);
    expect(await client.versions()).toEqual(['new', 'old']);
    // Two workers of each version, of one socket.
    expect(new Set(client.answers.map(({ pid }) => pid)).size).toBeGreaterThan(2);
    expect(client.answers.at(-1)?.version).toBe('new');
    expect((await service.stop()).code).toBe(0);
  });

  test('what nobody of the old version has read the new one reads', async () => {
    const service = await Service.start(version('old', `${LOCAL}, port: 0`, false));
    const client = new Client();
    client.send(portOf(service), 100);
    service.deploy(version('new', `${LOCAL}, port: 0`));
    await service.reload();
    expect(await client.versions()).toEqual(['new']);
    expect((await service.stop()).code).toBe(0);
  });

  test('a changed address is bound anew, and the one before is closed', async () => {
    const service = await Service.start(version('old', `${LOCAL}, port: 0`));
    const before = portOf(service);
    const other = before === 20_001 ? 20_002 : 20_001;
    service.deploy(version('new', `${LOCAL}, port: ${other}`));
    await service.reload();
    expect(portOf(service)).toBe(other);
    const client = new Client();
    client.send(other, 10);
    expect(await client.versions()).toEqual(['new']);
    expect(boundPorts()).toContain(other);
    await isFreed(before);
    await expect(service.rollback()).rejects.toThrow('no image before');
    expect((await service.stop()).code).toBe(0);
    await isFreed(other);
  });

  test('one that is not asked for any more is closed', async () => {
    const service = await Service.start(version('old', `${LOCAL}, port: 0`));
    service.deploy({ name: 'new' });
    await service.reload();
    await isFreed(portOf(service));
    expect((await service.stop()).code).toBe(0);
  });

  test('the name of a TCP socket with the same port becomes one of UDP', async () => {
    const service = await Service.start({
      name: 'old',
      first: `const both = listen('udp', { ${LOCAL}, port: 20_003 });`,
    });
    service.deploy(version('new', `${LOCAL}, port: 20_003`));
    await service.reload();
    const client = new Client();
    client.send(20_003, 10);
    expect(await client.versions()).toEqual(['new']);
    await expect(service.get(20_003)).rejects.toMatchObject({ code: 'ECONNREFUSED' });
    expect((await service.stop()).code).toBe(0);
  });

  test.each([
    ['IPv6, too', "host: '0.0.0.0', port: 20_004", 'port: 20_004'],
    ['IPv6 only', 'port: 20_004', 'port: 20_004, ipv6Only: true'],
  ])('%s is another address, which excludes the one before: said so', async (_, old, wanted) => {
    const service = await Service.start(version('old', old));
    service.deploy(version('new', wanted));
    await expect(service.reload()).rejects.toThrow(/"udp".*version before.*20004/);
    const client = new Client();
    client.send(20_004, 10);
    expect(await client.versions()).toEqual(['old']);
    expect((await service.stop()).code).toBe(0);
  });
});

/** What was killed, such as a spare of the version before, may end a moment later. */
const isFreed = (port: number) => until(() => !boundPorts().includes(port), 'a port that is free');

function boundPorts(): number[] {
  const tables = ['/proc/net/udp', '/proc/net/udp6'].map((file) => readFileSync(file, 'utf8'));
  return tables
    .flatMap((table) => table.trim().split('\n').slice(1))
    .map((line) => Number.parseInt(/^ *\d+: [0-9A-F]+:([0-9A-F]+)/.exec(line)?.[1] ?? '', 16));
}
