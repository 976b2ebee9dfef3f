// Under load: no request is lost when systemd stops the whole control group, and no connection is refused
// or reset while it restarts a service whose sockets it holds. ROUNDS=5 makes it shorter.

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'vitest';
import { Service } from '../support/managers/service.js';
import { Systemd, testWithSystemd } from '../support/managers/systemd.js';
import { node } from '../support/node.js';
import { until } from '../support/processes.js';

const ROUNDS = Number(process.env.ROUNDS ?? 0);

/** Fetches from a port: so many at once, each on a connection of its own; how they ended, counted. */
const CLIENT = `
  import { get } from 'node:http';
  const [port, width, count] = process.argv.slice(2).map(Number);
  const outcomes = {};
  let left = count || Infinity;
  let ended = false;
  process.on('SIGTERM', () => { ended = true; });
  const once = () => new Promise((resolve) => {
    get({ port, host: '127.0.0.1', agent: false }, (response) => {
      let body = '';
      response.on('data', (data) => { body += data; }).on('end', () => resolve(body)).on('error', ({ code }) => resolve(code));
    }).on('error', ({ code }) => resolve(code));
  });
  await Promise.all(Array.from({ length: width }, async () => {
    while (!ended && left-- > 0) {
      const outcome = await once();
      outcomes[outcome] = (outcomes[outcome] ?? 0) + 1;
    }
  }));
  console.log(JSON.stringify(outcomes));
`;

const serviceOf = (port: string, delay: number) => `
  const http = listen('http', { port: ${port}, host: '127.0.0.1' });
  const worker = supervise({ workers: 2, ready: 'manual', log: 'none' });
  const server = createServer((request, response) => { ${delay > 0 ? 'say(process.argv[2]);' : ''} setTimeout(() => response.end('done'), ${delay}); });
  server.listen({ fd: http.fd }, worker.ready);
  worker.signal.addEventListener('abort', () => drain(server, { idleTimeout: 100 }));
`;

const add = (sum: Record<string, number>, more: Record<string, number>) => {
  for (const [key, count] of Object.entries(more)) sum[key] = (sum[key] ?? 0) + count;
  return sum;
};

testWithSystemd(
  'KillMode=control-group: 100 stops, each with 4 requests of 1.5 s under way',
  async () => {
    const service = new Service(serviceOf('Number(process.argv[2])', 1500));
    const client = join(service.directory, 'client.mjs');
    writeFileSync(client, CLIENT);
    const systemd = await Systemd.boot({
      'app@.service': `[Service]\nType=notify\nKillMode=control-group\nExecStart=${service.line} %i`,
    });
    // Several at once: what matters is what becomes of each.
    const ports = Array.from({ length: 4 }, (_, index) => String(8100 + index));
    const outcomes: Record<string, number> = {};
    const came = (port: string) => service.said.filter((it) => it === port).length;
    const rounds = ROUNDS || 25;
    for (let round = 0; round < rounds; round++) {
      await systemd.do('start', ...ports.map((port) => `app@${port}`));
      await Promise.all(
        ports.map(async (port) => {
          const before = came(port);
          const loaded = systemd.exec(node, client, port, '4', '4');
          await until(() => came(port) === before + 4, '4 requests are under way');
          await systemd.do('stop', `app@${port}`);
          add(outcomes, JSON.parse((await loaded).stdout));
        }),
      );
    }
    console.log(`${rounds * 4} stops: ${JSON.stringify(outcomes)}`);
    expect(outcomes).toEqual({ done: rounds * 16 });
  },
);

testWithSystemd('a socket unit: 500 restarts under load', async () => {
  const service = new Service(serviceOf('8080', 0));
  const client = join(service.directory, 'client.mjs');
  writeFileSync(client, CLIENT);
  const systemd = await Systemd.boot({
    'app.socket':
      '[Unit]\nDefaultDependencies=no\n[Socket]\nListenStream=127.0.0.1:8080\nBacklog=1024',
    'app.service':
      '[Unit]\nDefaultDependencies=no\nStartLimitIntervalSec=0\n' +
      `[Service]\nType=notify\nExecStart=${service.line}`,
  });
  await systemd.do('start', 'app.socket');
  const load = systemd.exec('bash', '-c', `echo $$ >/run/client; exec ${node} ${client} 8080 4`);
  const rounds = ROUNDS ? ROUNDS * 10 : 500;
  for (let round = 0; round < rounds; round++) await systemd.do('restart', 'app');
  await systemd.exec('bash', '-c', 'kill $(cat /run/client)');
  const outcomes = JSON.parse((await load).stdout);
  console.log(`${rounds} restarts: ${JSON.stringify(outcomes)}`);
  expect(Object.keys(outcomes)).toEqual(['done']);
});
