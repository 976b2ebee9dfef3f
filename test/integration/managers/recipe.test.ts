// One row of the matrix of test/managers, for every change; the others take their time. And what the docs
// say of all of them.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { Passage } from '../../support/managers/matrix.js';
import { Program } from '../../support/managers/programs.js';
import { ROWS, recipeOf, summary } from '../../support/managers/rows.js';
import { root } from '../../support/node.js';
import { isRoot } from '../../support/root.js';

const s6 = ROWS.find(({ name }) => name === 's6')!;

test.skipIf(!isRoot || s6.missing() !== undefined)(
  'under s6, by the recipe in docs/managers.md',
  async () => {
    const cells: string[] = [];
    for await (const [, cell] of new Passage(s6, new Program('supervise()')).cells()) {
      cells.push(cell);
    }
    expect(new Set(cells)).toEqual(new Set(['yes']));
  },
);

test('docs/managers.md says of each manager what the matrix asserts', () => {
  const page = readFileSync(join(root, 'docs/managers.md'), 'utf8');
  const [, table] = /^\| manager \| programs .*\n\|.*\n((?:\|.*\n)+)/m.exec(page)!;
  const lines = ROWS.map((row) => `| ${summary(row).join(' | ')} |\n`);
  expect(table).toBe(lines.join(''));
});

test.each(ROWS.map((row) => [row.name, row] as const))(
  '%s has a recipe with a reload, and a stop',
  (_, row) => {
    const { steps } = recipeOf(row);
    for (const step of ['reload', 'stop']) expect(steps).toHaveProperty(row.step?.(step) ?? step);
  },
);
