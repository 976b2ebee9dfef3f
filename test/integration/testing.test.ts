// docs/testing.md, under each runner; and that none of them is left with a green launcher. mocha and
// jest are not among the packages of every clone: `npm run test:runners` installs them, and runs this.

import { existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { temporaryFolder } from '../support/folder.js';
import { node, root } from '../support/node.js';
import { execute } from '../support/program.js';

const page = readFileSync(join(root, 'docs/testing.md'), 'utf8');
/** The files of the page, by what is behind the name of their language. */
const files = new Map(
  [...page.matchAll(/^```js (\S+)\n(.*?)^```$/gms)].map(([, name, code]) => [name!, code!]),
);

const cached = (path: string) => join(root, '.runners/node_modules', path);

interface Runner {
  name: string;
  /** Where it is, unless it is Node itself. */
  program?: string;
  args: readonly string[];
  env?: Readonly<Record<string, string>>;
  /** How its tests look. */
  test: (body: string) => string;
}

const RUNNERS: readonly Runner[] = [
  {
    name: 'node:test',
    args: ['--test', 'app.test.mjs'],
    test: (body) => `import { test } from 'node:test'; ${body}`,
  },
  {
    name: 'node:test without --test',
    args: ['app.test.mjs'],
    test: (body) => `import { test } from 'node:test'; ${body}`,
  },
  {
    name: 'vitest',
    program: join(root, 'node_modules/vitest/vitest.mjs'),
    args: ['run', '--root', '.', '--pool', 'forks', '--reporter', 'verbose'],
    test: (body) => `import { test } from 'vitest'; ${body}`,
  },
  {
    name: 'mocha',
    program: cached('mocha/bin/mocha.js'),
    args: ['--exit', 'app.test.mjs'],
    test: (body) => `const test = it; ${body}`,
  },
  {
    name: 'jest',
    program: cached('jest/bin/jest.js'),
    args: ['--rootDir=.', '--testMatch=**/app.test.mjs', '--runInBand'],
    env: { NODE_OPTIONS: '--experimental-vm-modules --no-warnings' },
    test: (body) => body,
  },
];

/** Runs a test file in a project of its own. What this suite's own runner has set is not its business. */
async function runTests({ program, args, env }: Runner, source: string) {
  const cwd = temporaryFolder();
  mkdirSync(join(cwd, 'node_modules'));
  symlinkSync(root, join(cwd, 'node_modules/doublefork'));
  symlinkSync(join(root, 'node_modules/vitest'), join(cwd, 'node_modules/vitest'));
  writeFileSync(join(cwd, 'package.json'), '{"type":"module"}');
  for (const name of ['app.mjs', 'start.mjs']) writeFileSync(join(cwd, name), files.get(name)!);
  writeFileSync(join(cwd, 'app.test.mjs'), source);
  const own = { VITEST: '', VITEST_POOL_ID: '', VITEST_WORKER_ID: '', NODE_TEST_CONTEXT: '' };
  const unset = ['-u', Object.keys(own).join('\n-u\n')].join('\n').split('\n');
  const words = [...(program === undefined ? [] : [program]), ...args];
  const ended = await execute('env', [...unset, node, ...words], { cwd, env: env ?? {} });
  return { code: ended.code, output: ended.stdout + ended.stderr };
}

for (const runner of RUNNERS) {
  const missing = runner.program !== undefined && !existsSync(runner.program);
  describe.skipIf(missing)(runner.name, () => {
    test('the example of the page', async () => {
      const example = files.get(runner.name.split(' ')[0]!)!;
      const { code, output } = await runTests(runner, example);
      expect(output).toMatch(/serves/);
      expect(code).toBe(0);
    });

    test.each(['daemonize', 'supervise'])('a failing suite that calls %s() fails', async (call) => {
      const { code, output } = await runTests(
        runner,
        `import { ${call} } from 'doublefork';
         ${runner.test(`
           test('starts', () => { ${call}(); });
           test('fails', () => { throw new Error('on purpose'); });
         `)}`,
      );
      const name = runner.name.split(' ')[0];
      expect(output).toContain(`tests of ${name} run in this process`);
      expect(output).toContain('on purpose');
      expect(code).not.toBe(0);
    });
  });
}
