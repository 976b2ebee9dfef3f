// A new version under load: what fails, for each kind of client, by who has the app run.
//
//   npm run bench:handover -- [--reloads 20] [--peers doublefork,pm2] [--only KIND]... [--broken]
//   npm run bench:handover -- --gap [--reloads 20] [--peers ...]
//   npm run bench:handover -- --rollback | --recovery [--reloads 20]
//   npm run bench:handover -- --growth 1000   exit code 1: the service's process grows
//
// DOUBLEFORK_ENGINE=exec: workers of the other engine. Installs pm2 and ws into a directory of its own
// (.bench). Peers that are not installed are left out.

import { spawnSync } from 'node:child_process';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { median } from '../support/statistics.mjs';
import { KINDS, startClients, Traffic } from './clients.mjs';
import { Directory, FAULTS, installPackages } from './deploy.mjs';
import { measureGrowth } from './growth.mjs';
import { measureGaps, measureRecovery, measureRollback } from './moments.mjs';
import { peers } from './peers.mjs';

const { values: options } = parseArgs({
  options: {
    reloads: { type: 'string', default: '20' },
    peers: { type: 'string', default: Object.keys(peers).join() },
    only: { type: 'string', multiple: true, default: KINDS },
    broken: { type: 'boolean', default: false },
    gap: { type: 'boolean', default: false },
    rollback: { type: 'boolean', default: false },
    recovery: { type: 'boolean', default: false },
    growth: { type: 'string' },
  },
});
const reloads = Number(options.growth ?? options.reloads);
if (!(Number.isInteger(reloads) && reloads > 0))
  throw new Error(`not a number of reloads: ${options.growth ?? options.reloads}`);
const unknown = options.only.filter((kind) => !KINDS.includes(kind));
if (unknown.length > 0)
  throw new Error(`no such kind of client: ${unknown}; there are: ${KINDS.join(', ')}`);

const isInstalled = (name) => name !== 'nginx' || spawnSync('nginx', ['-v']).error === undefined;

async function freePort() {
  const server = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const { port } = server.address();
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** Has the app run under this peer. @param more for its environment */
async function withService(name, use, more = {}) {
  const directory = new Directory();
  const ports = { http: await freePort(), https: await freePort(), http2: await freePort() };
  const env = {
    ...process.env,
    WORKERS: '2',
    PORTS: JSON.stringify(ports),
    TLS: `${directory.path}/`,
    LOG: join(directory.path, 'log'),
    ...more,
  };
  directory.deploy('v0');
  let service;
  try {
    service = await peers[name]({ directory: directory.path, env, ports, version: 'v0' });
    await serves(ports.http);
    return await use({ service, directory, ports });
  } finally {
    await service?.stop();
    directory.remove();
  }
}

async function serves(port) {
  for (const end = Date.now() + 20_000; ; ) {
    try {
      return void (await fetch(`http://127.0.0.1:${port}/`));
    } catch (error) {
      if (Date.now() > end) throw error;
      await sleep(20);
    }
  }
}

/** Deploys one version after the other; every third one is broken if that is asked for. */
async function measureReloads(name) {
  return await withService(name, async ({ service, directory, ports }) => {
    // nginx has no WebSocket echo.
    const wanted = options.only.filter((kind) => name !== 'nginx' || kind !== 'WebSocket');
    const traffic = new Traffic();
    traffic.served = new Set(['v0']);
    const end = startClients(wanted, traffic, ports);
    await sleep(500);
    const faults = Object.values(FAULTS);
    const times = [];
    /** A success that was none, and the other way round. */
    let wrong = 0;
    let current = 'v0';
    for (let i = 1; i <= reloads; i++) {
      const version = `v${i}`;
      // nginx answers by its configuration, and has no program to break.
      const fault =
        options.broken && i % 3 === 0 && !service.configure
          ? faults[(i / 3 - 1) % faults.length]
          : '';
      if (service.configure) service.configure(version);
      else directory.deploy(version, fault);
      traffic.served = new Set([current, version]);
      const began = performance.now();
      const ok = await service.reload();
      if (fault === '') times.push(performance.now() - began);
      if (ok !== (fault === '')) wrong++;
      if (ok) current = version;
      traffic.served = new Set([current]);
      await sleep(50);
    }
    const counts = await end();
    return { counts, wrong, time: median(times) };
  });
}

async function compareReloads(names) {
  const found = {};
  for (const name of names) {
    found[name] = await measureReloads(name);
    console.error(`${name}: done`);
  }
  const column = 22;
  console.log(
    `${reloads} reloads${options.broken ? ', every third one of a broken version' : ''}:`,
  );
  console.log('failed requests (+ answers of an old version after "ok") of all\n');
  console.log([''.padEnd(24), ...names.map((name) => name.padEnd(column))].join(''));
  for (const kind of options.only) {
    const cells = names.map((name) => {
      const count = found[name].counts[kind];
      if (count === undefined) return '-';
      return `${count.failed}${count.old > 0 ? ` + ${count.old}` : ''} of ${count.answers + count.failed}`;
    });
    console.log([kind.padEnd(24), ...cells.map((cell) => cell.padEnd(column))].join(''));
  }
  console.log(
    [
      'wrong about the outcome'.padEnd(24),
      ...names.map((name) => String(found[name].wrong).padEnd(column)),
    ].join(''),
  );
  console.log(
    [
      'ms to "ok", median'.padEnd(24),
      ...names.map((name) => found[name].time.toFixed(0).padEnd(column)),
    ].join(''),
  );
  for (const name of names) {
    for (const [kind, { reasons }] of Object.entries(found[name].counts)) {
      const all = [...reasons].map(([reason, count]) => `${count} x ${reason}`);
      if (all.length > 0) console.log(`  ${name}, ${kind}: ${all.join(', ')}`);
    }
  }
}

installPackages();
const names = options.peers.split(',').filter(isInstalled);
const context = { withService, reloads, names };
if (options.growth) process.exitCode = (await measureGrowth(context)) ? 0 : 1;
else if (options.gap) await measureGaps(context);
else if (options.rollback) await measureRollback(context);
else if (options.recovery) await measureRecovery(context);
else await compareReloads(names);
