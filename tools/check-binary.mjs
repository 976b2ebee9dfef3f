// `node tools/check-binary.mjs FILE...`: whether the binaries of prebuilds/ ask for no more than every system
// has that they are for. Needs readelf (binutils).

import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { basename, dirname } from 'node:path';
import { pathToFileURL } from 'node:url';

/** Of Debian 10 and RHEL 8, and what the official builds of Node 20 and later ask for. */
const NEWEST_GLIBC = '2.28';

const ELF_MACHINES = { x64: 'Advanced Micro Devices X86-64', arm64: 'AArch64' };
const MACHO_CPUS = { x64: 0x01000007, arm64: 0x0100000c };

/** What a libc brings. C++ has a library of its own inside: another would have to be installed. */
const LIBRARIES = {
  glibc: /^(lib(c|m|dl|rt|pthread)\.so\.\d+|ld-linux-[\w-]+\.so\.\d+)$/,
  musl: /^libc\.so$/,
};

/**
 * What is wrong with a binary.
 * @param {string} file PLATFORM/NAME
 * @param {{ fork?: boolean }} [expected] fork: with the fork engine
 * @returns {string[]}
 */
export function faults(file, { fork } = {}) {
  const [system, arch, libc] = basename(dirname(file)).split('-');
  const content = readFileSync(file);
  const found = system === 'darwin' ? machOFaults(content, arch) : elfFaults(file, arch, libc);
  // What native/fork/unsupported.cc says.
  const without = content.includes('the fork engine needs');
  if (fork !== undefined && fork === without) {
    found.push(`has ${without ? 'no' : 'a'} fork engine`);
  }
  return found;
}

function machOFaults(content, arch) {
  const MH_MAGIC_64 = 0xfeedfacf;
  const right =
    content.readUInt32LE(0) === MH_MAGIC_64 && content.readUInt32LE(4) === MACHO_CPUS[arch];
  return right ? [] : [`is no Mach-O file for ${arch}`];
}

function elfFaults(file, arch, libc) {
  const options = ['--file-header', '--dynamic', '--version-info', '--wide'];
  const text = execFileSync('readelf', [...options, file], { encoding: 'utf8' });
  const all = (pattern) => [...new Set([...text.matchAll(pattern)].map((match) => match[1]))];
  const found = [];
  if (!text.includes(`Machine:                           ${ELF_MACHINES[arch]}\n`)) {
    found.push(`is not for ${arch}`);
  }
  // One that is linked statically, as programs for musl are, looks nothing up.
  const isStatic = text.includes('There is no dynamic section');
  if (!isStatic && !/\(FLAGS_1\).*\bNOW\b/.test(text))
    found.push('looks symbols up when they are called: no -z now');
  for (const name of all(/\(NEEDED\).*\[(.*)\]/g)) {
    if (!LIBRARIES[libc].test(name)) found.push(`needs ${name}`);
  }
  for (const version of all(/Name: (\w+_[\d.]+)/g)) {
    const glibc = /^GLIBC_([\d.]+)$/.exec(version)?.[1];
    if (glibc === undefined) found.push(`needs ${version}`);
    else if (newer(glibc, NEWEST_GLIBC)) found.push(`needs glibc ${glibc}`);
  }
  return found;
}

/** Whether a version is a newer one than another. @param {string} a @param {string} b */
function newer(a, b) {
  return a.localeCompare(b, 'en', { numeric: true }) > 0;
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) {
  for (const file of process.argv.slice(2)) {
    const found = faults(file);
    console.log(`${file}: ${found.length === 0 ? 'ok' : found.join(', ')}`);
    if (found.length > 0) process.exitCode = 1;
  }
}
