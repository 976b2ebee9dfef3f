// A test that leaves a process behind fails.

import { afterEach, beforeEach } from 'vitest';
import { endOthers, MARK, others, until } from './processes.js';

let count = 0;

beforeEach(() => {
  process.env[MARK] = `${process.pid}.${++count}`;
});

afterEach(async () => {
  const mark = process.env[MARK]!;
  try {
    // What was told to end may still be about to.
    await until(() => others(mark).length === 0, 'strays', 2000);
  } catch {
    const strays = others(mark);
    await endOthers(mark);
    throw new Error(`the test left processes behind: ${strays.join(', ')}`);
  }
});
