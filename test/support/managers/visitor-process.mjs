// Visits a server on port 8080 from within its network namespace, as it is told on stdin: one JSON array a
// line, [id, name, ...arguments]; each is answered by a line [id, result]. See visitor.ts.

import { readFileSync } from 'node:fs';
import { Agent, get } from 'node:http';
import { connect } from 'node:net';
import { createInterface } from 'node:readline';

const PORT = 8080;
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** @returns the body, or the code of the error */
const fetchPage = (path, agent = false, timeout = 20_000) =>
  new Promise((resolve) => {
    const request = get({ port: PORT, host: '127.0.0.1', path, agent, timeout });
    request.on('timeout', () => request.destroy(Object.assign(new Error(), { code: 'ETIMEDOUT' })));
    request.on('error', ({ code }) => resolve(code));
    request.on('response', (response) => {
      let body = '';
      response.on('data', (data) => {
        body += data;
      });
      response.on('end', () => resolve(body)).on('error', ({ code }) => resolve(code));
    });
  });

/** All that clients have sent to the port was read by the server: the kernel holds none of it. */
function isAllRead() {
  const port = PORT.toString(16).toUpperCase().padStart(4, '0');
  const lines = readFileSync('/proc/self/net/tcp', 'utf8').split('\n').slice(1, -1);
  return lines.every((line) => {
    const [, local, , state, queues] = line.trim().split(/\s+/);
    const [, unread] = queues.split(':');
    return !local.endsWith(`:${port}`) || state !== '01' || Number.parseInt(unread, 16) === 0;
  });
}

/** A connection on which half of a request was sent. */
function halfSent() {
  const socket = connect(PORT, '127.0.0.1').setEncoding('latin1');
  const outcome = new Promise((resolve) => {
    socket.on('data', (data) => resolve(data.startsWith('HTTP/1.1 200') ? 'answered' : data));
    socket.on('error', ({ code }) => resolve(code));
    socket.on('close', () => resolve('closed'));
  });
  socket.write('GET / HTTP/1.1\r\nHost: ');
  return async () => {
    socket.write('app\r\n\r\n');
    const how = await outcome;
    socket.destroy();
    return how;
  };
}

let load;
let held = [];

const COMMANDS = {
  get: fetchPage,
  /** Fetches until the body has this in it. @returns what came in its place, if it is too late */
  until: async (part, path, deadline) => {
    const end = Date.now() + deadline;
    for (;;) {
      const body = await fetchPage(path);
      if (body.includes(part)) return { body };
      if (Date.now() > end) return { instead: body };
      await pause(20);
    }
  },
  /** Nobody listens. @returns what was there until the end, if somebody does */
  silence: async (deadline) => {
    const end = Date.now() + deadline;
    for (;;) {
      const body = await fetchPage('/');
      if (body === 'ECONNREFUSED') return {};
      if (Date.now() > end) return { instead: body };
      await pause(20);
    }
  },
  /** Nobody takes new requests. */
  refusal: async () => {
    while ((await fetchPage('/', false, 500)).includes(' ')) await pause(20);
  },
  load: () => {
    load = { outcomes: {}, ended: false };
    const current = load;
    const agents = [false, false, new Agent({ keepAlive: true }), new Agent({ keepAlive: true })];
    load.done = Promise.all(
      agents.map(async (agent) => {
        while (!current.ended) {
          const outcome = (await fetchPage('/', agent)).split(' ')[0];
          current.outcomes[outcome] = (current.outcomes[outcome] ?? 0) + 1;
        }
        if (agent) agent.destroy();
      }),
    );
  },
  /** Ends the load. @returns how requests ended, by the first word of the answer or the code of the error */
  unload: async () => {
    load.ended = true;
    await load.done;
    return load.outcomes;
  },
  /** Has so many requests of each kind under way, the slow ones at this path if there is one. */
  hold: async (count, slow) => {
    held = Array.from({ length: count }, halfSent);
    for (let number = 0; slow !== undefined && slow !== null && number < count; number++) {
      const outcome = fetchPage(slow).then((body) => (body.startsWith('E') ? body : 'answered'));
      held.push(() => outcome);
    }
    await pause(50);
    while (!isAllRead()) await pause(5);
  },
  /** Sends what is missing of them. @returns how each ended */
  release: () => Promise.all(held.map((end) => end())),
};

for await (const line of createInterface({ input: process.stdin })) {
  const [id, name, ...args] = JSON.parse(line);
  Promise.resolve(COMMANDS[name](...args)).then(
    (result) => console.log(JSON.stringify([id, result ?? null])),
    (error) => console.log(JSON.stringify([id, { error: String(error?.stack) }])),
  );
}
