// Compilers and bundlers, most of them in Rust, with a pool of threads each.

import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';

/** @typedef {import('../works.mjs').Start} Start */

const MODULE = Array.from(
  { length: 3000 },
  (_, n) => `export const value${n} = (x: number): number => x + ${n};`,
).join('\n');

/** A directory of modules, of which the first imports all others. */
function modules(directory) {
  const path = `${directory}/modules`;
  mkdirSync(path, { recursive: true });
  for (let n = 1; n < 100; n++) {
    writeFileSync(
      `${path}/m${n}.js`,
      `export const v${n} = ${n};${'\n/* nothing */'.repeat(200)}\n`,
    );
  }
  const imports = Array.from(
    { length: 99 },
    (_, i) => `import { v${i + 1} } from './m${i + 1}.js';`,
  );
  const sum = Array.from({ length: 99 }, (_, i) => `v${i + 1}`).join(' + ');
  writeFileSync(`${path}/main.js`, `${imports.join('\n')}\nexport const sum = ${sum};\n`);
  return `${path}/main.js`;
}

/** The bundle is run: 1 + 2 + ... + 99. */
function sumsUp(code) {
  const body = code.replace(/export \{[^}]*\};?/, '').replace(/export const/, 'const');
  assert.equal(new Function(`${body}\nreturn sum;`)(), 4950);
}

/** @type {Record<string, Start>} */
export const building = {
  '@swc/core': (load) => {
    const swc = load('@swc/core');
    const options = { jsc: { parser: { syntax: 'typescript' }, target: 'es2022' } };
    return {
      check() {
        const { code } = swc.transformSync('const a: number = 1;', options);
        assert.match(code, /const a = 1/);
      },
      async inFlight() {
        const { code } = await swc.transform(MODULE, options);
        assert.match(code, /value2999 = \(x\)=>x \+ 2999/);
      },
    };
  },
  lightningcss: (load) => {
    const { transform, bundleAsync } = load('lightningcss');
    const code = Buffer.from('.a { color: #ff0000 }\n'.repeat(500));
    return {
      check() {
        assert.match(
          `${transform({ filename: 'a.css', code, minify: true }).code}`,
          /^\.a\{color:red\}/,
        );
      },
      async inFlight() {
        // Its threads ask JavaScript for the files, and wait for the answer.
        const { code: bundled } = await bundleAsync({
          filename: '/0.css',
          minify: true,
          resolver: {
            read: (path) => {
              const n = Number(/(\d+)\.css$/.exec(path)[1]);
              const next = n < 50 ? `@import "${n + 1}.css";` : '';
              return `${next} .c${n} { color: #ff0000 }`;
            },
            resolve: (name) => `/${name}`,
          },
        });
        assert.match(`${bundled}`, /\.c50\{color:red\}.*\.c0\{color:red\}/);
      },
    };
  },
  rollup: async (load, directory) => {
    const { rollup } = load('rollup');
    const input = modules(directory);
    const bundle = async () => {
      const built = await rollup({ input });
      const { output } = await built.generate({ format: 'es' });
      sumsUp(output[0].code);
    };
    return { check: bundle, inFlight: bundle };
  },
  rolldown: async (load, directory) => {
    const { rolldown } = await import(load.resolve('rolldown'));
    const input = modules(directory);
    const bundle = async () => {
      const built = await rolldown({ input });
      const { output } = await built.generate({ format: 'es' });
      sumsUp(output[0].code);
      await built.close();
    };
    return { check: bundle, inFlight: bundle };
  },
  'oxc-parser': async (load) => {
    const { parseSync, parse } = await import(load.resolve('oxc-parser'));
    return {
      check() {
        assert.equal(parseSync('a.ts', 'let a: number = 1').program.body.length, 1);
      },
      async inFlight() {
        const { program } = await parse('a.ts', MODULE);
        assert.equal(program.body.length, 3000);
      },
    };
  },
  '@ast-grep/napi': (load) => {
    const { parse, parseAsync, Lang } = load('@ast-grep/napi');
    const count = (root) => root.root().findAll('x + $N').length;
    return {
      check: () => assert.equal(count(parse(Lang.TypeScript, 'let a = x + 1; let b = x + 2')), 2),
      async inFlight() {
        assert.equal(count(await parseAsync(Lang.TypeScript, MODULE)), 3000);
      },
    };
  },
  esbuild: async (load) => {
    const { transform } = load('esbuild');
    const check = async () => {
      const { code } = await transform('const a: number = 1', { loader: 'ts' });
      assert.match(code, /const a = 1/);
    };
    await check();
    return { check, inFlight: check };
  },
  '@parcel/watcher': async (load, directory) => {
    const watcher = load('@parcel/watcher');
    const path = `${directory}/watched`;
    mkdirSync(path);
    const seen = new Map();
    await watcher.subscribe(path, (error, events) => {
      if (error) throw error;
      for (const event of events) seen.get(event.path)?.();
    });
    let next = 0;
    return {
      async check() {
        const file = `${path}/${process.pid}.${next++}`;
        const told = new Promise((resolve) => seen.set(file, resolve));
        writeFileSync(file, '');
        await told;
      },
      inFlight() {
        const file = `${path}/${process.pid}.${next++}`;
        const told = new Promise((resolve) => seen.set(file, resolve));
        writeFileSync(file, '');
        return told;
      },
    };
  },
};
