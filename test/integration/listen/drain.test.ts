// drain(): a server ends while clients are in every state that a connection can be in.

import { spawnSync } from 'node:child_process';
import { Agent, get as httpGet } from 'node:http';
import { type ClientHttp2Session, connect as connectHttp2 } from 'node:http2';
import { connect as connectTcp, type Socket } from 'node:net';
import { join } from 'node:path';
import { connect as connectTls } from 'node:tls';
import { describe, expect, onTestFinished, test } from 'vitest';
import { temporaryFolder } from '../../support/folder.js';
import { until } from '../../support/processes.js';
import { run, start } from '../../support/program.js';

type Kind = 'http' | 'https' | 'http2' | 'http2s' | 'net' | 'tls';

/** More than what the kernel takes of an answer for a client that does not read, in bytes. */
const BIG = 16 << 20;

/** A server that drains on SIGTERM, and answers /slow once it gets SIGUSR2. */
const SERVER = (kind: Kind, options: object) => `
  const { drain } = doublefork;
  const [key, cert] = process.argv.slice(1).map((file) => fs.readFileSync(file));
  const due = [];
  process.on('SIGUSR2', () => { for (const response of due) response.end('slow'); });
  const answer = (request, response) => {
    report(request.url);
    if (request.url === '/big') return response.end(Buffer.alloc(${BIG}, 'x'));
    if (request.url !== '/slow') return response.end('fast');
    due.push(response);
  };
  const make = {
    http: async () => (await import('node:http')).createServer(answer),
    https: async () => (await import('node:https')).createServer({ key, cert }, answer),
    http2: async () => (await import('node:http2')).createServer(answer),
    http2s: async () => (await import('node:http2')).createSecureServer({ key, cert, allowHTTP1: true }, answer),
    net: async () => (await import('node:net')).createServer((socket) => socket.resume()),
    tls: async () => (await import('node:tls')).createServer({ key, cert }, (socket) => socket.resume()),
  };
  const server = await make[${JSON.stringify(kind)}]();
  const upgraded = new Set();
  server.on('upgrade', (request, socket) => {
    socket.write('HTTP/1.1 101 Switching Protocols\\r\\nConnection: Upgrade\\r\\nUpgrade: websocket\\r\\n\\r\\n');
    upgraded.add(socket);
    socket.on('end', () => socket.end()).resume();
    report('upgraded');
  });
  server.on('connection', (socket) => { socket.on('error', () => {}); report('connection'); });
  process.on('SIGTERM', async () => {
    // A close frame with code 1001, "going away".
    if (process.env.GOODBYE) for (const socket of upgraded) socket.write(Buffer.from([0x88, 2, 3, 0xe9]));
    const drained = drain(server, ${JSON.stringify(options)});
    report('draining');
    report(await drained);
  });
  server.listen(0, '127.0.0.1', () => report(server.address().port));
`;

const certificate = () => {
  const folder = temporaryFolder();
  const [key, cert] = [join(folder, 'key.pem'), join(folder, 'cert.pem')];
  const options =
    '-x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj /CN=localhost';
  spawnSync('openssl', ['req', ...options.split(' '), '-keyout', key, '-out', cert]);
  return [key, cert];
};

interface Options {
  timeout?: number;
  idleTimeout?: number;
}

async function serve(kind: Kind, options: Options = {}, env: Record<string, string> = {}) {
  const running = start(SERVER(kind, options), { args: certificate(), env });
  const port: number = await running.report();
  const told = async (word: unknown) => {
    for (;;) if ((await running.report()) === word) return;
  };
  return {
    ...running,
    ended: running.ended,
    port,
    told,
    /** Begins to drain, and has begun when this settles. */
    async drain() {
      process.kill(running.pid, 'SIGTERM');
      await told('draining');
    },
    finishSlow: () => process.kill(running.pid, 'SIGUSR2'),
    async result() {
      const { reports, code, signal, stderr } = await running.ended;
      return { ...reports.at(-1), code, signal, stderr };
    },
  };
}

/** Nothing was cut off, and the process has come to its end by itself. */
const CLEAN = { cut: 0, code: 0, signal: null, stderr: '' };

/** A client that says what it is told to, byte for byte. */
class Client {
  #text = '';
  #changed = () => {};
  closed = false;
  failed: string | undefined;

  private constructor(readonly socket: Socket) {
    socket.setEncoding('latin1').on('data', (data: string) => {
      this.#text += data;
      this.#changed();
    });
    socket.on('error', ({ message }) => {
      this.failed = message;
    });
    socket.on('close', () => {
      this.closed = true;
      this.#changed();
    });
  }

