// `npm run soak`: many double forks in one run, and then random scenarios, until the time is up.
//
//   --forks N     double forks under load, in one process of each Node; default 10000
//   --minutes N   of random scenarios; default 30
//   --seed N      the one that an earlier run has printed: the same scenarios in the same order
//   --only N      that scenario alone, again and again
//   --node MAJOR  a Node of .matrix/ (npm run test:matrix installs them); may be given more than once.
//                 Default: all that are there, else the one that runs this
//   --jobs N      scenarios at a time; default: as many as processors
//
// A hang, a crash or lost work ends with exit code 1 and is printed with the seed, the scenario and the
// stacks of all threads. What is refused (EBUSY) is counted. Not part of the tests: it takes long.

import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { parseArgs } from 'node:util';
import { loads } from './loads.mjs';
import { Choices } from './random.mjs';

const root = join(import.meta.dirname, '../..');
const MARK = 'DOUBLEFORK_SOAK';

const { values: asked } = parseArgs({
  options: {
    forks: { type: 'string', default: '10000' },
    minutes: { type: 'string', default: '30' },
    seed: { type: 'string', default: `${Date.now() % 2 ** 31}` },
    only: { type: 'string' },
    node: { type: 'string', multiple: true },
    jobs: { type: 'string', default: `${availableParallelism()}` },
  },
});
const seed = Number(asked.seed);

const majors = asked.node ?? (existsSync(join(root, '.matrix')) ? ['20', '22', '24', '26'] : []);
const nodes = majors
  .map((major) => join(root, `.matrix/${major}/node_modules/node-linux-${process.arch}/bin/node`))
  .filter((path) => existsSync(path));
if (nodes.length === 0) nodes.push(process.execPath);
const versionOf = (node) => execFileSync(node, ['--version'], { encoding: 'utf8' }).trim();

/** Where Debian has them: libjemalloc2, libmimalloc2.0, libtcmalloc-minimal4. */
const allocators = ['libjemalloc.so.2', 'libmimalloc.so.2', 'libtcmalloc_minimal.so.4'].flatMap(
  (name) => {
    const triplet = { x64: 'x86_64-linux-gnu', arm64: 'aarch64-linux-gnu' }[process.arch];
    const path = `/usr/lib/${triplet}/${name}`;
    return existsSync(path) ? [path] : [];
  },
);

/** The processes of one run: its mark is in their environment. */
function processesOf(mark) {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
    .filter((pid) => {
      try {
        const state = readFileSync(`/proc/${pid}/stat`, 'latin1').split(') ').at(-1)[0];
        const environment = readFileSync(`/proc/${pid}/environ`, 'latin1');
        return state !== 'Z' && environment.split('\0').includes(`${MARK}=${mark}`);
      } catch {
        return false; // It has ended.
      }
    })
    .map(Number);
}

function stacks(...words) {
  const { stdout, stderr, error } = spawnSync(
    'gdb',
    ['-batch', '-ex', 'thread apply all bt 24', ...words],
    { encoding: 'utf8', timeout: 60_000, maxBuffer: 2 ** 26 },
  );
  // Of where its libraries come from nobody wants to know.
  return (
    stdout
      .split('\n')
      .filter((line) => !line.startsWith('[New LWP'))
      .join('\n') || `${error ?? stderr}`
  );
}

/** What the threads of these processes have used of the processors, in s, and whether one of them wants more. */
function activityOf(pids) {
  let seconds = 0;
  let wants = false;
  for (const pid of pids) {
    try {
      for (const thread of readdirSync(`/proc/${pid}/task`)) {
        const stat = readFileSync(`/proc/${pid}/task/${thread}/stat`, 'latin1');
        const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
        seconds += (Number(fields[11]) + Number(fields[12])) / 100;
        if (fields[0] === 'R' || fields[0] === 'D' || fields[0] === 'T') wants = true;
      }
    } catch {
      wants = true; // One has ended or come meanwhile.
    }
  }
  return { seconds, wants };
}

/** Looks, in which nobody wants a processor, after which all wait for something that does not come. */
const IDLE_LOOKS = 20;
/** Or so many seconds of processor time without a report. */
const BUSY_SECONDS = 120;
const LOOK_MS = 2000;

/** What has become of one program and all that came of it. */
class Run {
  problems = [];
  reports = [];
  stderr = '';

