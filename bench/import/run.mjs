// `npm run bench:import`: what a program pays for `import 'doublefork'`, in millions of instructions as
// callgrind counts them. Node is told to leave nothing to chance or to other threads: two runs give the
// same figures. Needs valgrind.

import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { build, transform } from 'esbuild';

const root = join(import.meta.dirname, '../..');
// As deep as dist/: the addon is looked for from there.
const place = join(root, 'build-import');
const dist = join(root, 'dist/index.js');

/** Runs a program that imports these. @param {...string} modules */
function instructions(...modules) {
  const file = join(place, 'program.mjs');
  writeFileSync(file, modules.map((module) => `import '${module}';\n`).join(''));
  const { status, stderr } = spawnSync(
    'setarch',
    [
      // Addresses are the same in each run.
      '--addr-no-randomize',
      ...['valgrind', '--tool=callgrind', '--callgrind-out-file=/dev/null'],
      ...[
        process.execPath,
        '--single-threaded',
        '--predictable',
        '--hash-seed=1',
        '--random-seed=1',
      ],
      file,
    ],
    { encoding: 'utf8' },
  );
  const collected = /Collected : (\d+)/.exec(stderr);
  if (status !== 0 || collected === null) throw new Error(stderr);
  return Number(collected[1]) / 1e6;
}

/** @param {string} name @param {number} figure @param {number} base */
function row(name, figure, base) {
  console.log(`| ${name} | ${(figure - base).toFixed(1)} |`);
}

rmSync(place, { recursive: true, force: true });
mkdirSync(place);
try {
  writeFileSync(join(place, 'empty.mjs'), '');
  const minify = { minifyWhitespace: true, minifySyntax: true };
  const { code } = await transform(readFileSync(dist, 'utf8'), minify);
  writeFileSync(join(place, 'minified.mjs'), code);
  await build({
    entryPoints: [join(root, 'src/**/*.ts')],
    outdir: place,
    outbase: join(root, 'src'),
    format: 'esm',
    target: 'node20.19',
  });

  const plain = instructions('node:http');
  console.log(
    `Node ${process.version}, a program that imports node:http: ${plain.toFixed(1)} million\n`,
  );
  console.log('| it imports as well | million instructions more |\n| --- | --: |');
  row('an empty file', instructions('node:http', join(place, 'empty.mjs')), plain);
  row('doublefork, by its name', instructions('node:http', 'doublefork'), plain);
  row('dist/index.js, by its path', instructions('node:http', dist), plain);
  row('the same minified', instructions('node:http', join(place, 'minified.mjs')), plain);
  row('a file for each of src/', instructions('node:http', join(place, 'index.js')), plain);
  // node:http has loaded half of it.
  row('node:fs, in a program without node:http', instructions('node:fs'), instructions());
} finally {
  rmSync(place, { recursive: true });
}
