// What the documentation says of examples and tests.

import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { root } from '../support/node.js';

const read = (path: string) => readFileSync(join(root, path), 'utf8');

test('every example is linked from the README, and run by a test', () => {
  const tests = readdirSync(join(root, 'test/integration'), { recursive: true, encoding: 'utf8' })
    .filter((path) => path.endsWith('.test.ts'))
    .map((path) => read(`test/integration/${path}`))
    .join('\n');
  const readme = read('README.md');
  const examples = readdirSync(join(root, 'examples'));
  expect(examples.length).toBeGreaterThan(4);
  for (const name of examples) {
    const [, file] = new RegExp(`\\]\\((examples/${name}/[^)]+)\\)`).exec(readme) ?? [];
    expect({ name, linked: file !== undefined && existsSync(join(root, file)) }).toEqual({
      name,
      linked: true,
    });
    const isRun = new RegExp(`examples/${name}\\b|'examples', '${name}'`).test(tests);
    expect({ name, isRun }).toEqual({ name, isRun: true });
  }
});

test('each operation names a page and a test that are there', () => {
  const rows = read('docs/operations.md')
    .split('\n')
    .filter((line) => line.startsWith('| ') && line.includes('`test/'));
  expect(rows.length).toBeGreaterThan(9);
  for (const row of rows) {
    const [, page, path, name] =
      /\]\(([^)]+)\) \| `([^`]+)`(?:: (.*))? \|$/.exec(row) ?? ([] as string[]);
    expect({ row, page: existsSync(join(root, 'docs', page!)) }).toEqual({ row, page: true });
    expect({ row, test: read(path!).includes(name === undefined ? 'test(' : `'${name}'`) }).toEqual(
      { row, test: true },
    );
  }
});
