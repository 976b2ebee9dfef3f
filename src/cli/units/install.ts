// Puts the files of a unit in place, or takes them away, and has the manager know. Only what this command has
// made is overwritten or removed.

import { spawnSync } from '../../builtin/child_process.js';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from '../../builtin/fs.js';
import { dirname, join } from '../../builtin/path.js';
import type { UnitFile } from './facts.js';
import type { Kind, Place, Step } from './kinds.js';

/**
 * @returns what was done
 * @throws EEXIST for a file that is somebody else's; what the manager finds wrong. The files are as before then
 */
export async function put(kind: Kind, place: Place, files: readonly UnitFile[]): Promise<string[]> {
  const { name, directory } = place;
  for (const { path, signed } of kind.owned(name))
    isOurs(place.signed, join(directory, path), join(directory, signed));
  const before = files.map(({ file }) => {
    const path = join(directory, file);
    return { path, text: existsSync(path) ? readFileSync(path, 'utf8') : undefined };
  });
  // Of the system it is there, if its manager is.
  if (place.scope === 'user') mkdirSync(directory, { recursive: true });
  try {
    write(directory, files);
    for (const step of kind.install?.(place) ?? []) await take(step, place);
  } catch (error) {
    for (const { path, text } of before) {
      if (text === undefined) rmSync(path, { force: true });
      else writeFileSync(path, text);
    }
    for (const { path } of kind.owned(name)) {
      // A new directory, in which the manager may have begun to write.
      if (before.every(({ text }) => text === undefined))
        rmSync(join(directory, path), { recursive: true, force: true });
    }
    throw error;
  }
  return [...before.map(({ path }) => `wrote ${path}`), kind.installed(place)];
}

/**
 * @param absent what to say if there is none
 * @returns what was done
 */
export async function remove(
  kind: Kind,
  place: Place,
  absent = `there is no unit of ${place.name} in ${place.directory}`,
): Promise<string[]> {
  const { name, directory } = place;
  const found = kind
    .owned(name)
    .filter(({ path, signed }) =>
      isOurs(place.signed, join(directory, path), join(directory, signed)),
    )
    .map(({ path }) => path);
  if (found.length === 0) return [absent];
  const here = { ...place, files: found };
  const moved = kind.aside === true ? { ...here, name: `.${name}.removed` } : here;
  const move = (from: Place, to: Place) => {
    if (from !== to) renameSync(join(directory, from.name), join(directory, to.name));
  };
  const stop = kind.stop?.(here) ?? [];
  move(here, moved);
  try {
    for (const step of kind.stop?.(moved) ?? []) await take(step, here);
  } catch (error) {
    move(moved, here);
    throw error;
  }
  for (const path of moved === here ? found : [moved.name]) {
    rmSync(join(directory, path), { recursive: true });
  }
  for (const step of kind.forget?.(here) ?? []) await take(step, here);
  return [
    ...(stop.length === 0 ? [] : [`stopped ${found.join(' and ')}`]),
    ...found.map((path) => `removed ${join(directory, path)}`),
  ];
}

/** @returns false: there is no such thing @throws EEXIST */
function isOurs(mark: string, path: string, signed: string): boolean {
  if (!existsSync(path)) return false;
  if (existsSync(signed) && head(signed).includes(`${mark}\n`)) return true;
  const why = `${path} was not made by this command, and is left alone; remove it, or give --directory`;
  throw Object.assign(new Error(why), { code: 'EEXIST', path });
}

/** In its first lines. */
const head = (path: string) =>
  `${readFileSync(path, 'utf8').split('\n', 4).join('\n').replace(/ -->$/m, '')}\n`;

/**
 * A directory that is new comes to be as a whole: managers look into theirs at any time.
 */
function write(directory: string, files: readonly UnitFile[]): void {
  const heads = new Set(files.map(({ file }) => file.split('/', 1)[0]!));
  for (const first of heads) {
    const own = files.filter(({ file }) => file === first || file.startsWith(`${first}/`));
    const target = join(directory, first);
    const isNewDirectory = own.some(({ file }) => file !== first) && !existsSync(target);
    // Managers pass over names with a dot in front.
    const draft = isNewDirectory ? `.${first}.new` : first;
    for (const { file, text, mode = 0o644 } of own) {
      const path = join(directory, draft + file.slice(first.length));
      if (file !== first) mkdirSync(dirname(path), { recursive: true, mode: 0o755 });
      writeFileSync(path, text, { mode });
      chmodSync(path, mode);
    }
    if (isNewDirectory) renameSync(join(directory, draft), target);
  }
}

const PAUSE_MS = 100;

async function take(step: Step, { directory, files }: Place): Promise<void> {
  if ('appears' in step) {
    const { appears, within } = step;
    if (await comes(() => existsSync(appears), within)) return;
    throw new Error(
      `${appears} has not come to be within ${within / 1000} s: the manager does not run, or looks into another directory; give --directory`,
    );
  }
  if ('fails' in step) {
    const [program, ...args] = step.fails;
    const isGone = () => spawnSync(program!, args, { stdio: 'ignore' }).status !== 0;
    if (await comes(isGone, step.within * 1000)) return;
    throw new Error(`it still runs after ${step.within} s: ${step.fails.join(' ')}`);
  }
  const [program, ...args] = step.run;
  const { status, stdout, stderr, error } = spawnSync(program!, args, {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  if (error !== undefined)
    throw new Error(`cannot run ${program}: ${error.message}`, { cause: error });
  if (step.silent === true) {
    const paths = files.map((file) => join(directory, file));
    const about = stderr
      .split('\n')
      .filter((line) =>
        [...paths, ...files.map((file) => `${file}:`)].some((it) => line.startsWith(it)),
      );
    if (about.length > 0) throw new Error(`systemd does not take the units: ${about.join('; ')}`);
    return;
  }
  if (status === 0) return;
  throw new Error(
    `${step.run.join(' ')} failed: ${stderr.trim() || stdout.trim() || `exit code ${status}`}`,
  );
}

/** Looks again and again. */
async function comes(isSo: () => boolean, within: number): Promise<boolean> {
  const { setTimeout: sleep } = process.getBuiltinModule('node:timers/promises');
  for (const end = Date.now() + within; !isSo(); await sleep(PAUSE_MS)) {
    if (Date.now() >= end) return false;
  }
  return true;
}
