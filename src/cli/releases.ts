// The directory of a program that is deployed: its releases, which one is current, and what is under way.
//
//   releases/20261126T021300Z/    one version each, never changed once it is there
//   current -> releases/…         by which the program is started
//   deploy.json                   what is under way, or was when somebody pulled the plug
//   deploy.lock                   locked while it is

import {
  closeSync,
  cpSync,
  existsSync,
  fsyncSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { basename, join, relative, resolve } from 'node:path';
import { LOCK_EX, tryFlock } from '../posix/lock.js';

/** How far a deploy has come. `reloading`: from here on the new version may serve. */
export type Step = 'copying' | 'switching' | 'reloading';

/** What is under way. */
export interface UnderWay {
  step: Step;
  /** The new release. */
  release: string;
  /** The one that was current; null: there was none. */
  previous: string | null;
  /** What ran before. */
  before: Kind;
}

/** What runs: a supervisor, of which one version takes over from the other, or a process that has to be restarted. */
export type Kind = 'none' | 'supervisor' | 'process';

/** Ends the name of a directory that is not yet a release. */
const PARTIAL = '.partial';

export class Releases implements Disposable {
  readonly root: string;
  readonly directory: string;
  /** The link. */
  readonly current: string;
  readonly #journal: string;
  readonly #lockFile: string;
  #lock: number | undefined;

  /** @param root is made, if there is no such directory */
  constructor(root: string) {
    this.root = resolve(root);
    this.directory = join(this.root, 'releases');
    this.current = join(this.root, 'current');
    this.#journal = join(this.root, 'deploy.json');
    this.#lockFile = join(this.root, 'deploy.lock');
  }

  /** Who deploys here has it, also by the programs that it has started. */
  get lock(): number | undefined {
    return this.#lock;
  }

  /** @throws EBUSY if another one deploys here, or what that has started has not ended */
  take(): void {
    mkdirSync(this.directory, { recursive: true });
    const lock = openSync(this.#lockFile, 'a+');
    if (!tryFlock(lock, LOCK_EX)) {
      closeSync(lock);
      const holder = readFileSync(this.#lockFile, 'utf8').trim() || 'unknown';
      throw Object.assign(
        new Error(
          `another deploy to ${this.root} is under way, or what it has started: pid ${holder}`,
        ),
        { code: 'EBUSY', pid: Number(holder) },
      );
    }
    writeFileSync(this.#lockFile, `${process.pid}\n`);
    this.#lock = lock;
  }

  /** What the link leads to; null: there is none. @throws if it is something else than such a link */
  get currentRelease(): string | null {
    const stat = lstatSync(this.current, { throwIfNoEntry: false });
    if (stat === undefined) return null;
    const to = stat.isSymbolicLink() ? resolve(this.root, readlinkSync(this.current)) : '';
    if (relative(this.directory, to) === basename(to)) return basename(to);
    throw new Error(
      `${this.current} is no link to a directory in ${this.directory}; move it away, or give another --root`,
    );
  }

  /** From the oldest on. */
  get all(): string[] {
    if (!existsSync(this.directory)) return [];
    return readdirSync(this.directory)
      .filter((name) => !name.endsWith(PARTIAL))
      .sort();
  }

  path(release: string): string {
    return join(this.directory, release);
  }

  /** A name that sorts behind all that there are. */
  nextName(now: Date): string {
    const name = now.toISOString().replace(/[-:]/g, '').replace('.', '-');
    const last = this.all.at(-1) ?? '';
    return name > last ? name : `${last}+`;
  }

  /** @returns the directory in which it is made ready, and how to make it a release */
  copy(source: string, release: string): { directory: string; finish: () => void } {
    const directory = `${this.path(release)}${PARTIAL}`;
    cpSync(source, directory, {
      recursive: true,
      verbatimSymlinks: true,
      preserveTimestamps: true,
    });
    return { directory, finish: () => renameSync(directory, this.path(release)) };
  }

  /** At no moment there is no link, or another one than before or after. */
  pointTo(release: string | null): void {
    if (release === null) {
      rmSync(this.current, { force: true });
      return;
    }
    const next = `${this.current}.next`;
    rmSync(next, { force: true });
    symlinkSync(join('releases', release), next);
    renameSync(next, this.current);
  }

  remove(release: string): void {
    rmSync(this.path(release), { recursive: true, force: true });
  }

  /** Removes what is neither current nor among the last so many. @returns what was */
  prune(keep: number): string[] {
    const current = this.currentRelease;
    const old = this.all.slice(0, -keep).filter((release) => release !== current);
    for (const release of old) this.remove(release);
    return old;
  }

  /** Says what is under way, before it is. */
  note(underWay: UnderWay | undefined): void {
    if (underWay === undefined) {
      rmSync(this.#journal, { force: true });
      return;
    }
    const file = `${this.#journal}.new`;
    const fd = openSync(file, 'w');
    try {
      writeSync(fd, JSON.stringify(underWay));
      fsyncSync(fd);
    } finally {
      closeSync(fd);
    }
    renameSync(file, this.#journal);
  }

  /** What was under way when it was interrupted. */
  get interrupted(): UnderWay | undefined {
    if (!existsSync(this.#journal)) return undefined;
    return JSON.parse(readFileSync(this.#journal, 'utf8')) as UnderWay;
  }

  /** Removes what was not finished. */
  sweep(): void {
    rmSync(`${this.current}.next`, { force: true });
    rmSync(`${this.#journal}.new`, { force: true });
    for (const name of readdirSync(this.directory)) {
      if (name.endsWith(PARTIAL)) rmSync(join(this.directory, name), { recursive: true });
    }
  }

  [Symbol.dispose](): void {
    if (this.#lock !== undefined) closeSync(this.#lock);
    this.#lock = undefined;
  }
}

/** @throws ENOENT, ENOTDIR */
export function checkSource(source: string, root: string): string {
  const path = resolve(source);
  if (!statSync(path).isDirectory())
    throw Object.assign(new Error(`${path} is no directory; a version is one`), {
      code: 'ENOTDIR',
    });
  if (resolve(root).startsWith(`${path}/`) || resolve(root) === path)
    throw new Error(
      `${resolve(root)} is in ${path}: it would be copied into itself; give another --root`,
    );
  return path;
}