  static async connect(kind: Kind, port: number): Promise<Client> {
    const secure = kind === 'https' || kind === 'tls' || kind === 'http2s';
    const socket = secure
      ? connectTls({ port, host: '127.0.0.1', rejectUnauthorized: false })
      : connectTcp(port, '127.0.0.1');
    onTestFinished(() => void socket.destroy());
    const client = new Client(socket);
    await new Promise((resolve) => socket.once(secure ? 'secureConnect' : 'connect', resolve));
    return client;
  }

  write(data: string): void {
    this.socket.write(data);
  }

  /** What came since the last time, up to and with this text. */
  async read(text: string): Promise<string> {
    while (!this.#text.includes(text)) {
      if (this.closed)
        throw new Error(`closed (${this.failed}), with ${JSON.stringify(this.#text)}`);
      await this.#change();
    }
    const end = this.#text.indexOf(text) + text.length;
    const read = this.#text.slice(0, end);
    this.#text = this.#text.slice(end);
    return read;
  }

  /** @returns what came before it */
  async end(): Promise<string> {
    while (!this.closed) await this.#change();
    return this.#text;
  }

  #change(): Promise<void> {
    return new Promise((resolve) => {
      this.#changed = resolve;
    });
  }
}

const GET = (path: string) => `GET ${path} HTTP/1.1\r\nHost: here\r\n\r\n`;
const LAST_ANSWER = /^HTTP\/1.1 200 OK\r\n(.+\r\n)*Connection: close\r\n/;

describe.each(['http', 'https', 'http2s'] as const)('%s', (kind) => {
  test('a request under way is answered, as the last one of its connection', async () => {
    // Not for the end of an idle connection: it would come too late.
    const server = await serve(kind, { idleTimeout: 100_000, timeout: 100_000 });
    const client = await Client.connect(kind, server.port);
    client.write(GET('/slow'));
    await server.told('/slow');
    await server.drain();
    server.finishSlow();
    // With its own server of http2 node does not show which answers are due.
    if (kind === 'http2s') client.socket.end();
    else expect(await client.read('slow')).toMatch(LAST_ANSWER);
    await client.end();
    expect(client.failed).toBeUndefined();
    expect(await server.result()).toEqual(CLEAN);
  });

  test('the first request of a connection is answered, though it comes after', async () => {
    const server = await serve(kind);
    const client = await Client.connect(kind, server.port);
    await server.told('connection');
    await server.drain();
    client.write(GET('/first'));
    expect(await client.read('fast')).toMatch(LAST_ANSWER);
    await client.end();
    expect(await server.result()).toEqual(CLEAN);
  });

  test('a request of which half has come is answered when the rest comes', async () => {
    const server = await serve(kind, { idleTimeout: 50 });
    const client = await Client.connect(kind, server.port);
    const other = await Client.connect(kind, server.port);
    client.write(GET('/').slice(0, 20));
    // Seen by the server: what comes on another connection afterwards is.
    other.write(GET('/other'));
    await server.told('/other');
    await server.drain();
    // It was idle for 50 ms, and node has looked.
    await other.end();
    client.write(GET('/').slice(20));
    expect(await client.read('fast')).toMatch(LAST_ANSWER);
    await client.end();
    expect(await server.result()).toEqual(CLEAN);
  });

  test('an answer that is ended, and that its client is slow to read, is no idle connection', async () => {
    const server = await serve(kind, { idleTimeout: 50, timeout: 100_000 });
    const client = await Client.connect(kind, server.port);
    const idle = await Client.connect(kind, server.port);
    client.socket.pause();
    client.write(GET('/big'));
    await server.told('/big');
    await server.drain();
    await idle.end();
    client.socket.resume();
    const text = await client.end();
    expect(text.length - text.indexOf('\r\n\r\n') - 4).toBe(BIG);
    expect(await server.result()).toEqual(CLEAN);
  });

  test('a connection that is kept alive has its next request answered', async () => {
    const server = await serve(kind);
    const client = await Client.connect(kind, server.port);
    client.write(GET('/first'));
    expect(await client.read('fast')).toMatch(/^Connection: keep-alive\r$/m);
    await server.drain();
    client.write(GET('/next'));
    expect(await client.read('fast')).toMatch(LAST_ANSWER);
    await client.end();
    expect(await server.result()).toEqual(CLEAN);
  });

  test('silent connections end after idleTimeout, half-sent ones are cut off after timeout', async () => {
    const server = await serve(kind, { idleTimeout: 50, timeout: 500 });
    const silent = await Client.connect(kind, server.port);
    const half = await Client.connect(kind, server.port);
    half.write('GET / HTTP/1.1\r\n');
    await server.drain();
    expect(await silent.end()).toBe('');
    expect(half.closed).toBe(false);
    await half.end();
    expect(await server.result()).toEqual({ ...CLEAN, cut: 1 });
  });

  test('no connection is accepted any more', async () => {
    const server = await serve(kind);
    const client = await Client.connect(kind, server.port);
    client.write(GET('/slow'));
    await server.told('/slow');
    await server.drain();
    const refused = () =>
      new Promise<boolean>((resolve) => {
        const late = connectTcp(server.port, '127.0.0.1');
        late.once('connect', () => resolve(false)).once('error', () => resolve(true));
        late.once('connect', () => late.destroy());
      });
    await until(refused, 'the end of accepting');
    client.socket.destroy();
    expect(await server.result()).toEqual(CLEAN);
  });
});

