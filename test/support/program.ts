// Runs a program under the Node of the matrix and waits until it, and every daemon that came of it,
// has ended.
//
// The programs of a test get a pipe as fd 3 and report on it with `report(value)`. Its end of file is
// the event to wait for: all processes that held it are gone. daemonize() must be told to keep it.

import { spawn } from 'node:child_process';
import { node, root } from './node.js';
import { Reports } from './reports.js';
import { type Exit, Running } from './running.js';
import { Watchdog } from './watchdog.js';

export interface RunOptions {
  /** Options of node, before the program. */
  flags?: readonly string[];
  /** Arguments of the program. */
  args?: readonly string[];
  env?: Readonly<Record<string, string>>;
  cwd?: string;
  /** In ms. Then the run has failed, with the stacks of all its processes. Default 60,000. */
  deadline?: number;
  /** fd 0-2: 'pipe' (default), 'ignore' or a descriptor. */
  stdio?: readonly ('pipe' | 'ignore' | number)[];
  /** Called with each value as it is reported. */
  onReport?: (value: unknown, launcher: number) => void;
}

export interface Ended extends Exit {
  stdout: string;
  stderr: string;
  /** What the program passed to report(), in order. */
  // biome-ignore lint/suspicious/noExplicitAny: each test knows what its own program reports
  reports: any[];
  pid: number;
}

/** In front of every inline program. DOUBLEFORK_ENGINE runs a whole suite with that engine. */
const PRELUDE = `
import * as exported from 'doublefork';
import * as posix from 'doublefork/posix';
import * as fs from 'node:fs';
const engine = process.env.DOUBLEFORK_ENGINE;
const byEngine = (call) => (options = {}) =>
  call(engine && options?.constructor === Object ? { engine, ...options } : options);
const doublefork = {
  ...exported,
  daemonize: byEngine(exported.daemonize),
  supervise: byEngine(exported.supervise),
};
const { fork, daemonize } = doublefork;
const report = (value) => fs.writeFileSync(3, JSON.stringify(value ?? null) + '\\n');
`;

/**
 * The arguments of node for an inline ES module with `daemonize`, `fork`, `posix`, `fs` and `report`
 * at hand.
 */
export function inline(source: string, options: RunOptions = {}): string[] {
  const flags = [...(options.flags ?? []), '--input-type=module', '-e', PRELUDE + source, '--'];
  return [...flags, ...(options.args ?? [])];
}

/** Runs an inline program to its end; see {@link inline}. */
export function run(source: string, options: RunOptions = {}): Promise<Ended> {
  return start(source, options).ended;
}

/** Starts an inline program; see {@link inline}. */
export function start(source: string, options: RunOptions = {}): Running<Ended> {
  return launch(node, inline(source, options), options);
}

/** Runs a command line to its end. */
export function execute(
  command: string,
  args: readonly string[],
  options: RunOptions = {},
): Promise<Ended> {
  return launch(command, args, options).ended;
}

/** Starts a command line. */
export function launch(
  command: string,
  args: readonly string[],
  options: RunOptions = {},
): Running<Ended> {
  const { stdio = ['ignore', 'pipe', 'pipe'] } = options;
  const child = spawn(command, args, {
    cwd: options.cwd ?? root,
    env: { ...process.env, ...options.env },
    stdio: [...stdio, 'pipe'],
  });
  const pid = child.pid ?? -1;
  const output = ['', '', ''];
  for (const fd of [1, 2]) {
    const stream = child.stdio[fd] as NodeJS.ReadableStream | null;
    stream?.setEncoding('utf8').on('data', (text: string) => {
      output[fd] += text;
    });
  }
  const reports = new Reports(child.stdio[3] as NodeJS.ReadableStream, (value) =>
    options.onReport?.(value, pid),
  );
  const watchdog = new Watchdog(
    () => `stdout: ${output[1]}\nstderr: ${output[2]}\nreports: ${JSON.stringify(reports.all)}`,
    options.deadline,
  );
  const exited = new Promise<Exit>((resolve, reject) => {
    child.on('error', reject);
    child.on('exit', (code, signal) => resolve({ code, signal }));
  });
  const ended = new Promise<Ended>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code, signal) =>
      resolve({
        code,
        signal,
        stdout: output[1]!,
        stderr: output[2]!,
        reports: reports.all,
        pid,
      }),
    );
  });
  return new Running(pid, reports, watchdog, exited, ended);
}
