// 500 double forks under JIT, GC, threadpool and Worker load: 500 daemons finish, none hangs or dies.
// `npm run soak` does the same 10,000 times.

import { join } from 'node:path';
import { expect, test } from 'vitest';
import { node, root } from '../../support/node.js';
import { execute } from '../../support/program.js';

const DAEMONS = Number(process.env.DOUBLEFORK_LOAD ?? 500);

test(`${DAEMONS} double forks under JIT, GC, threadpool and Worker load`, async () => {
  const { reports, code, stderr } = await execute(
    node,
    [join(root, 'tools/soak/double-forks.mjs'), `${DAEMONS}`],
    { deadline: 170_000 },
  );
  expect(stderr).toBe('');
  expect(code).toBe(0);
  expect(reports.filter(({ refused }) => refused !== undefined)).toEqual([]);
  const ended = reports.filter((it) => typeof it === 'number');
  expect(new Set(ended).size).toBe(DAEMONS);
  expect(ended).toHaveLength(DAEMONS);
});
