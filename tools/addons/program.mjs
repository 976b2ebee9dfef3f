// A program with an addon in use that becomes something else. Usage: program.mjs NAME CALL TIMES DIRECTORY.
// What becomes of it is said on fd 3, in lines of JSON: `end` by who gets to the end, `refused` with the
// error of a call, after which the program must be as it was, or `failed`.

import { readFileSync, writeSync } from 'node:fs';
import { daemonize, fork, supervise } from 'doublefork';
import { setrlimit, waitpid } from 'doublefork/posix';
import { startWork } from './works.mjs';

const [name, call, times, directory] = process.argv.slice(2);
const count = Number(times);

const say = (value) => writeSync(3, `${JSON.stringify(value)}\n`);
function fail(error) {
  say({ failed: `${error?.stack ?? error}`.split('\n').slice(0, 4).join('\n'), in: process.pid });
  process.exit(1);
}
process.on('uncaughtException', fail);

const work = await startWork(process.versions.node.split('.')[0], name, directory);
await work.check();
const image = /\S+\.node$/gm;
const binaries = new Set(readFileSync('/proc/self/maps', 'utf8').match(image));
say({ binaries: [...binaries].filter((path) => path.includes('/.addons/')) });

/** How many are begun at a time: as many as the pool has threads. */
const AT_ONCE = 4;

/** Begins work. */
function begin() {
  const flights = { pending: 0, landed: undefined };
  if (work.inFlight === undefined) return flights;
  const one = async () => {
    flights.pending++;
    await work.inFlight();
    flights.pending--;
  };
  // Its rejection is not lost before it is awaited: fail() would hear of it.
  flights.landed = Promise.all(Array.from({ length: AT_ONCE }, one));
  return flights;
}

const isCopy = () => (work.checkCopy ?? work.check)();

/** Calls; a refusal is said, and the program used once more. */
async function attempt(make, flights) {
  try {
    return make();
  } catch (error) {
    say({ refused: error.message, code: error.code });
    await flights?.landed;
    await work.check();
    say('end');
    process.exit(0);
  }
}

async function turnIntoDaemon(flights) {
  const options = { keepFds: [3], cwd: 'keep', engine: 'fork', ready: 'manual' };
  const daemon = await attempt(() => daemonize(options), flights);
  await flights?.landed;
  await work.check();
  daemon.ready();
  await work.check();
  say('end');
  process.exit(0);
}

const calls = {
  /** Nothing at all: what an addon cannot do by itself is not asked of its copy. */
  async plain() {
    await begin().landed;
    await work.check();
    say('end');
    process.exit(0);
  },
  idle: () => turnIntoDaemon(),
  async busy() {
    const flights = begin();
    await new Promise((resolve) => setTimeout(resolve, 5));
    say({ inFlight: flights.pending });
    await turnIntoDaemon(flights);
  },
  async fork() {
    for (let i = 0; i < count; i++) {
      const flights = begin();
      const pid = await attempt(() => fork(), flights);
      if (pid === 0) {
        await flights.landed;
        await isCopy();
        process.exit(0);
      }
      const { exitCode, signal } = waitpid(pid);
      if (exitCode !== 0) fail(`child ${i} ended with ${exitCode ?? signal}`);
      await flights.landed;
      await work.check();
    }
    say('end');
    process.exit(0);
  },
  async supervise() {
    const flights = begin();
    const options = {
      workers: 2,
      engine: 'fork',
      minUptime: 0,
      maxFailures: 0,
      backoff: { initial: 1, max: 1 },
      ready: 'manual',
      readyTimeout: 60_000,
      stopTimeout: 10_000,
    };
    const worker = await attempt(() => supervise(options), flights);
    await flights.landed;
    await isCopy();
    worker.ready();
    worker.signal.addEventListener('abort', () => process.exit(0));
    say({ generation: worker.restarts });
    if (worker.restarts >= count) {
      say('end');
      process.kill(process.ppid, 'SIGTERM');
      return;
    }
    // Meant: no core is to be looked at.
    setrlimit('core', { soft: 0, hard: 0 });
    process.kill(process.pid, worker.restarts % 2 === 0 ? 'SIGKILL' : 'SIGSEGV');
  },
};

await calls[call]();
