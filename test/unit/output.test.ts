// Columns, as a terminal counts them.

import { describe, expect, test } from 'vitest';
import { clean, cut, table } from '../../src/cli/output.js';

describe('table', () => {
  test('each column is as wide as its widest; wide characters take two, accents and colours none', () => {
    const rows = [
      ['数据库', 'x'],
      ['abcdef', 'x'],
      ['\x1b[31me\u0301\x1b[39m', 'x'],
    ];
    expect(table(rows).split('\n')).toEqual([
      '数据库  x',
      'abcdef  x',
      '\x1b[31me\u0301\x1b[39m       x',
    ]);
  });
});

describe('cut', () => {
  test.each([
    ['abc', 3, 'abc'],
    ['abcd', 3, 'abc'],
    ['a数据', 4, 'a数'],
    ['数a', 1, ''],
    ['\x1b[31mabcd\x1b[39m', 2, '\x1b[31mab\x1b[39m'],
    ['🚀🚀', 2, '🚀'],
  ])('%j to %d columns', (text, columns, expected) => {
    expect(cut(text, columns)).toBe(expected);
  });
});

test('clean leaves nothing that a terminal would obey, and one line', () => {
  expect(clean('a\x1b[2J\r\nb\x9b1m\x07')).toBe('a [2J b 1m');
});
