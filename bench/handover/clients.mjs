// Clients of every kind, which ask until they are told to end. Each counts for itself what failed, and
// answers of a version that was not to be had any more when it asked.

import { spawn } from 'node:child_process';
import { Agent, get as httpGet } from 'node:http';
import { connect as connectHttp2 } from 'node:http2';
import { Agent as HttpsAgent, get as httpsGet } from 'node:https';
import { createRequire } from 'node:module';
import { connect } from 'node:net';
import { text } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { packages } from './deploy.mjs';

const host = '127.0.0.1';
/** A request that is not answered by then has failed. In ms. */
const PATIENCE = 15_000;

/** What all kinds share: which versions are served, and whether to go on. */
export class Traffic {
  /** Versions that whoever asks now may be answered by. */
  served = new Set();
  done = false;
  /** Heard of each answer. */
  onAnswer = (_version) => {};
}

/** @typedef {{ answers: number, failed: number, old: number, reasons: Map<string, number> }} Counts */

class Client {
  answers = 0;
  failed = 0;
  old = 0;
  reasons = new Map();
  #traffic;

  constructor(traffic) {
    this.#traffic = traffic;
  }

  get done() {
    return this.#traffic.done;
  }

  /** Asks once, and counts. @param {() => Promise<string>} ask */
  async ask(ask) {
    const served = this.#traffic.served;
    try {
      const version = await within(ask());
      this.answers++;
      this.#traffic.onAnswer(version);
      // What may be served changes while it asks: then either will do.
      if (!served.has(version) && !this.#traffic.served.has(version)) this.old++;
      return true;
    } catch (error) {
      this.fail(error.code ?? error.message);
      return false;
    }
  }

  fail(reason) {
    this.failed++;
    this.reasons.set(reason, (this.reasons.get(reason) ?? 0) + 1);
  }
}

async function within(promise) {
  const timeout = new AbortController();
  const late = sleep(PATIENCE, undefined, { signal: timeout.signal }).then(() => {
    throw new Error('no answer');
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    timeout.abort();
    late.catch(() => {});
  }
}

const get = (request, options) =>
  new Promise((resolve, reject) => {
    const sent = request({ host, rejectUnauthorized: false, ...options }, (response) => {
      response.on('error', reject);
      text(response).then(resolve, reject);
    });
    sent.on('error', reject);
  });

/** A request over a connection of its own, byte for byte, with pauses. */
const raw = (port, parts, pause) =>
  new Promise((resolve, reject) => {
    let all = '';
    const socket = connect(port, host, async () => {
      for (const part of parts) {
        if (pause > 0) await sleep(pause);
        socket.write(part);
      }
    });
    socket.setEncoding('latin1').on('data', (data) => {
      all += data;
      const body = /^content-length: (\d+)\r\n/im.exec(all);
      const [, answer] = all.split('\r\n\r\n');
      const chunked = /\r\n0\r\n\r\n$/.test(all);
      if (answer !== undefined && body !== null && answer.length >= Number(body[1])) {
        socket.end();
        resolve(answer);
      } else if (chunked) resolve(/\r\n\r\n\w+\r\n(.*)\r\n0/.exec(all)?.[1] ?? '');
    });
    socket.on('error', reject).on('close', () => reject(new Error('closed without an answer')));
  });

const GET = 'GET / HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n';

/** By kind, one client that asks over and over. @type {Record<string, (client: Client, ports: Record<string, number>) => Promise<void>>} */
const kinds = {
  async 'a connection each'(client, { http }) {
    while (!client.done) await client.ask(() => get(httpGet, { port: http, agent: false }));
  },
  async 'keep-alive, busy'(client, { http }) {
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    while (!client.done) await client.ask(() => get(httpGet, { port: http, agent }));
    agent.destroy();
  },
  async 'keep-alive, idle'(client, { http }) {
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    while (!client.done) {
      await client.ask(() => get(httpGet, { port: http, agent }));
      await sleep(Math.random() * 700);
    }
    agent.destroy();
  },
  async 'request 200 ms late'(client, { http }) {
    while (!client.done) await client.ask(() => raw(http, [GET], 200));
  },
  async 'request in halves'(client, { http }) {
    const halves = [GET.slice(0, 30), GET.slice(30)];
    while (!client.done) await client.ask(() => raw(http, halves, 100));
  },
  async 'TLS, a connection each'(client, { https }) {
    while (!client.done) await client.ask(() => get(httpsGet, { port: https, agent: false }));
  },
  async 'TLS, keep-alive'(client, { https }) {
    const agent = new HttpsAgent({ keepAlive: true, maxSockets: 1 });
    while (!client.done) {
      await client.ask(() => get(httpsGet, { port: https, agent }));
      await sleep(Math.random() * 20);
    }
    agent.destroy();
  },
  async 'HTTP/2'(client, { http2 }) {
    let session;
    while (!client.done) {
      if (session === undefined || session.closed || session.destroyed || session.told) {
        session = openSession(http2);
      }
      await client.ask(() => stream(session));
      await sleep(Math.random() * 5);
    }
    session?.close();
  },
  async WebSocket(client, { http }) {
    while (!client.done) await echo(client, http);
  },
};

function openSession(port) {
  const session = connectHttp2(`http://${host}:${port}`);
  session.on('goaway', () => {
    session.told = true;
  });
  session.on('error', () => {});
  return session;
}

const stream = (session) =>
  new Promise((resolve, reject) => {
    const request = session.request({ ':path': '/' });
    let answer = '';
    request.setEncoding('utf8').on('data', (data) => {
      answer += data;
    });
    let status;
    request.on('response', (headers) => {
      status = headers[':status'];
    });
    request.on('error', reject);
    request.on('close', () =>
      status === 200 ? resolve(answer) : reject(new Error('closed without an answer')),
    );
  });

/** A connection that lives until the server says goodbye, with a code: 1006 means it did not. */
async function echo(client, port) {
  // Installed when this runs: see deploy.mjs.
  const { WebSocket } = createRequire(`${packages}/`)('ws');
  const socket = new WebSocket(`ws://${host}:${port}`);
  const closed = new Promise((resolve) => socket.once('close', resolve));
  socket.on('error', () => {});
  const isOpen = await Promise.race([
    new Promise((resolve) => socket.once('open', () => resolve(true))),
    closed.then(() => false),
  ]);
  if (!isOpen) return client.fail('no connection');
  const ended = closed.then((code) => {
    if (code !== 1001 && code !== 1005) client.fail(`closed with ${code}`);
    return undefined;
  });
  while (!client.done && socket.readyState === WebSocket.OPEN) {
    const answer = new Promise((resolve) =>
      socket.once('message', (data) => resolve(String(data))),
    );
    socket.send('?');
    const version = await Promise.race([answer, ended]);
    // Said goodbye to with a question under way: it is told, and asks the next one.
    if (version !== undefined) await client.ask(async () => version);
    await sleep(20);
  }
  socket.close();
  await ended;
}

export const KINDS = ['wrk', ...Object.keys(kinds)];

/**
 * Starts clients of these kinds.
 * @param {string[]} wanted
 * @param {Traffic} traffic
 * @param {Record<string, number>} ports
 * @returns {() => Promise<Record<string, Counts>>} ends them
 */
export function startClients(wanted, traffic, ports) {
  const started = wanted.map((kind) => {
    const client = new Client(traffic);
    const end = kind === 'wrk' ? startWrk(client, ports.http) : undefined;
    const running = kind === 'wrk' ? undefined : kinds[kind](client, ports);
    return { kind, client, end, running };
  });
  return async () => {
    traffic.done = true;
    for (const { running, end } of started) {
      await running;
      await end?.();
    }
    return Object.fromEntries(started.map(({ kind, client }) => [kind, client]));
  };
}

/** wrk -c64, keep-alive; it does not read what it is answered. */
function startWrk(client, port) {
  const child = spawn('wrk', ['-t1', '-c64', '-d3600s', `http://${host}:${port}/`], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const report = text(child.stdout);
  return async () => {
    child.kill('SIGINT');
    const said = await report;
    client.answers = Number(/(\d+) requests in/.exec(said)?.[1]);
    const errors = /connect (\d+), read (\d+), write (\d+), timeout (\d+)/.exec(said);
    for (const [index, name] of ['connect', 'read', 'write', 'timeout'].entries()) {
      const count = Number(errors?.[index + 1] ?? 0);
      if (count > 0) client.reasons.set(name, count);
      client.failed += count;
    }
    const other = Number(/Non-2xx or 3xx responses: (\d+)/.exec(said)?.[1] ?? 0);
    client.failed += other;
    if (other > 0) client.reasons.set('not 200', other);
  };
}
