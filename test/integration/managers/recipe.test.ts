// One row of the matrix of test/managers, for every change; the others take their time.

import { expect, test } from 'vitest';
import { Passage } from '../../support/managers/matrix.js';
import { Program } from '../../support/managers/programs.js';
import { ROWS } from '../../support/managers/rows.js';
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