describe('WebSocket', () => {
  const UPGRADE =
    'GET / HTTP/1.1\r\nHost: here\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n';

  async function upgraded(timeout: number, env: Record<string, string> = {}) {
    const server = await serve('http', { idleTimeout: 0, timeout }, env);
    const client = await Client.connect('http', server.port);
    client.write(UPGRADE);
    await client.read('\r\n\r\n');
    await server.told('upgraded');
    await server.drain();
    return { server, client };
  }

  test('the close frame that the program sends arrives, and its answer ends the drain', async () => {
    const { server, client } = await upgraded(100_000, { GOODBYE: 'yes' });
    await client.read('\x88\x02\x03\xe9');
    client.socket.end(Buffer.from([0x88, 0x82, 0, 0, 0, 0, 3, 0xe9]));
    await client.end();
    expect(await server.result()).toEqual(CLEAN);
  });

  test('one that stays is cut off after timeout', async () => {
    const { server, client } = await upgraded(200);
    await client.end();
    expect(await server.result()).toEqual({ ...CLEAN, cut: 1 });
  });
});

describe.each(['http2', 'http2s'] as const)('HTTP/2: %s', (kind) => {
  const get = (session: ClientHttp2Session, path: string) =>
    new Promise<string>((resolve, reject) => {
      const stream = session.request({ ':path': path });
      let text = '';
      stream.setEncoding('utf8').on('data', (data) => {
        text += data;
      });
      stream.on('error', reject).on('end', () => resolve(text));
    });

  async function connect(port: number) {
    const scheme = kind === 'http2' ? 'http' : 'https';
    const session = connectHttp2(`${scheme}://127.0.0.1:${port}`, { rejectUnauthorized: false });
    onTestFinished(() => session.destroy());
    const goaways: number[] = [];
    session.on('goaway', (_code, lastStream) => goaways.push(lastStream));
    const closed = new Promise((resolve) => session.once('close', resolve));
    await new Promise((resolve) => session.once('remoteSettings', resolve));
    return { session, goaways, closed };
  }

  test('streams under way are answered, and GOAWAY names the last one after a round trip', async () => {
    const server = await serve(kind, { idleTimeout: 100_000, timeout: 100_000 });
    const { session, goaways, closed } = await connect(server.port);
    const slow = get(session, '/slow');
    await server.told('/slow');
    await server.drain();
    // Told with this one.
    expect(await get(session, '/')).toBe('fast');
    server.finishSlow();
    expect(await slow).toBe('slow');
    await closed;
    // The session may say it once more as it closes.
    const [first, ...named] = goaways;
    expect([first, ...new Set(named)]).toEqual([2 ** 31 - 1, 3]);
    expect(await server.result()).toEqual(CLEAN);
  });

  test('an idle session is told after idleTimeout', async () => {
    const server = await serve(kind, { idleTimeout: 50, timeout: 1000 });
    const { session, goaways, closed } = await connect(server.port);
    expect(await get(session, '/')).toBe('fast');
    await server.drain();
    await closed;
    const isShown = kind === 'http2' || Number(process.versions.node.split('.')[0]) >= 24;
    expect([...new Set(goaways)]).toEqual(isShown ? [1] : []);
    expect(await server.result()).toEqual({ ...CLEAN, cut: isShown ? 0 : 1 });
  });

  test('a session that has asked for nothing yet gets its first answer', async () => {
    const server = await serve(kind);
    const socket = connectTcp(server.port, '127.0.0.1');
    await server.told('connection');
    await server.drain();
    // The server sees the preface only now.
    const session = connectHttp2(
      kind === 'http2' ? 'http://127.0.0.1' : 'https://127.0.0.1',
      kind === 'http2'
        ? { createConnection: () => socket }
        : {
            createConnection: () =>
              connectTls({
                socket,
                servername: 'localhost',
                ALPNProtocols: ['h2'],
                rejectUnauthorized: false,
              }),
          },
    );
    onTestFinished(() => session.destroy());
    const closed = new Promise((resolve) => session.once('close', resolve));
    expect(await get(session, '/first')).toBe('fast');
    await closed;
    expect(await server.result()).toEqual(CLEAN);
  });
});

