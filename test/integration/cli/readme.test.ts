// The commands of the README, as they stand there.

import { mkdirSync, readFileSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { root } from '../../support/node.js';
import { execute } from '../../support/program.js';
import { COMMAND, Place } from './command.js';

/** The lines of the first shell block under a heading. */
function commands(file: string, heading: string): string[] {
  const section = readFileSync(join(root, file), 'utf8').split(`\n## ${heading}\n`)[1]!;
  return /```sh\n(.*?)```/s.exec(section)![1]!.trim().split('\n');
}

test('each does what it says, one after the other', async () => {
  const place = new Place();
  const bin = join(place.folder, 'bin');
  mkdirSync(bin);
  symlinkSync(COMMAND, join(bin, 'doublefork'));
  const lines = commands('README.md', 'The command');
  expect(lines.length).toBeGreaterThan(5);
  for (const line of lines) {
    const options = {
      cwd: place.folder,
      env: { ...place.env, PATH: `${bin}:${process.env.PATH}` },
    };
    const { code, stderr } = await execute('sh', ['-c', line], options);
    expect({ line, code, stderr }).toEqual({ line, code: 0, stderr: '' });
  }
  expect((await place.status('hello')).status).toBe('stopped');
});

test('the manual page is what the command declares', async () => {
  const { stdout } = await new Place().run('manual');
  expect(readFileSync(join(root, 'docs/doublefork.1'), 'utf8')).toBe(stdout);
});

test('each command is in the table of its page', async () => {
  const { stdout } = await new Place().run('--help');
  const names = [...stdout.split('Commands:')[1]!.matchAll(/^ {2}([a-z]+) /gm)].map(
    ([, name]) => name,
  );
  expect(names).toContain('top');
  const page = readFileSync(join(root, 'docs/command.md'), 'utf8');
  for (const name of names)
    if (name !== 'help') expect(page).toMatch(new RegExp(`^\\| \`${name}\\b`, 'm'));
});
