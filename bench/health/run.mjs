// npm run bench:health -- [--rounds N] [--only scrape|load|page]
//
// What doublefork/health costs, and whether it keeps its goals: a scrape of a family of 8 beside one of a
// process that answers by itself with prom-client, requests per second with and without health() and a page
// that is watched, and in Debian's Chromium the first paint, and the use of a page of 1,000 workers. Exit code
// 1: a goal was missed.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { request } from 'node:http';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { parseArgs } from 'node:util';
import { interleave, median } from '../support/statistics.mjs';

const { values: options } = parseArgs({
  options: { rounds: { type: 'string', default: '7' }, only: { type: 'string' } },
});
const rounds = Number(options.rounds);
const APP = join(import.meta.dirname, 'app.mjs');
const COMMAND = join(import.meta.dirname, '../../dist/cli/doublefork.cjs');

/** @type {{ name: string, value: string, goal: string, met: boolean | undefined }[]} */
const lines = [];

function tell(name, value, unit, most) {
  const goal = most === undefined ? '' : `<= ${most}`;
  const met = most === undefined ? undefined : value <= most;
  lines.push({ name, value: `${value.toFixed(2)} ${unit}`, goal, met });
}

/** A program of app.mjs, once it has said where it is. */
async function start(kind, workers) {
  const child = spawn(process.execPath, [APP, kind, String(workers)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [line] = await once(createInterface({ input: child.stdout }), 'line');
  const stop = async () => {
    child.kill('SIGTERM');
    await once(child, 'exit');
  };
  return { pid: child.pid, stop, ...JSON.parse(line) };
}

/** @returns how long it took, in ms */
function scrape(port, path = '/metrics') {
  const since = performance.now();
  return new Promise((resolve, reject) => {
    request({ host: '127.0.0.1', port, path, agent: false }, (response) => {
      response.resume();
      response.on('end', () => resolve(performance.now() - since));
    })
      .on('error', reject)
      .end();
  });
}

const quantile = (values, part) =>
  values.toSorted((a, b) => a - b)[Math.min(values.length - 1, Math.floor(values.length * part))];

/** The processes below one, by name. */
function memoryOf(supervisor, name) {
  const children = readFileSync(`/proc/${supervisor}/task/${supervisor}/children`, 'utf8');
  for (const pid of children.trim().split(' ')) {
    if (!readFileSync(`/proc/${pid}/cmdline`, 'latin1').startsWith(name)) continue;
    const rollup = readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8');
    const kB = (key) => Number(new RegExp(`^${key}: +(\\d+)`, 'm').exec(rollup)[1]);
    return { rss: kB('Rss') / 1024, own: (kB('Private_Clean') + kB('Private_Dirty')) / 1024 };
  }
  throw new Error(`no ${name} below ${supervisor}`);
}

const measurements = {
  async scrape() {
    const family = await start('health', 8);
    const single = await start('prom-client', 1);
    try {
      const each = 30;
      const all = { family: [], single: [] };
      const of = (name, port) => async () => {
        for (let n = 0; n < each; n++) all[name].push(await scrape(port));
        return 0;
      };
      await interleave(
        { family: of('family', family.health), single: of('single', single.health) },
        rounds,
      );
      const ours = all.family.slice(each);
      tell('scrape of a family of 8, median', median(ours), 'ms', 5);
      tell('scrape of a family of 8, p99', quantile(ours, 0.99), 'ms');
      tell('prom-client in one process, median', median(all.single.slice(each)), 'ms');
      // How late a worker turns while somebody scrapes as fast as he can, and while nobody does.
      const late = { scraped: [], alone: [] };
      const delay = async () => JSON.parse(await text(family.port, '/delay'));
      for (let round = 0; round < rounds; round++) {
        for (const name of ['alone', 'scraped']) {
          await delay();
          const end = performance.now() + 1000;
          if (name === 'scraped') while (performance.now() < end) await scrape(family.health);
          else await new Promise((resolve) => setTimeout(resolve, 1000));
          late[name].push(await delay());
        }
      }
      tell('worst turn of a worker while nobody scrapes, median', median(late.alone), 'ms');
      tell('the same while it is scraped without a break', median(late.scraped), 'ms');
      const { rss, own } = memoryOf(family.pid, 'doublefork health');
      tell('process that serves it: resident memory', rss, 'MB');
      tell('of that its own', own, 'MB');
    } finally {
      await family.stop();
      await single.stop();
    }
  },

  async load() {
    const apps = {
      without: await start('plain', 2),
      // The same once more: what it differs by is what a measurement can tell.
      again: await start('plain', 2),
      with: await start('health', 2),
      watched: await start('health', 2),
    };
    const watching = request({ host: '127.0.0.1', port: apps.watched.health, path: '/events' });
    watching.on('response', (response) => response.resume()).end();
    watching.on('error', () => {});
    try {
      const of =
        ({ port }) =>
        () =>
          perSecond(port, 1500);
      const {
        without,
        with: served,
        watched,
      } = await interleave(
        { without: of(apps.without), with: of(apps.with), watched: of(apps.watched) },
        rounds * 3,
      );
      const lost = (taken) =>
        100 * (1 - median(taken.map((value, round) => value / without[round])));
      tell('requests per second without health()', median(without), '/s');
      tell('lost by the same program once more', lost(again), '%');
      tell('lost with health()', lost(served), '%', 1);
      tell('lost while somebody watches the page', lost(watched), '%');
    } finally {
      watching.destroy();
      for (const { stop } of Object.values(apps)) await stop();
    }
  },

  async page() {
    const { chromium } = await import('playwright-core');
    const browser = await chromium.launch({
      executablePath: '/usr/bin/chromium',
      args: ['--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage'],
    });
    const family = await start('health', 8);
    const many = await thousand();
    try {
      const paints = [];
      for (let round = 0; round <= rounds; round++) {
        const page = await (await browser.newContext()).newPage();
        await page.goto(`http://127.0.0.1:${family.health}/`);
        await page.getByText('8 of 8 workers ready').waitFor();
        const paint = await page.evaluate(
          `performance.getEntriesByName('first-contentful-paint')[0].startTime`,
        );
        if (round > 0) paints.push(paint);
        await page.context().close();
      }
      tell('first paint, family of 8, median', median(paints), 'ms', 300);
      const page = await (await browser.newContext()).newPage();
      const since = performance.now();
      await page.goto(many.address);
      await page.waitForFunction(`document.querySelectorAll('tbody tr').length === 1000`);
      tell('1,000 workers: all rows are there after', performance.now() - since, 'ms');
      // How late the page turns while a thousand rows change each second.
      const late = await page.evaluate(`new Promise((resolve) => {
        let worst = 0, before = performance.now();
        const end = before + 5000;
        const turn = () => {
          const now = performance.now();
          worst = Math.max(worst, now - before - 10);
          before = now;
          if (now < end) setTimeout(turn, 10); else resolve(worst);
        };
        setTimeout(turn, 10);
      })`);
      tell('1,000 workers: longest time in which the page does not answer', late, 'ms');
    } finally {
      await browser.close();
      await many.stop();
      await family.stop();
    }
  },
};

/** A page of a thousand workers, of a supervisor that only says so: each of them changes each second. */
async function thousand() {
  const folder = mkdtempSync(join(tmpdir(), 'doublefork-bench-'));
  const path = join(folder, 'control');
  let asked = 0;
  const server = createServer((socket) => {
    socket.on('error', () => {});
    createInterface({ input: socket }).on('line', (line) => {
      if (JSON.parse(line).command === 'status')
        socket.write(`${JSON.stringify(status(++asked))}\n`);
    });
  }).listen(path);
  await once(server, 'listening');
  const child = spawn(process.execPath, [COMMAND, 'dashboard', '--control', path], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [address] = await once(createInterface({ input: child.stdout }), 'line');
  const stop = async () => {
    child.kill('SIGTERM');
    await once(child, 'exit');
    server.close();
    rmSync(folder, { recursive: true });
  };
  return { address, stop };
}

function status(asked) {
  const workers = Array.from({ length: 1000 }, (_, index) => ({
    id: index + 1,
    pid: 100_000 + index,
    state: 'ready',
    uptime: asked * 1000,
    restarts: 0,
    generation: 1,
    rss: 50e6 + ((index * 7919 + asked * 104_729) % 1e6),
    cpu: asked * 10 * (1 + (index % 7)),
    lastExit: null,
    status: null,
    startsIn: null,
    health: null,
    healthAge: null,
  }));
  const image = { number: 1, pid: 1 };
  return {
    ...{ ok: true, pid: 1, image, previous: null, phase: 'running', uptime: asked * 1000 },
    ...{ restarts: 0, rss: 50e6, exits: {}, lastError: null, workers, spares: [] },
  };
}

function text(port, path) {
  return new Promise((resolve, reject) => {
    request({ host: '127.0.0.1', port, path, agent: false }, (response) => {
      let body = '';
      response.setEncoding('utf8').on('data', (data) => {
        body += data;
      });
      response.on('end', () => resolve(body));
    })
      .on('error', reject)
      .end();
  });
}

/** Requests that 16 connections have answered, per second. */
async function perSecond(port, time) {
  const { Agent } = await import('node:http');
  const agent = new Agent({ keepAlive: true, maxSockets: 16 });
  const end = performance.now() + time;
  let count = 0;
  const one = () =>
    new Promise((resolve, reject) => {
      request({ host: '127.0.0.1', port, agent }, (response) => {
        response.resume();
        response.on('end', resolve);
      })
        .on('error', reject)
        .end();
    });
  const client = async () => {
    for (; performance.now() < end; count++) await one();
  };
  await Promise.all(Array.from({ length: 16 }, client));
  agent.destroy();
  return (count * 1000) / time;
}

for (const [name, measure] of Object.entries(measurements)) {
  if (options.only === undefined || options.only === name) await measure();
}
const wide = Math.max(...lines.map(({ name }) => name.length));
for (const { name, value, goal, met } of lines) {
  console.log(
    `${name.padEnd(wide)}  ${value.padStart(14)}  ${goal}${met === false ? '  MISSED' : ''}`,
  );
}
process.exitCode = lines.some(({ met }) => met === false) ? 1 : 0;
