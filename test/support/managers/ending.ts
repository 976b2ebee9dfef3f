// What a test has started and cannot leave to its own end: ended before test/support/strays.ts looks.

import { afterEach } from 'vitest';

const endings: (() => Promise<void>)[] = [];

// Of hooks, the one that was declared last runs first.
afterEach(async () => {
  for (let next = endings.pop(); next !== undefined; next = endings.pop()) await next();
});

/** The last one first. */
export function endWithTest(end: () => Promise<void>): void {
  endings.push(end);
}
