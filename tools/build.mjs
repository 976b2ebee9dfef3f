// `npm run build:ts`: makes dist/ from src/: a bundle for each entry of the package, one for the command,
// and the declarations.

import { execFile } from 'node:child_process';
import {
  chmodSync,
  copyFileSync,
  cpSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { basename, dirname, join, normalize } from 'node:path';
import { promisify } from 'node:util';
import { build } from 'esbuild';

process.chdir(join(import.meta.dirname, '..'));
const { engines, exports, version } = JSON.parse(readFileSync('package.json', 'utf8'));

/** @type {import('esbuild').BuildOptions} */
const COMMON = {
  bundle: true,
  platform: 'node',
  target: `node${engines.node.replace('>=', '')}`,
  // To be read: a stack trace names our functions, and a line of it holds one statement. Minified, a
  // program that imports this starts with 0.8 % fewer instructions (`npm run bench:import`): not worth it.
  // No source maps either: the code in a bundle is the source without types and comments, below the
  // name of its file. They would double the package, and with --enable-source-maps, the only one
  // that reads them, every program would parse them as it starts.
  minify: false,
  metafile: true,
  define: { VERSION: JSON.stringify(version) },
  logLevel: 'warning',
};

/**
 * The library. One file for each entry: with a file for each of src/, the import would take 158 million
 * instructions instead of 27 (`npm run bench:import`). What is loaded only when it is called has a file of its own, and nothing is shared between
 * the files but what src/posix/shared.ts keeps.
 * @type {import('esbuild').BuildOptions}
 */
const LIBRARY = {
  ...COMMON,
  entryPoints: {
    index: 'src/index.ts',
    'posix/index': 'src/posix/index.ts',
    'state/index': 'src/state/index.ts',
    'systemd/index': 'src/systemd/index.ts',
    // doublefork/config.
    'settings/index': 'src/settings/index.ts',
    'health/index': 'src/health/index.ts',
    // A program of its own, see src/health/health.ts.
    'health/service': 'src/health/service.ts',
    // Loaded by Daemon.handover(), see src/detach/daemon.ts.
    handover: 'src/detach/handover.ts',
    // Loaded by supervise(), see src/supervise/index.ts.
    supervise: 'src/supervise/supervise.ts',
    // Loaded by inFork() and its like, see src/jobs/index.ts.
    jobs: 'src/jobs/jobs.ts',
    // Tells of an alarm, see src/supervise/alarms.ts.
    alarm: 'src/supervise/alarm-program.ts',
    // Run by the Workers of a pool of threads, see src/jobs/threads.ts.
    thread: 'src/jobs/thread.ts',
    // Loaded by stopDaemon() and its like, see src/control/index.ts.
    control: 'src/control/control.ts',
    // doublefork/control.
    'supervise/control-client': 'src/supervise/control-client.ts',
  },
  outdir: 'dist',
  format: 'esm',
  packages: 'external',
};

/** What every program that uses the library loads as it starts. */
const EAGER = ['dist/index.js', 'dist/posix/index.js'];

/**
 * The command. CommonJS, so that Node starts without its loader of modules. The readers of
 * configuration files are big and seldom needed: they stay packages.
 * @type {import('esbuild').BuildOptions}
 */
const COMMAND = {
  ...COMMON,
  entryPoints: ['src/cli/main.ts'],
  outfile: 'dist/cli/doublefork.cjs',
  format: 'cjs',
  external: ['yaml', 'smol-toml'],
  // Commander loads it for commands that are programs of their own. We have none.
  alias: { 'node:child_process': './src/builtin/child_process.ts' },
  define: { ...COMMON.define, 'import.meta.dirname': '__dirname' },
};

/**
 * To import a built-in module has Node fill in every one of its exports: src/builtin/fs.ts.
 * @param {import('esbuild').Metafile} metafile
 */
function refuseBuiltinImports(metafile) {
  for (const file of EAGER) {
    const imports = metafile.outputs[file].imports.filter(
      ({ kind }) => kind === 'import-statement',
    );
    for (const { path } of imports) {
      throw new Error(
        `${file} imports ${path}: take it from src/builtin/, or load it when it is used`,
      );
    }
  }
}

/**
 * The licences of the packages that are in a bundle ask for it.
 * @param {import('esbuild').Metafile} metafile
 */
function licences(metafile) {
  const packages = new Set(
    Object.keys(metafile.inputs).flatMap(
      (path) => path.match(/^node_modules\/(@[^/]+\/)?[^/]+/)?.[0] ?? [],
    ),
  );
  return [...packages].sort().map(licence);
}

/** @param {string} folder of a package */
function licence(folder) {
  const { name, version } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));
  const file = readdirSync(folder).find((name) => /^licen[cs]e/i.test(name));
  if (file === undefined) throw new Error(`${folder} has no licence`);
  return `${name} ${version}\n\n${readFileSync(join(folder, file), 'utf8').trim()}\n`;
}

/** The status page as a browser gets it: it has no build step but that the curves' library lies beside it. */
function copyPage() {
  cpSync('src/health/page', 'dist/health/page', { recursive: true });
  for (const file of ['uPlot.iife.min.js', 'uPlot.min.css'])
    copyFileSync(`node_modules/uplot/dist/${file}`, `dist/health/page/${file}`);
  writeFileSync('dist/health/page/LICENSES', licence('node_modules/uplot'));
}

/**
 * Of the declarations that tsc has written for all of src/, keeps those that an entry leads to, and puts their like
 * for CommonJS beside them: TypeScript takes a declaration for a module of the kind that its own name says. The
 * CommonJS entry itself requires the module, so that there is one of it in a process.
 */
function finishDeclarations() {
  const reached = new Set();
  const IMPORT = /(from |import\()(['"])(\.[^'"]*)\.js\2/g;
  /** @param {string} file */
  const reach = (file) => {
    if (reached.has(file)) return;
    reached.add(file);
    const text = readFileSync(file, 'utf8');
    for (const [, , , path] of text.matchAll(IMPORT)) reach(join(dirname(file), `${path}.d.ts`));
    writeFileSync(file.replace(/ts$/, 'cts'), text.replaceAll(IMPORT, '$1$2$3.cjs$2'));
  };
  for (const entry of Object.values(exports)) {
    if (typeof entry === 'string') continue;
    reach(normalize(entry.import.types));
    const module = `./${basename(entry.import.default)}`;
    writeFileSync(entry.require.default, `module.exports = require('${module}');\n`);
  }
  const all = readdirSync('dist', { recursive: true, encoding: 'utf8' });
  for (const file of all.map((name) => join('dist', name))) {
    if (file.endsWith('.d.ts') && !reached.has(file)) rmSync(file);
  }
}

rmSync('dist', { recursive: true, force: true });
const [library, command] = await Promise.all([
  build(LIBRARY),
  build(COMMAND),
  promisify(execFile)(process.execPath, [
    'node_modules/typescript/bin/tsc',
    ...['-p', 'tsconfig.build.json', '--emitDeclarationOnly'],
  ]).catch((error) => {
    // What tsc has to say is on its stdout.
    throw new Error(error.stdout || error.message);
  }),
]);
refuseBuiltinImports(library.metafile);
finishDeclarations();
copyPage();
writeFileSync('dist/cli/LICENSES', licences(command.metafile).join('\n---\n\n'));
chmodSync('dist/cli/doublefork.cjs', 0o755);
// In the package it lies here: package managers that find it in the root of one compile it, or warn that they
// do not.
copyFileSync('binding.gyp', 'dist/binding.gyp');