  /**
   * @param {string} node
   * @param {string[]} words
   * @param {{ env?: object, wrap?: string[], silence: number, onReport?: (report: any) => void }} options
   * `silence`: ms without a report, after which it hangs
   */
  constructor(node, words, { env = {}, wrap = [], silence, onReport }) {
    this.directory = mkdtempSync(join(tmpdir(), 'doublefork-soak-'));
    this.mark = `${process.pid}.${this.directory.slice(-6)}`;
    // A core is written into the working directory, if the system keeps it that way.
    const command = ['sh', '-c', 'ulimit -c unlimited; exec "$@"', 'sh', ...wrap, node];
    const [file, ...args] = [
      ...command,
      ...words.map((word) => word.replace('DIRECTORY', this.directory)),
    ];
    this.ended = new Promise((resolve, reject) => {
      const child = spawn(file, args, {
        cwd: this.directory,
        env: { ...process.env, ...env, [MARK]: this.mark },
        stdio: ['ignore', 'ignore', 'pipe', 'pipe'],
      });
      const hang = () => {
        const pids = processesOf(this.mark);
        this.problems.push(
          `hang\n${pids.map((pid) => `--- process ${pid}\n${stacks('-p', `${pid}`)}`).join('\n')}`,
        );
        for (const pid of pids) {
          try {
            process.kill(pid, 'SIGKILL');
          } catch {
            // It has ended.
          }
        }
      };
      // Not by the clock alone: on a busy machine they may just have got no turn.
      let idle = 0;
      let used;
      const late = () => {
        const { seconds, wants } = activityOf(processesOf(this.mark));
        used ??= seconds;
        idle = wants ? 0 : idle + 1;
        if (idle >= IDLE_LOOKS || seconds - used > BUSY_SECONDS) hang();
        else timer = setTimeout(late, LOOK_MS);
      };
      let timer = setTimeout(late, silence);
      child.stderr.setEncoding('utf8').on('data', (text) => {
        this.stderr = (this.stderr + text).slice(-20_000);
      });
      createInterface(child.stdio[3]).on('line', (line) => {
        clearTimeout(timer);
        idle = 0;
        used = undefined;
        timer = setTimeout(late, silence);
        const report = JSON.parse(line);
        this.reports.push(report);
        if (report.failed !== undefined || report.launcher !== undefined) {
          this.problems.push(`it says ${line}`);
        }
        onReport?.(report);
      });
      child.on('error', reject);
      // Its pipes are closed when the last process that had them is gone.
      child.on('close', (code, signal) => {
        clearTimeout(timer);
        this.code = code;
        this.signal = signal;
        for (const name of readdirSync(this.directory)) {
          if (!/^core/.test(name)) continue;
          this.problems.push(`core of a process\n${stacks(node, join(this.directory, name))}`);
        }
        rmSync(this.directory, { recursive: true, force: true });
        resolve(this);
      });
    });
  }
}

async function doubleForks(node, count) {
  const version = versionOf(node);
  const began = performance.now();
  let done = 0;
  let refused = 0;
  const run = new Run(node, [join(import.meta.dirname, 'double-forks.mjs'), `${count}`], {
    silence: 120_000,
    onReport(report) {
      if (typeof report === 'number') done++;
      else if (report.refused !== undefined) refused++;
      else if (report.after !== undefined) {
        const memory = `${Math.round(report.memory / 2 ** 20)} MB, ${report.descriptors} descriptors`;
        console.log(`${version}: ${report.after} double forks, ${memory}`);
      }
    },
  });
  await run.ended;
  if (new Set(run.reports.filter((it) => typeof it === 'number')).size !== count) {
    run.problems.push(`${done} daemons of ${count} got to their end`);
  }
  if (run.code !== 0) run.problems.push(`it ended with ${run.code ?? run.signal}`);
  if (run.stderr !== '') run.problems.push(run.stderr);
  const seconds = Math.round((performance.now() - began) / 1000);
  console.log(
    `${version}: ${done} of ${count} double forks under load, ${refused} refused once, ${run.problems.length} problems, ${seconds} s`,
  );
  for (const problem of run.problems) console.log(problem);
  return run.problems.length;
}

const CALLS = ['daemonize', 'chain', 'children', 'supervise', 'jobs'];
const FLAGS = [
  '--expose-gc',
  '--max-old-space-size=200',
  '--single-threaded-gc',
  '--stress-compaction',
];
const addonList = join(root, 'tools/addons/works.mjs');
const { installedWorks } = existsSync(addonList)
  ? await import(addonList)
  : { installedWorks: () => [] };

