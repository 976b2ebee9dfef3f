// Whoever writes a new error of the command writes a test that shows it: as a row of
// test/integration/cli/errors.test.ts, or elsewhere.

import { readdirSync, readFileSync } from 'node:fs';
import { constants } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { errorTexts } from '../support/error-texts.js';
import { root } from '../support/node.js';

/** Those that no test can provoke, and why. */
const EXCEPTIONS: Readonly<Record<string, string>> = {
  'supervise() has come back in a worker that runs another program':
    'supervise({ exec }) comes back in no process',
  'the user or group was not changed: some id has stayed': 'no kernel does that',
};

const texts = errorTexts('src/cli', 'src/control', 'src/config');

/** As it is written in a string, a template or a regular expression. */
const plain = (text: string) => text.replaceAll('\\', '').replace(/\s+/g, ' ');
const tests = ['test/unit', 'test/integration/cli', 'test/integration/control']
  .flatMap((folder) =>
    readdirSync(join(root, folder), { withFileTypes: true })
      .filter((entry) => entry.isFile() && entry.name !== 'error-texts.test.ts')
      .map(({ name }) => join(root, folder, name)),
  )
  .map((file) => plain(readFileSync(file, 'utf8')))
  .join('\n');

test('each is shown by a test', () => {
  const missing = texts.filter(
    ({ text }) => !tests.includes(plain(text)) && !Object.hasOwn(EXCEPTIONS, text),
  );
  expect(missing.map(({ where, text }) => `${where}: ${text}`)).toEqual([]);
});

test('none begins with the name of an error number', () => {
  const names = new RegExp(`^(${Object.keys(constants.errno).join('|')})\\b`);
  expect(texts.filter(({ text }) => names.test(text))).toEqual([]);
});

test('there are no exceptions for what is not there any more', () => {
  const all = texts.map(({ text }) => text);
  expect(Object.keys(EXCEPTIONS).filter((text) => !all.includes(text))).toEqual([]);
});
