// A test that leaves a process behind fails.

import { afterEach, beforeEach } from 'vitest';
import { killQuietly, MARK, marked, stat, until } from './processes.js';

let count = 0;

beforeEach(() => {
  process.env[MARK] = `${process.pid}.${++count}`;
});

afterEach(async () => {
  const mark = process.env[MARK]!;
  const mine = () => marked(mark).filter((pid) => pid !== process.pid && stat(pid)?.state !== 'Z');
  try {
    // What was told to end may still be about to.
    await until(() => mine().length === 0, 'strays', 2000);
  } catch {
    const strays = mine();
    for (const pid of strays) killQuietly(pid);
    throw new Error(`the test left processes behind: ${strays.join(', ')}`);
  }
});
