// A program that is run and watched with all the processes that come of it: a hang, a crash or a core is
// a problem, told with the stacks of all threads.

import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

const MARK = 'DOUBLEFORK_SOAK';

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
export class Run {
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
