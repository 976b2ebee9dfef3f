// Each program under each service manager, unchanged: what the table in docs/managers.md says.
//
//   npm run test:managers -- matrix -t s6

import { afterAll, describe, test } from 'vitest';
import { Passage } from '../support/managers/matrix.js';
import { PROGRAMS, Program, type ProgramName } from '../support/managers/programs.js';
import { COLUMNS, ROWS } from '../support/managers/rows.js';
import { isRoot } from '../support/root.js';

const table: string[][] = [];

afterAll(() => {
  console.log(
    [['manager', 'program', ...COLUMNS], ...table]
      .map((row) => `| ${row.join(' | ')} |`)
      .join('\n'),
  );
});

for (const row of ROWS) {
  describe(row.name, () => {
    for (const name of Object.keys(PROGRAMS) as ProgramName[]) {
      test(`${row.name}: ${name}`, async ({ skip }) => {
        const missing = isRoot ? row.missing() : 'needs root';
        skip(missing !== undefined, missing);
        const cells: string[] = [];
        table.push([row.name, name, ...cells]);
        const at = table.length - 1;
        try {
          for await (const [, cell] of new Passage(row, new Program(name)).cells())
            cells.push(cell);
        } catch (error) {
          cells.push('NO');
          throw error;
        } finally {
          table[at] = [row.name, name, ...cells];
        }
      });
    }
  });
}
