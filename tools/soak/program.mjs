// A program with many things in flight that becomes something else: one scenario of run.mjs.
// Usage: program.mjs SCENARIO DIRECTORY, the scenario as JSON. Each process that shall get to its end
// says on fd 3 that it has: a line of JSON.

import { mkdirSync, writeSync } from 'node:fs';
import { createPool, daemonize, fork, inFork, supervise } from 'doublefork';
import { setrlimit, waitpid } from 'doublefork/posix';
import { databases } from '../addons/works/databases.mjs';
import { startWork } from '../addons/works.mjs';
import { loads } from './loads.mjs';

const scenario = JSON.parse(process.argv[2]);
const directory = process.argv[3];
const { engine, times } = scenario;

const say = (value) => writeSync(3, `${JSON.stringify(value)}\n`);
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

const running = new Map();
for (const name of scenario.loads) running.set(name, await loads[name](directory));

/**
 * Works with an addon again and again, alone and with work in its threads. A database or a socket that parent
 * and child would both use is only there, idle, except in a daemon: it is the one that has it.
 * @returns {import('./loads.mjs').Load}
 */
async function useAddon(name) {
  const files = `${directory}/${name.replaceAll('/', '+')}`;
  // By the exec engine the program runs again.
  mkdirSync(files, { recursive: true });
  const work = await startWork(process.versions.node.split('.')[0], name, files);
  await work.check();
  const ofOne = work.checkCopy !== undefined || name in databases;
  if (ofOne && scenario.call !== 'daemonize') return { count: () => Number.POSITIVE_INFINITY };
  let done = 0;
  (async () => {
    for (; ; done++) {
      await work.check();
      await work.inFlight?.();
      await sleep(1);
    }
  })();
  return { count: () => done };
}

for (const name of scenario.addons) running.set(name, await useAddon(name));

/** Until each load has done something more. Which stand still is told before the deadline's stacks. */
async function advance(steps) {
  const goals = [...running].map(([name, load]) => [name, load, load.count() + steps]);
  const began = Date.now();
  let warned = false;
  for (;;) {
    const late = goals.filter(([, load, goal]) => load.count() < goal).map(([name]) => name);
    if (late.length === 0) return;
    if (!warned && Date.now() - began > scenario.patience) {
      warned = true;
      say({ stands: late, pid: process.pid });
    }
    await sleep(1);
  }
}

function awaitChild(pid, what) {
  const { exitCode, signal } = waitpid(pid);
  if (exitCode !== 0) {
    say({ failed: what, exitCode, signal });
    process.exit(1);
  }
}

/** @type {Record<string, () => Promise<void>>} */
const calls = {
  async daemonize() {
    daemonize({ keepFds: [3], cwd: 'keep', engine, ready: 'manual' }).ready();
    await advance(5);
    say('end');
    process.exit(0);
  },
  /** Each child is the parent of the next. */
  async chain() {
    for (let depth = 0; depth < times; depth++) {
      const pid = fork({ parent: scenario.parent });
      if (pid !== 0) {
        awaitChild(pid, `child ${depth} of the chain`);
        process.exit(0);
      }
      await advance(3);
    }
    await advance(5);
    say('end');
    process.exit(0);
  },
  /** One parent, which goes on between them; each child becomes a daemon. */
  async children() {
    for (let i = 0; i < times; i++) {
      const pid = fork();
      if (pid === 0) {
        await sleep(i % 5);
        daemonize({ keepFds: [3], cwd: 'keep', engine: 'fork', ready: 'manual' }).ready();
        await advance(3);
        process.exit(0);
      }
      awaitChild(pid, `child ${i}`);
      await advance(1);
    }
    say('end');
    process.exit(0);
  },
  async jobs() {
    for (let i = 0; i < times; i++) {
      const got = await inFork(() => {
        let sum = 0;
        for (let n = 0; n < 1e5; n++) sum += n % 7;
        return sum + i;
      });
      if (got !== 299_995 + i) say({ failed: 'job', got });
      await advance(1);
    }
    const pool = createPool({ size: 2, run: (n) => n * 2 });
    for (let i = 0; i < times; i++) {
      const got = await pool.run(i);
      if (got !== i * 2) say({ failed: 'pool', got });
      await advance(1);
    }
    await pool.close();
    say('end');
    process.exit(0);
  },
  /** Workers that end by themselves in all ways; the last ones tell the supervisor to stop. */
  async supervise() {
    const worker = supervise({
      workers: 2,
      engine,
      minUptime: 0,
      maxFailures: 0,
      backoff: { initial: 1, max: 1 },
      ready: 'manual',
      readyTimeout: 30_000,
      stopTimeout: 5000,
    });
    await advance(2);
    worker.ready();
    worker.signal.addEventListener('abort', () => process.exit(0));
    await advance(3);
    const { restarts } = worker;
    if (restarts >= times) {
      say('end');
      process.kill(process.ppid, 'SIGTERM');
      return;
    }
    // Meant: no core is to be looked at.
    setrlimit('core', { soft: 0, hard: 0 });
    if (restarts % 3 === 0) process.kill(process.pid, 'SIGKILL');
    if (restarts % 3 === 1) process.kill(process.pid, 'SIGSEGV');
    process.exit(3);
  },
};

await advance(2);
await sleep(scenario.delay);
await calls[scenario.call]();
