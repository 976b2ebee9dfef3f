// Runs a program of programs/ plain and daemonized, and gives what an observer sees of each.

import { spawn } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { addon } from '../../src/posix/addon.js';
import { waitpid } from '../../src/posix/process.js';
import { node } from '../support/node.js';

const here = new URL('.', import.meta.url).pathname;
const folder = join(here, 'programs');

export const programs = readdirSync(folder)
  .filter((name) => name.endsWith('.mjs'))
  .map((name) => name.replace('.mjs', ''));

/** Those with a moment in their midst at which they may be daemonized. */
export const programsWithMidpoint = programs.filter((name) =>
  readFileSync(join(folder, `${name}.mjs`), 'utf8').includes('midpoint'),
);

export interface Observation {
  stdout: string;
  stderr: string;
  code: number | null;
  signal: NodeJS.Signals | null;
}

// As the nearest subreaper this process inherits the daemons, and so learns their exit codes.
const PR_SET_CHILD_SUBREAPER = 36;
addon.prctl?.(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);

export async function observe(name: string, mode?: 'before' | 'midst'): Promise<Observation> {
  const output = mkdtempSync(join(tmpdir(), 'doublefork-differential-'));
  try {
    return await observeInto(output, name, mode);
  } finally {
    rmSync(output, { recursive: true });
  }
}

async function observeInto(output: string, name: string, mode?: string): Promise<Observation> {
  const stdout = join(output, 'stdout');
  const stderr = join(output, 'stderr');
  const fds = [openSync(stdout, 'a'), openSync(stderr, 'a')] as const;
  const preload = mode === undefined ? [] : ['--import', join(here, 'preload.mjs')];
  const child = spawn(node, [...preload, join(folder, `${name}.mjs`)], {
    cwd: here,
    stdio: ['ignore', ...fds, 'pipe'],
    env: {
      ...process.env,
      // Some of the programs are tests of node:test, which they run themselves.
      DOUBLEFORK_FOREGROUND: '0',
      ...(mode && {
        DIFFERENTIAL_MODE: mode,
        DIFFERENTIAL_STDOUT: stdout,
        DIFFERENTIAL_STDERR: stderr,
      }),
    },
  });
  for (const fd of fds) closeSync(fd);
  let daemon = '';
  child.stdio[3]!.on('data', (chunk) => {
    daemon += chunk;
  });
  const ended = await new Promise<{ code: number | null; signal: NodeJS.Signals | null }>(
    (resolve) => child.on('close', (code, signal) => resolve({ code, signal })),
  );
  let { code, signal } = ended;
  if (mode !== undefined) {
    if (daemon === '') throw new Error(`no daemon: ${code} ${readFileSync(stderr, 'utf8')}`);
    const status = waitpid(Number(daemon));
    ({ exitCode: code, signal } = status);
  }
  return {
    stdout: readFileSync(stdout, 'utf8'),
    stderr: readFileSync(stderr, 'utf8'),
    code,
    signal,
  };
}
