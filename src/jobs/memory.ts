// How much memory a copy has of its own.

import { readFileSync } from '../builtin/fs.js';

/**
 * What the process shares with no other, in bytes; 0 once it has ended.
 * @see proc(5), smaps_rollup
 */
export function privateMemory(pid: number): number {
  let text: string;
  try {
    text = readFileSync(`/proc/${pid}/smaps_rollup`, 'latin1');
  } catch {
    return 0;
  }
  const lines = text.matchAll(/^Private_(?:Clean|Dirty):\s+(\d+) kB$/gm);
  let kilobytes = 0;
  for (const [, amount] of lines) kilobytes += Number(amount);
  return kilobytes * 1024;
}