describe.each(['net', 'tls'] as const)('%s', (kind) => {
  test('waits for the connections, and cuts off those that are there after timeout', async () => {
    const server = await serve(kind, { idleTimeout: 0, timeout: 500 });
    const [leaving, staying] = [
      await Client.connect(kind, server.port),
      await Client.connect(kind, server.port),
    ];
    await server.told('connection');
    await server.told('connection');
    await server.drain();
    leaving.socket.end();
    await leaving.end();
    expect(staying.closed).toBe(false);
    await staying.end();
    expect(await server.result()).toEqual({ ...CLEAN, cut: 1 });
  });
});

test('clients that keep their connections alive lose nothing while workers are replaced', async () => {
  const running = start(`
    const { drain, listen, supervise } = doublefork;
    const listener = listen('http', { port: 0, host: '127.0.0.1' });
    report(listener.address.port);
    const worker = supervise({ workers: 2, log: 'none', ready: 'manual' });
    const { createServer } = await import('node:http');
    const server = createServer((request, response) => {
      if (request.url === '/slow') setTimeout(() => response.end('slow'), 100);
      else response.end('fast');
    });
    server.listen({ fd: listener.fd }, () => { worker.ready(); report('ready'); });
    worker.signal.addEventListener('abort', () => drain(server));
  `);
  const port: number = await running.report();
  for (const _ of [1, 2]) await running.report();
  const agent = new Agent({ keepAlive: true });
  let done = false;
  let answered = 0;
  const lost: unknown[] = [];
  const client = async (path: string) => {
    while (!done) {
      await get(port, path, agent).then(
        () => answered++,
        (error) => lost.push(error),
      );
    }
  };
  const clients = ['/', '/', '/', '/', '/slow', '/slow'].map(client);
  for (let reload = 0; reload < 5; reload++) {
    process.kill(running.pid, 'SIGHUP');
    for (const _ of [1, 2]) await running.report();
  }
  done = true;
  await Promise.all(clients);
  agent.destroy();
  process.kill(running.pid, 'SIGTERM');
  await running.ended;
  expect(lost).toEqual([]);
  expect(answered).toBeGreaterThan(clients.length);
});

function get(port: number, path: string, agent: Agent): Promise<void> {
  return new Promise((resolve, reject) => {
    const request = httpGet({ port, path, agent, host: '127.0.0.1' }, (response) => {
      response.resume().on('end', resolve).on('error', reject);
    });
    request.on('error', reject);
  });
}

test('a server without connections is done at once, also one that never listened', async () => {
  const { reports } = await run(`
    const { drain } = doublefork;
    const http = await import('node:http');
    const server = http.createServer();
    report(await drain(server));
    server.listen(0);
    await new Promise((resolve) => server.once('listening', resolve));
    const again = http.createServer().listen(0);
    await new Promise((resolve) => again.once('listening', resolve));
    const drained = drain(again);
    report(drain(again) === drained);
    report(await drained);
    server.close();
  `);
  expect(reports).toEqual([{ cut: 0 }, true, { cut: 0 }]);
});

test('refuses what is no server, and times that are none', async () => {
  const { reports } = await run(`
    const { drain } = doublefork;
    const http = await import('node:http');
    for (const args of [[], [{}], [http.createServer(), 5], [http.createServer(), { timeout: -1 }],
      [http.createServer(), { idleTimeout: 'soon' }]]) {
      try { drain(...args); report('nothing'); } catch (error) { report(error.code); }
    }
  `);
  const type = 'ERR_INVALID_ARG_TYPE';
  expect(reports).toEqual([type, type, type, 'ERR_OUT_OF_RANGE', type]);
});
