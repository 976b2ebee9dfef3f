// A program prints the same whether it is daemonized before it begins or not.

import { expect, test } from 'vitest';
import { observe, programs } from './compare.js';

test.each(programs)('%s', async (name) => {
  expect(await observe(name, 'before')).toEqual(await observe(name));
});
