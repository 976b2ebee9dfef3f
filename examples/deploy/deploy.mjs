// Deploys a program on one machine: each version has a directory of its own, a link says which is current,
// and a version that does not come to serve changes nothing.
//
//   node deploy.mjs VERSION     a directory with server.mjs in it
//   node deploy.mjs rollback    the version before, from memory
//
// Below DEPLOY_ROOT, or here: releases/TIME/, current -> releases/TIME.

import { spawnSync } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readlinkSync,
  renameSync,
  rmSync,
  symlinkSync,
} from 'node:fs';
import { basename, join, resolve } from 'node:path';

const NAME = 'deployed';
/** How many versions stay on the disk. */
const KEPT = 5;

const root = resolve(process.env.DEPLOY_ROOT ?? '.');
const releases = join(root, 'releases');
const current = join(root, 'current');
// Installed it is `npx doublefork`.
const command = join(import.meta.dirname, '../../dist/cli/doublefork.cjs');

/** @param {string[]} words @returns whether it was done; else it has said why not */
function doublefork(...words) {
  // The way here is by the link: so a reload finds what is current then.
  const options = { cwd: current, env: { ...process.env, PWD: current } };
  const { status } = spawnSync(process.execPath, [command, ...words], {
    ...options,
    stdio: 'inherit',
  });
  return status === 0;
}

/** At no moment there is no link. @param {string} release */
function pointTo(release) {
  symlinkSync(join('releases', basename(release)), join(root, 'next'));
  renameSync(join(root, 'next'), current);
}

/** From the oldest on. */
const versions = () => readdirSync(releases).sort();

/** @param {string} source */
function deploy(source) {
  const previous = existsSync(current) ? readlinkSync(current) : undefined;
  mkdirSync(releases, { recursive: true });
  const release = join(releases, new Date().toISOString().replaceAll(/[:.]/g, '-'));
  cpSync(source, release, { recursive: true });
  // Here the version's own packages would be installed: npm ci --omit=dev, in its directory.
  pointTo(release);
  const serves =
    previous === undefined
      ? doublefork('start', '--name', NAME, '--ready', 'notify', '--', 'server.mjs')
      : doublefork('reload', NAME);
  if (!serves) {
    // Nobody has seen it: the version before has served all the time.
    if (previous === undefined) rmSync(current);
    else pointTo(previous);
    rmSync(release, { recursive: true });
    process.exit(1);
  }
  for (const old of versions().slice(0, -KEPT)) rmSync(join(releases, old), { recursive: true });
}

function rollback() {
  const all = versions();
  const before = all[all.indexOf(basename(readlinkSync(current))) - 1];
  if (before === undefined) throw new Error('there is no version before this one');
  if (!doublefork('rollback', NAME)) process.exit(1);
  pointTo(before);
}

const [what] = process.argv.slice(2);
if (what === undefined) throw new Error('which version? node deploy.mjs DIRECTORY, or rollback');
if (what === 'rollback') rollback();
else deploy(what);
