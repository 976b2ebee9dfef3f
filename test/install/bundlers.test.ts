// A program in a bundle: doublefork in it, with what docs/packaging.md has copied beside it, or left out of it.

import { cpSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { temporaryFolder } from '../support/folder.js';
import { node, root } from '../support/node.js';
import { layOut } from '../support/package.js';
import { execute } from '../support/program.js';
import { fetched } from './registry.js';

const PROGRAM = `
  import { writeSync } from 'node:fs';
  import { daemonize, inFork, supervise } from 'doublefork';
  const report = (value) => writeSync(3, JSON.stringify(value) + '\\n');
  daemonize({ keepFds: [3], log: 'log', cwd: 'keep' });
  report('daemon');
  inFork(() => 'job').then((value) => {
    report(value);
    supervise({ workers: 1, restart: 'never' }).ready();
    report('worker');
    process.exit();
  });
`;

type Format = 'mjs' | 'cjs';

/** The command line that makes out/bundle.FORMAT of app.mjs. */
type Bundler = (format: Format, external: boolean) => readonly [string, ...string[]];

const esbuild: Bundler = (format, external) => [
  join(root, 'node_modules/esbuild/bin/esbuild'),
  ...['app.mjs', '--bundle', '--platform=node', `--outfile=out/bundle.${format}`],
  `--format=${format === 'mjs' ? 'esm' : 'cjs'}`,
  ...(external ? ['--external:doublefork'] : []),
];

const RESOLVE = () => fetched('@rollup/plugin-node-resolve', '16', '@rollup/plugin-node-resolve');

const rollup: Bundler = (format, external) => [
  node,
  '-e',
  `const { rollup } = require(${JSON.stringify(fetched('rollup', '4', 'rollup'))});
  const { nodeResolve } = require(${JSON.stringify(RESOLVE())});
  rollup({
    input: 'app.mjs',
    external: ${external} ? ['doublefork'] : [],
    plugins: [nodeResolve()],
  }).then((bundle) => bundle.write({
    file: 'out/bundle.${format}',
    format: ${format === 'mjs'} ? 'es' : 'cjs',
  }));`,
];

const webpack: Bundler = (format, external) => [
  node,
  '-e',
  `const [format, external] = [${JSON.stringify(format)}, ${external}];
  const isModule = format === 'mjs';
  require(${JSON.stringify(fetched('webpack', '5', 'webpack'))})({
    mode: 'none',
    target: 'node20',
    entry: './app.mjs',
    experiments: { outputModule: isModule },
    output: { module: isModule, path: process.cwd() + '/out', filename: 'bundle.' + format },
    externals: external ? { doublefork: (isModule ? 'module' : 'node-commonjs') + ' doublefork' } : {},
  }, (error, stats) => {
    if (error ?? stats.hasErrors()) throw error ?? stats.toString();
  });`,
];

describe.each(Object.entries({ esbuild, rollup, webpack }))('%s', (_, bundler) => {
  test.each<[string, Format, boolean]>([
    ['inside a module', 'mjs', false],
    ['inside CommonJS', 'cjs', false],
    ['outside of a module', 'mjs', true],
    ['outside of CommonJS', 'cjs', true],
  ])('doublefork %s', async (_, format, external) => {
    const source = temporaryFolder();
    layOut(join(source, 'node_modules/doublefork'));
    writeFileSync(join(source, 'app.mjs'), PROGRAM);
    const [command, ...words] = bundler(format, external);
    const bundled = await execute(command, words, { cwd: source });
    expect(bundled.code, bundled.stderr).toBe(0);

    const target = temporaryFolder();
    cpSync(join(source, 'out'), target, { recursive: true });
    if (external) {
      mkdirSync(join(target, 'node_modules'));
      const name = 'node_modules/doublefork';
      symlinkSync(join(source, name), join(target, name));
    } else {
      for (const part of ['prebuilds', 'dist/supervise.js', 'dist/jobs.js', 'dist/control.js']) {
        cpSync(join(source, 'node_modules/doublefork', part), join(target, part), {
          recursive: true,
        });
      }
    }
    const ended = await execute(node, [`bundle.${format}`], { cwd: target });
    expect(ended).toMatchObject({ code: 0, stderr: '' });
    expect(ended.reports).toEqual(['daemon', 'job', 'worker']);
  });
});
