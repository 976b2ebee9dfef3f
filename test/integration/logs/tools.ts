// What the tests of captured logs have in common.

import { readdirSync, readFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { MARK, marked, stat, until } from '../../support/processes.js';

/** The two processes of a logger, without those that tidy up. */
export function loggersOf(file: string): number[] {
  return marked(process.env[MARK]!).filter((pid) => {
    try {
      const [program, ...words] = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
      const name = readFileSync(`/proc/${pid}/comm`, 'utf8').trim();
      const isIt = program!.endsWith('doublefork-logger') && words.includes(file);
      return isIt && name !== 'doublefork-tidy' && stat(pid)?.state !== 'Z';
    } catch {
      return false; // It has ended meanwhile.
    }
  });
}

/** All is written, and rotated files are compressed. */
export const finished = (file: string): Promise<void> =>
  until(() => loggersOf(file).length === 0, 'the logger has ended', 60_000);

/** The files that it was rotated to, oldest first. */
export function archives(file: string): string[] {
  const folder = dirname(file);
  const names = readdirSync(folder).filter((name) => name.startsWith(`${basename(file)}.`));
  return names.sort().map((name) => join(folder, name));
}

/** All that was ever written, in order. */
export function content(file: string): Buffer {
  const parts = [...archives(file), file].map((path) => {
    const bytes = readFileSync(path);
    return path.endsWith('.gz') ? gunzipSync(bytes) : bytes;
  });
  return Buffer.concat(parts);
}

export const lines = (file: string): string[] =>
  content(file).toString('utf8').split('\n').slice(0, -1);

/** What is missing, doubled or damaged among lines `WRITER NUMBER xxx...`, of each writer from 0 to count. */
export function faultsAmong(all: readonly string[], writers: number, count: number): string[] {
  const seen = new Map<string, number>();
  const faults: string[] = [];
  for (const line of all) {
    if (line.startsWith('{')) continue; // The supervisor's.
    const match = /^w(\d+) (\d+) (x*)$/.exec(line);
    if (match === null || match[3]!.length !== Number(match[2]) % 180) {
      faults.push(`damaged: ${line.slice(0, 80)}`);
      continue;
    }
    const key = `${match[1]} ${match[2]}`;
    seen.set(key, (seen.get(key) ?? 0) + 1);
  }
  for (const [key, times] of seen) if (times > 1) faults.push(`${times} times: ${key}`);
  const missing = writers * count - seen.size;
  if (missing !== 0) faults.push(`missing: ${missing}`);
  return faults.slice(0, 10);
}

/** In programs: writes numbered lines, some of them in one piece. */
export const WRITE_LINES = `
const line = (id, i) => 'w' + id + ' ' + i + ' ' + 'x'.repeat(i % 180);
const writeLines = async (id, from, to) => {
  for (let i = from; i < to; i++) {
    console.log(line(id, i));
    if (i % 500 === 0) await new Promise(setImmediate);
  }
};
`;