/** The scenario with that number. */
function scenarioOf(number) {
  const choices = new Choices(Math.imul(seed, 0x9e3779b1) ^ number);
  const names = Object.keys(loads);
  const node = choices.one(nodes);
  const call = choices.one(CALLS);
  const env = {};
  if (choices.chance(0.25)) env.UV_USE_IO_URING = '1';
  if (choices.chance(0.2)) env.UV_THREADPOOL_SIZE = `${choices.one([1, 2, 16])}`;
  if (choices.chance(0.3) && allocators.length > 0) env.LD_PRELOAD = choices.one(allocators);
  const flags = choices.some(FLAGS, 0.15);
  if (choices.chance(0.15)) flags.push('--inspect=127.0.0.1:0');
  if (choices.chance(0.1)) flags.push(`--v8-pool-size=${choices.one([0, 1, 8])}`);
  const own = choices.some(names, 3 / names.length);
  const works = choices.some(installedWorks(), 0.04);
  const byExec = call === 'daemonize' || call === 'supervise';
  return {
    node,
    env,
    flags,
    scenario: {
      call,
      loads: own.length === 0 ? [choices.one(names)] : own,
      addons: works,
      engine: byExec ? choices.one(['fork', 'fork', 'auto', 'exec']) : 'fork',
      parent: choices.one(['running', 'frozen', 'main-thread']),
      times: choices.between(1, 6),
      delay: choices.between(0, 40),
      patience: 20_000,
    },
  };
}

const counts = {};
const refusals = {};
let failures = 0;

async function play(number) {
  const { node, env, flags, scenario } = scenarioOf(number);
  const words = [
    ...flags,
    join(import.meta.dirname, 'program.mjs'),
    JSON.stringify(scenario),
    'DIRECTORY',
  ];
  const run = await new Run(node, words, { env, silence: 60_000 }).ended;
  counts[scenario.call] = (counts[scenario.call] ?? 0) + 1;
  const refusal = /^.*Error: (.*)\n(?:.*\n)*? *code: '(?:EBUSY|ENOTSUP|EAGAIN)'/m.exec(
    run.stderr,
  )?.[1];
  if (refusal !== undefined && run.problems.length === 0) {
    const kind = refusal.replace(/\d+/g, 'N').slice(0, 150);
    refusals[kind] = (refusals[kind] ?? 0) + 1;
    return;
  }
  if (!run.reports.includes('end')) {
    const stands = run.reports.flatMap((report) => report.stands ?? []);
    run.problems.push(
      `it did not get to its end${stands.length > 0 ? `; these stood still: ${stands}` : ''}`,
    );
  }
  if (run.code !== 0) run.problems.push(`it ended with ${run.code ?? run.signal}`);
  if (run.problems.length === 0) return;
  failures++;
  console.log(
    `\n*** scenario ${number} of seed ${seed}: npm run soak -- --forks 0 --seed ${seed} --only ${number}\n` +
      `Node ${versionOf(node)} ${flags.join(' ')} ${JSON.stringify(env)}\n${JSON.stringify(scenario)}\n` +
      `${run.problems.join('\n')}\n${run.stderr}`,
  );
}

async function scenarios(minutes) {
  const began = Date.now();
  const end = began + minutes * 60_000;
  let next = 0;
  let played = 0;
  let told = began;
  const player = async () => {
    while (Date.now() < end) {
      await play(asked.only === undefined ? next++ : Number(asked.only));
      played++;
      if (Date.now() - told > 60_000) {
        told = Date.now();
        console.log(
          `${Math.round((told - began) / 60_000)} min: ${played} scenarios, ${failures} failed`,
        );
      }
    }
  };
  await Promise.all(Array.from({ length: Number(asked.jobs) }, player));
  console.log(`${played} scenarios of seed ${seed}: ${failures} failed`);
  console.log(`calls: ${JSON.stringify(counts)}\nrefused: ${JSON.stringify(refusals, null, 1)}`);
}

console.log(
  `seed ${seed}; Node ${nodes.map(versionOf).join(', ')}; ${allocators.length} allocators`,
);
const forks = Number(asked.forks);
if (forks > 0) for (const node of nodes) failures += await doubleForks(node, forks);
if (Number(asked.minutes) > 0) await scenarios(Number(asked.minutes));
process.exit(failures === 0 ? 0 : 1);
