// Random ids of libraries that keep a stock: what docs/fork.md says of each, and its recipes.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { root } from '../../support/node.js';
import { run } from '../../support/program.js';

/** By the library that each is for. */
const recipes = new Map(
  [...readFileSync(join(root, 'docs/fork.md'), 'utf8').matchAll(/^```js recipe\n(.*?)^```/gms)].map(
    ([, code]) => [/from '(nanoid|uuid|ulid)'/.exec(code!)![1], code!],
  ),
);

/** Each as an expression for the next id, after what it needs. */
const GENERATORS = {
  nanoid: ["import { nanoid } from 'nanoid';", 'nanoid()'],
  'nanoid of another size': ["import { nanoid } from 'nanoid';", 'nanoid(40)'],
  'a custom alphabet': [
    "import { customAlphabet } from 'nanoid'; const custom = customAlphabet('abcdefghij', 30);",
    'custom()',
  ],
  'uuid 14 v4': ["import * as uuid from 'uuid';", 'uuid.v4()'],
  'uuid 14 v7': ["import * as uuid from 'uuid';", 'uuid.v7()'],
  'uuid 14 v1': ["import * as uuid from 'uuid';", 'uuid.v1()'],
  'uuid 11 v4': ["import * as uuid from 'uuid-with-pool';", 'uuid.v4()'],
  'uuid 11 v7': ["import * as uuid from 'uuid-with-pool';", 'uuid.v7()'],
  ulid: ["import { ulid } from 'ulid';", 'ulid()'],
  'ulid, monotonic': [
    "import { monotonicFactory } from 'ulid'; const ulid = monotonicFactory();",
    'ulid()',
  ],
  cuid2: ["import { createId } from '@paralleldrive/cuid2';", 'createId()'],
} as const;

type Generator = keyof typeof GENERATORS;

/** The ids of a parent and its child, of two workers and of their restarts, one id drawn before. */
async function ids(generator: Generator, recipe?: string): Promise<string[]> {
  const [imports, next] = GENERATORS[generator];
  // Recipes and generators may import the same, and one may make what the other uses.
  const before = recipe ?? imports;
  const draw = `
    // All in one millisecond, which is the worst case for ids with a time in them.
    Date.now = () => 1_800_000_000_000;
    const draw = () => report(Array.from({ length: 130 }, () => ${next}));
    draw();
  `;
  const forked = run(`${before} ${draw}
    const pid = fork();
    draw();
    if (pid > 0) posix.waitpid(pid);
  `);
  const supervised = run(`${before} ${draw}
    const worker = doublefork.supervise({
      engine: 'fork', workers: 2, restart: 'on-failure', minUptime: 0, log: 'none',
    });
    draw();
    process.exitCode = worker.restarts === 0 ? 1 : 0;
  `);
  const [first, second] = await Promise.all([forked, supervised]);
  expect([first.stderr, second.stderr]).toEqual(['', '']);
  expect([first.reports.length, second.reports.length]).toEqual([3, 5]);
  return [...first.reports, ...second.reports].flat();
}

const twice = (all: readonly string[]): number => all.length - new Set(all).size;

describe('no id twice without a hook', () => {
  test.each<Generator>(['uuid 14 v4', 'uuid 14 v7', 'uuid 11 v4', 'ulid', 'cuid2'])(
    '%s',
    async (generator) => {
      expect(twice(await ids(generator))).toBe(0);
    },
  );
});

describe('what the page calls unsafe gives out ids twice', () => {
  test.each<Generator>(['nanoid', 'uuid 14 v1', 'uuid 11 v7', 'ulid, monotonic'])(
    '%s',
    async (generator) => {
      expect(twice(await ids(generator))).toBeGreaterThan(0);
    },
  );
});

describe('no id twice with the recipe', () => {
  test.each<[Generator, string]>([
    ['nanoid', `${recipes.get('nanoid')} import { nanoid } from 'nanoid';`],
    ['nanoid of another size', `${recipes.get('nanoid')} import { nanoid } from 'nanoid';`],
    ['a custom alphabet', `${recipes.get('nanoid')} ${GENERATORS['a custom alphabet'][0]}`],
    [
      'uuid 11 v7',
      `${recipes.get('uuid')?.replace("'uuid'", "'uuid-with-pool'")}
       import * as uuid from 'uuid-with-pool';`,
    ],
    ['ulid, monotonic', recipes.get('ulid')!.replace('export', '')],
  ])('%s', async (generator, recipe) => {
    expect(twice(await ids(generator, recipe))).toBe(0);
  });
});
