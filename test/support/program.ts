// Runs a program under the Node of the matrix and waits until it, and every daemon that came of it,
// has ended.
//
// The programs of a test get a pipe as fd 3 and report on it with `report(value)`. Its end of file is
// the event to wait for: all processes that held it are gone. daemonize() must be told to keep it.

import { spawn } from 'node:child_process';
import { node, root } from './node.js';
import { killQuietly, MARK, marked, stacks } from './processes.js';

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

export interface Ended {
  code: number | null;
  signal: NodeJS.Signals | null;
  stdout: string;
  stderr: string;
  /** What the program passed to report(), in order. */
  // biome-ignore lint/suspicious/noExplicitAny: each test knows what its own program reports
  reports: any[];
  pid: number;
}

/** In front of every inline program. */
const PRELUDE = `
import * as doublefork from 'doublefork';
import * as posix from 'doublefork/posix';
import * as fs from 'node:fs';
const { daemonize, fork } = doublefork;
const report = (value) => fs.writeSync(3, JSON.stringify(value ?? null) + '\\n');
`;

/** Runs an inline ES module with `daemonize`, `fork`, `posix`, `fs` and `report` at hand. */
export function run(source: string, options: RunOptions = {}): Promise<Ended> {
  const flags = [...(options.flags ?? []), '--input-type=module', '-e', PRELUDE + source, '--'];
  return execute(node, [...flags, ...(options.args ?? [])], options);
}

/** Runs a command line; see {@link run}. */
export function execute(
  command: string,
  args: readonly string[],
  options: RunOptions = {},
): Promise<Ended> {
  const { stdio = ['ignore', 'pipe', 'pipe'], deadline = 60_000 } = options;
  const child = spawn(command, args, {
    cwd: options.cwd ?? root,
    env: { ...process.env, ...options.env },
    stdio: [...stdio, 'pipe'],
  });
  const pid = child.pid ?? -1;
  return new Promise((resolve, reject) => {
    const output = ['', '', '', ''];
    const reports: unknown[] = [];
    for (const fd of [1, 2, 3]) {
      const stream = child.stdio[fd] as NodeJS.ReadableStream | null;
      stream?.setEncoding('utf8').on('data', (text: string) => {
        output[fd] += text;
        if (fd !== 3) return;
        const lines = output[3]!.split('\n');
        output[3] = lines.pop()!;
        for (const line of lines) {
          const value: unknown = JSON.parse(line);
          reports.push(value);
          options.onReport?.(value, pid);
        }
      });
    }
    const mark = process.env[MARK] ?? '';
    const timer = setTimeout(() => {
      const pids = marked(mark).filter((other) => other !== process.pid);
      const traces = pids.map((other) => `--- process ${other}\n${stacks(other)}`).join('\n');
      for (const other of pids) killQuietly(other);
      reject(
        new Error(
          `not ended within ${deadline} ms: ${pids.join(', ')}\n` +
            `stdout: ${output[1]}\nstderr: ${output[2]}\nreports: ${JSON.stringify(reports)}\n${traces}`,
        ),
      );
    }, deadline);
    child.on('error', (error) => {
      clearTimeout(timer);
      reject(error);
    });
    child.on('close', (code, signal) => {
      clearTimeout(timer);
      resolve({ code, signal, stdout: output[1]!, stderr: output[2]!, reports, pid });
    });
  });
}
