// A program prints the same whether it is daemonized in its midst or not.

import { expect, test } from 'vitest';
import { observe, programsWithMidpoint } from './compare.js';

test.each(programsWithMidpoint)('%s', async (name) => {
  expect(await observe(name, 'midst')).toEqual(await observe(name));
});
