// Debian's own Prometheus scrapes /metrics, and promtool finds nothing.

import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, writeFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { temporaryFolder } from '../../support/folder.js';
import { until } from '../../support/processes.js';
import { start } from '../../support/program.js';

const isThere = existsSync('/usr/bin/prometheus');
if (!isThere) console.log('Not tested, Prometheus: there is no /usr/bin/prometheus');

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

test.skipIf(!isThere)('a family is scraped by Prometheus', async () => {
  const program = start(`
    const { health } = await import('doublefork/health');
    const endpoint = health({ port: 0, cache: 0, interval: 200 });
    const worker = doublefork.supervise({ workers: 2, log: 'none' });
    worker.signal.addEventListener('abort', () => process.exit());
    endpoint.check('itself', () => true);
    if (worker.id === 1) report([endpoint.address.port, process.ppid]);
    setInterval(() => {}, 1e6);
  `);
  const [port, supervisor] = (await program.report()) as [number, number];
  const url = `http://127.0.0.1:${port}`;
  await until(async () => (await fetch(`${url}/readyz`)).ok, 'its readiness');
  const text = await (await fetch(`${url}/metrics`)).text();
  const promtool = spawnSync('promtool', ['check', 'metrics'], { input: text, encoding: 'utf8' });
  expect(promtool).toMatchObject({ status: 0, stdout: '', stderr: '' });

  const folder = temporaryFolder();
  const config = join(folder, 'prometheus.yml');
  writeFileSync(
    config,
    JSON.stringify({
      scrape_configs: [
        {
          job_name: 'doublefork',
          scrape_interval: '200ms',
          scrape_timeout: '200ms',
          static_configs: [{ targets: [`127.0.0.1:${port}`] }],
        },
      ],
    }),
  );
  const own = await freePort();
  const prometheus = spawn(
    'prometheus',
    [
      `--config.file=${config}`,
      `--storage.tsdb.path=${join(folder, 'data')}`,
      `--web.listen-address=127.0.0.1:${own}`,
    ],
    { stdio: 'ignore' },
  );
  try {
    const ask = async (query: string) => {
      const at = `http://127.0.0.1:${own}/api/v1/query?query=${encodeURIComponent(query)}`;
      const answer = await fetch(at).catch(() => undefined);
      if (!answer?.ok) return [];
      const { data } = (await answer.json()) as {
        data: { result: { metric: Record<string, string>; value: [number, string] }[] };
      };
      return data.result.map(({ metric, value }) => [metric.worker, Number(value[1])]);
    };
    await until(
      async () => (await ask('doublefork_worker_ready')).length === 2,
      'a scrape',
      20_000,
    );
    expect((await ask('sort(doublefork_worker_ready)')).sort()).toEqual([
      ['1', 1],
      ['2', 1],
    ]);
    expect(await ask('up')).toEqual([[undefined, 1]]);
  } finally {
    prometheus.kill();
    await once(prometheus, 'exit');
    process.kill(supervisor);
    await program.ended;
  }
});
