// A crashed worker's way back, memory and throughput: supervise() against node:cluster, pm2, runit and
// supervisord, the same Express app, in one run, interleaved. Usage: node bench/supervise/run.mjs
// [rounds, default 7]. Installs express and pm2 into a folder of its own; leaves out what is missing.

import { execFileSync, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

const rounds = Number(process.argv[2] ?? 7);
const root = new URL('../..', import.meta.url).pathname;
const folder = mkdtempSync(join(tmpdir(), 'bench-supervise-'));
const node = process.execPath;
const sh = (command, options = {}) =>
  execFileSync('/bin/sh', ['-c', command], { cwd: folder, stdio: 'pipe', ...options });
const has = (program) => {
  try {
    return String(sh(`command -v ${program}`)).trim() !== '';
  } catch {
    return false;
  }
};

writeFileSync(join(folder, 'package.json'), '{"private":true}');
sh(`npm install --no-audit --no-fund express@4 pm2@6`);
sh(`ln -s ${root} node_modules/doublefork`);

// One app; only who starts it differs.
writeFileSync(
  join(folder, 'app.cjs'),
  `const express = require('express');
   const app = express();
   app.get('/', (request, response) => response.send(String(process.pid)));
   module.exports = app;`,
);
writeFileSync(
  join(folder, 'plain.cjs'),
  `require('./app.cjs').listen(process.env.PORT, '127.0.0.1');`,
);
writeFileSync(
  join(folder, 'ours.mjs'),
  `import app from './app.cjs';
   import { once } from 'node:events';
   import { createServer, get } from 'node:http';
   import { listen, supervise } from 'doublefork';
   // What the image has done once, its workers need not do again.
   const trial = createServer(app).listen(0, '127.0.0.1');
   await once(trial, 'listening');
   for (let i = 0; i < 100; i++) {
     const [response] = await once(get({ port: trial.address().port, agent: false }), 'response');
     await once(response.resume(), 'end');
   }
   trial.close();
   await once(trial, 'close');
   const { fd } = listen('http', { port: Number(process.env.PORT), host: '127.0.0.1' });
   supervise({ workers: Number(process.env.WORKERS), minUptime: 0, log: 'none' });
   createServer(app).listen({ fd });`,
);
writeFileSync(
  join(folder, 'cluster.cjs'),
  `const cluster = require('node:cluster');
   if (cluster.isPrimary) {
     for (let i = 0; i < Number(process.env.WORKERS); i++) cluster.fork();
     cluster.on('exit', () => cluster.fork());
   } else require('./plain.cjs');`,
);
writeFileSync(
  join(folder, 'fork.mjs'),
  `import './app.cjs';
   import { readSync, writeSync } from 'node:fs';
   import { fork } from 'doublefork';
   import { _exit, pipe, waitpid } from 'doublefork/posix';
   const times = [];
   for (let i = 0; i < 60; i++) {
     const [read, write] = pipe();
     const began = process.hrtime.bigint();
     const pid = fork({ parent: 'main-thread' });
     if (pid === 0) { writeSync(write, String(process.hrtime.bigint() - began)); _exit(0); }
     const buffer = Buffer.alloc(32);
     times.push(Number(buffer.toString('latin1', 0, readSync(read, buffer))) / 1e6);
     waitpid(pid);
   }
   times.sort((a, b) => a - b);
   writeSync(1, String(times[times.length >> 1]));
   _exit(0);`,
);

let port = 21_000 + Math.floor(Math.random() * 10_000);
/** @returns how to start it with so many workers: what to run, its port, how to stop it */
const ways = {
  doublefork: (workers) => run([node, 'ours.mjs'], { WORKERS: workers }),
  'node:cluster': (workers) => run([node, 'cluster.cjs'], { WORKERS: workers }),
  pm2: () => {
    const PM2_HOME = join(folder, 'pm2');
    const PORT = ++port;
    const env = { ...process.env, PM2_HOME, PORT };
    const pm2 = `${node} node_modules/pm2/bin/pm2`;
    sh(`${pm2} start plain.cjs -i 1`, { env });
    return { port: PORT, stop: () => void sh(`${pm2} kill`, { env }) };
  },
  runit: () => {
    const service = join(folder, 'runit');
    mkdirSync(service);
    writeFileSync(join(service, 'run'), `#!/bin/sh\ncd ${folder}\nexec ${node} plain.cjs\n`, {
      mode: 0o755,
    });
    const started = run(['runsv', service], {});
    return { ...started, stop: () => void sh(`sv force-shutdown ${service} || true`) };
  },
  supervisord: () => {
    const conf = join(folder, 'supervisord.conf');
    writeFileSync(
      conf,
      `[supervisord]\nnodaemon=true\nlogfile=/dev/null\nlogfile_maxbytes=0\npidfile=${folder}/s.pid\n` +
        `[program:app]\ncommand=${node} plain.cjs\ndirectory=${folder}\nautorestart=true\nstartsecs=0\n`,
    );
    return run(['supervisord', '-c', conf], {});
  },
};
const needs = { runit: 'runsv', supervisord: 'supervisord' };

function run([command, ...args], env) {
  const PORT = ++port;
  const child = spawn(command, args, {
    cwd: folder,
    env: { ...process.env, ...env, PORT },
    stdio: 'ignore',
  });
  const gone = new Promise((resolve) => child.once('exit', resolve));
  return {
    port: PORT,
    pid: child.pid,
    stop: async () => {
      child.kill('SIGTERM');
      await gone;
    },
  };
}

/**
 * node:cluster's primary may hand a connection to a worker that is dead, where it waits for ever. A
 * client gives up then and tries again. In ms.
 */
const PATIENCE = 100;

/** The answer, or undefined; refused connections are counted. */
let refused = 0;
const ask = (to) =>
  new Promise((resolve) => {
    let text = '';
    const socket = connect(to, '127.0.0.1', () =>
      socket.write('GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n'),
    );
    socket.setTimeout(PATIENCE, () => socket.destroy());
    socket.on('data', (data) => {
      text += data;
    });
    socket.on('error', (error) => {
      if (error.code === 'ECONNREFUSED') refused++;
    });
    socket.on('close', () => resolve(/\r\n\r\n(\d+)$/.exec(text)?.[1]));
  });

async function answer(to, except) {
  for (;;) {
    const pid = await ask(to);
    if (pid !== undefined && pid !== except) return pid;
    await sleep(0);
  }
}

const median = (list) => [...list].sort((a, b) => a - b)[list.length >> 1];

async function recovery() {
  const names = Object.keys(ways).filter((name) => needs[name] === undefined || has(needs[name]));
  const peers = names.map((name) => ({ name, ...ways[name](1), times: [], refused: 0 }));
  for (const peer of peers) await answer(peer.port);
  console.error(`up: ${names.join(', ')}`);
  for (let round = 0; round < rounds; round++) {
    // runit holds back what has lived for less than a second.
    await sleep(1500);
    for (const peer of peers) {
      const pid = await answer(peer.port);
      refused = 0;
      const began = performance.now();
      process.kill(Number(pid), 'SIGKILL');
      await answer(peer.port, pid);
      peer.times.push(performance.now() - began);
      peer.refused += refused;
      console.error(`${peer.name} ${peer.times.at(-1).toFixed(1)} ms`);
    }
  }
  for (const peer of peers) await peer.stop();
  return Object.fromEntries(
    peers.map(({ name, times, refused }) => [name, { ms: median(times), refused }]),
  );
}

/** The pids of a process and all that descends from it. */
function family(pid) {
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8')
    .split(' ')
    .filter(Boolean);
  return [pid, ...children.flatMap((child) => family(Number(child)))];
}
const pss = (pid) =>
  Number(/^Pss:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8'))[1]);

async function memory() {
  const result = {};
  for (const name of ['doublefork', 'node:cluster']) {
    const peer = ways[name](8);
    const seen = new Set();
    const end = Date.now() + 10_000;
    while (seen.size < 8 && Date.now() < end) seen.add(await answer(peer.port));
    result[name] = family(peer.pid).reduce((sum, pid) => sum + pss(pid), 0) / 1024;
    await peer.stop();
  }
  return result;
}

async function throughput() {
  const result = { doublefork: [], 'node:cluster': [] };
  if (!has('wrk')) return undefined;
  for (let round = 0; round < 3; round++) {
    for (const name of Object.keys(result)) {
      const peer = ways[name](2);
      await answer(peer.port);
      const text = await new Promise((resolve) => {
        let output = '';
        const wrk = spawn('wrk', ['-t1', '-c32', '-d4s', `http://127.0.0.1:${peer.port}/`]);
        wrk.stdout.on('data', (data) => {
          output += data;
        });
        wrk.on('close', () => resolve(output));
      });
      result[name].push(Number(/Requests\/sec:\s+([\d.]+)/.exec(text)[1]));
      await peer.stop();
    }
  }
  return Object.fromEntries(Object.entries(result).map(([name, list]) => [name, median(list)]));
}

try {
  const fork = Number(sh(`${node} fork.mjs`));
  const back = await recovery();
  const pssOf = await memory();
  const requests = await throughput();
  const ours = back.doublefork.ms;
  console.log('kill -9 of the only worker to the next response');
  for (const [name, { ms, refused }] of Object.entries(back)) {
    const ratio = name === 'doublefork' ? '' : `  ${(ms / ours).toFixed(1)} x`;
    console.log(`  ${name.padEnd(14)} ${ms.toFixed(1).padStart(8)} ms  ${refused} refused${ratio}`);
  }
  console.log(`  the fork alone ${fork.toFixed(1).padStart(8)} ms`);
  console.log('PSS of 8 workers and what watches them');
  for (const [name, mb] of Object.entries(pssOf))
    console.log(`  ${name.padEnd(14)} ${mb.toFixed(1).padStart(8)} MB`);
  console.log(`  ratio ${(pssOf.doublefork / pssOf['node:cluster']).toFixed(2)}`);
  if (requests !== undefined) {
    console.log('requests per second with 2 workers');
    for (const [name, rate] of Object.entries(requests))
      console.log(`  ${name.padEnd(14)} ${rate.toFixed(0).padStart(8)}`);
    console.log(`  ratio ${(requests.doublefork / requests['node:cluster']).toFixed(2)}`);
  }
  console.log(
    JSON.stringify({
      node: process.version,
      cpus: cpus().length,
      rounds,
      fork,
      back,
      pss: pssOf,
      requests,
    }),
  );
} finally {
  rmSync(folder, { recursive: true, force: true });
}
