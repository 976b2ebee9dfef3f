// Which program the exec engine runs again, and with what.

import { copyFileSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { temporaryFolder } from '../../support/folder.js';
import { node, nodeMajor, root } from '../../support/node.js';
import { execute, launch, run } from '../../support/program.js';

const env = { DOUBLEFORK_ENGINE: 'exec' };

/** Reports from the daemon what it was started with. */
const PROGRAM = `
import { writeSync } from 'node:fs';
import { daemonize } from 'doublefork';
daemonize({ engine: 'exec', keepFds: [3] });
const { argv, argv0, execArgv } = process;
writeSync(3, JSON.stringify({ argv, argv0, execArgv, extra: globalThis.extra }) + '\\n');
`;

/** A folder in which `import 'doublefork'` finds the package. */
function project(): string {
  const folder = temporaryFolder();
  mkdirSync(join(folder, 'node_modules'));
  symlinkSync(root, join(folder, 'node_modules', 'doublefork'));
  writeFileSync(join(folder, 'package.json'), '{"type":"module"}');
  writeFileSync(join(folder, 'app.js'), PROGRAM);
  return folder;
}

describe('image', () => {
  test('an argument that is no UTF-8 is refused: Node has only a stand-in for it', async () => {
    const folder = project();
    const start = (word: string) =>
      launch('bash', ['-c', `exec "$0" app.js x ${word}`, node], { cwd: folder }).ended;
    const refused = await start(`$'\\xff'`);
    expect(refused).toMatchObject({ code: 1, reports: [] });
    expect(refused.stderr).toContain('argument 3 is not valid UTF-8, and cannot be passed on');
    // That character itself is a character like others.
    const [{ argv }] = (await start(`$'\\xef\\xbf\\xbd'`)).reports;
    expect(argv.slice(2)).toEqual(['x', '\ufffd']);
  });

  /** Since Node 25.5 it makes them itself. */
  test.skipIf(nodeMajor < 26)(
    'a single executable application gets its arguments once',
    async () => {
      const folder = project();
      const [config, main, output] = ['sea.json', 'main.cjs', 'app'].map((name) =>
        join(folder, name),
      );
      writeFileSync(
        main!,
        `const { daemonize } = require('node:module').createRequire(${JSON.stringify(main)})('doublefork');
       daemonize({ engine: 'exec', keepFds: [3] });
       require('node:fs').writeSync(3, JSON.stringify(process.argv) + '\\n');`,
      );
      writeFileSync(config!, JSON.stringify({ main, output, disableExperimentalSEAWarning: true }));
      await execute(node, ['--build-sea', config!]);
      for (const command of ['./app', output!]) {
        const { code, reports } = await execute(command, ['a', '--b'], { cwd: folder });
        expect({ code, reports }).toEqual({ code: 0, reports: [[output, command, 'a', '--b']] });
      }
    },
  );

  test('the options of node, the script and its arguments are those of the launcher', async () => {
    const folder = project();
    const flags = ['--jitless', '--no-warnings', '--max-old-space-size=300'];
    const args = ['-x', '--', '--y=ä b', ''];
    const { code, reports } = await execute(node, [...flags, 'app.js', ...args], { cwd: folder });
    expect(code).toBe(0);
    const [{ argv, argv0, execArgv }] = reports;
    expect(argv.slice(1)).toEqual([join(folder, 'app.js'), ...args]);
    expect(execArgv).toEqual(flags);
    expect(argv0).toBe(node);
  });

  test('argv0 is the name that the launcher was called by', async () => {
    const { reports } = await launch('bash', ['-c', 'exec -a my-service "$0" app.js', node], {
      cwd: project(),
    }).ended;
    expect(reports[0].argv0).toBe('my-service');
  });

  test('what the program makes of its arguments and its folder before the call is not passed on', async () => {
    const { reports } = await run(
      `
        const command = process.argv.splice(1, 1)[0];
        process.chdir('/proc');
        const moved = process.cwd();
        daemonize({ keepFds: [3], cwd: 'keep' });
        report([command, process.argv.slice(1), moved, process.cwd()]);
      `,
      { env, args: ['start', 'now'] },
    );
    expect(reports).toEqual([['start', ['now'], '/proc', '/proc']]);
  });

  test.each([
    ['-e', ['-e']],
    ['--eval with options before', ['--no-warnings', '-e']],
  ])('node %s', async (_, flags) => {
    const source = `require('doublefork').daemonize({ engine: 'exec', keepFds: [3] });
      require('fs').writeSync(3, JSON.stringify(process.argv.slice(1)) + '\\n');`;
    const { code, stderr, reports } = await execute(
      node,
      [
        ...flags,
        // Without the warning of those Nodes that still have one for require() of a module.
        `process.removeAllListeners('warning'); ${source}`,
        '--',
        '-a',
        'b',
      ],
      { env: { NODE_OPTIONS: '--experimental-require-module' } },
    );
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(reports).toEqual([['-a', 'b']]);
  });

  test.each([
    ['--import', 'loader.mjs', 'globalThis.extra = (globalThis.extra ?? 0) + 1;'],
    ['--require', 'loader.cjs', 'globalThis.extra = (globalThis.extra ?? 0) + 1;'],
  ])('%s, with a relative path', async (option, file, source) => {
    const folder = project();
    writeFileSync(join(folder, file), source);
    const { code, stderr, reports } = await execute(node, [option, `./${file}`, 'app.js'], {
      cwd: folder,
    });
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(reports[0].extra).toBe(1);
  });

  test('tsx', async () => {
    const folder = project();
    const source = `
      import { daemonize } from 'doublefork';
      const stdout: string = 'keep';
      daemonize({ engine: 'exec', stdout });
      console.log(JSON.stringify(process.argv.slice(1)));
    `;
    writeFileSync(join(folder, 'app.ts'), source);
    // It has a descriptor 3 of its own.
    const tsx = join(root, 'node_modules', 'tsx', 'dist', 'cli.mjs');
    const { code, stdout, stderr } = await execute(node, [tsx, 'app.ts', 'x'], { cwd: folder });
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(JSON.parse(stdout)).toEqual([join(folder, 'app.ts'), 'x']);
  });

  test.each([
    ['node -', '"$0" --input-type=module - <app.js'],
    ['node with a script on standard input', '"$0" --input-type=module <app.js'],
  ])('%s cannot be run again, and says so', async (_, command) => {
    const { code, stderr, reports } = await launch('bash', ['-c', command, node], {
      cwd: project(),
    }).ended;
    expect(code).toBe(1);
    expect(stderr).toContain('the exec engine cannot run this program again: its text');
    expect(reports).toEqual([]);
  });

  test('a deleted binary is named', async () => {
    const folder = project();
    const binary = join(folder, 'node');
    copyFileSync(node, binary);
    const { code, stderr, reports } = await execute(
      binary,
      [
        '--input-type=module',
        '-e',
        `import fs from 'node:fs'; fs.unlinkSync(process.execPath); ${PROGRAM}`,
      ],
      { cwd: folder },
    );
    expect(code).toBe(1);
    expect(stderr).toContain(`cannot run ${binary}: there is no such file`);
    expect(reports).toEqual([]);
  });

  test('a script that is gone is reported by the new image', async () => {
    const folder = project();
    writeFileSync(
      join(folder, 'once.js'),
      `import fs from 'node:fs'; fs.unlinkSync(process.argv[1]); ${PROGRAM}`,
    );
    const { code, stderr } = await execute(node, ['once.js'], { cwd: folder });
    expect(code).toBe(1);
    expect(stderr).toContain(`Cannot find module '${join(folder, 'once.js')}'`);
    expect(stderr).toMatch(/the daemon \(pid \d+\) exited with code 1 before it was ready/);
  });

  test('a program that does not get to the call again has failed to start', async () => {
    const { code, stderr } = await run(
      `if (process.env.HOME_OF_FIRST === undefined) { process.env.HOME_OF_FIRST = '1'; daemonize(); }`,
      { env },
    );
    expect(code).toBe(1);
    expect(stderr).toMatch(/the daemon \(pid \d+\) exited with code 0 before it was ready/);
  });
});
