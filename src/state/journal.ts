// An append-only journal with snapshots: what a program needs to be again where it was when it was killed.

import {
  closeSync,
  fsyncSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
} from '../builtin/fs.js';
import { constants as os } from '../builtin/os.js';
import { join, resolve } from '../builtin/path.js';
import { snapshot } from '../jobs/index.js';
import type { Snapshot, SnapshotFile, SnapshotOptions } from '../jobs/snapshot.js';
import { invalidType, posixError, text } from '../posix/errors.js';
import { flock, LOCK_EX, LOCK_NB } from '../posix/lock.js';
import { frame, readRecords } from './records.js';

/** How a {@link Journal} is read when it is opened. */
export interface JournalOptions {
  /** Called first, with the last snapshot, if there is one. */
  restore?: (snapshot: Buffer) => void;
  /** Called with each record that came after it, in order. */
  apply: (record: Buffer) => void;
  /** Permission bits of what is made, before the umask. Default 0o600. */
  mode?: number;
}

/** What {@link Journal.open} has found. */
export interface Recovered {
  /** Whether there was a snapshot. */
  snapshot: boolean;
  /** Records applied after it. */
  records: number;
  /** Bytes of a last write that was not finished, and was nobody's yet; they were cut off. */
  torn: number;
}

interface Waiting {
  frame: readonly [Buffer, Uint8Array];
  resolve: () => void;
  reject: (error: Error) => void;
}

const DEFAULT_MODE = 0o600;
const SEGMENT = /^journal-(\d+)$/;
const SNAPSHOT = /^snapshot-(\d+)$/;

/**
 * A directory with records (`journal-N`) and snapshots (`snapshot-N`: all that is in the journals before N).
 * One process at a time has it.
 */
export class Journal implements AsyncDisposable {
  readonly directory: string;
  readonly recovered: Recovered;
  readonly #mode: number;
  readonly #lock: number;
  readonly #owner = process.pid;
  #segment: Segment;
  #closed = false;

  /**
   * Opens a journal, or makes one, and reads it: `restore` gets the last snapshot, `apply` each record after it.
   * @throws EBUSY if another process has it; ERR_JOURNAL_CORRUPT, with file and offset, for records that were
   * there once and are not whole; what `restore` and `apply` throw; the errors of mkdir(2), open(2), read(2)
   */
  static open(directory: string, options: JournalOptions): Journal {
    return new Journal(directory, options);
  }

  private constructor(directory: string, { restore, apply, mode = DEFAULT_MODE }: JournalOptions) {
    if (typeof apply !== 'function') throw invalidType('options.apply', 'of type function', apply);
    this.directory = resolve(text(directory, 'directory'));
    this.#mode = mode;
    mkdirSync(this.directory, { recursive: true, mode: mode | 0o100 | ((mode & 0o044) >> 2) });
    this.#lock = openSync(join(this.directory, 'lock'), 'a', mode);
    try {
      takeLock(this.#lock, this.directory);
      const [found, segment] = this.#recover(restore, apply);
      this.recovered = found;
      this.#segment = segment;
    } catch (error) {
      closeSync(this.#lock);
      throw error;
    }
  }

  /** Reads what is there, and begins a new file. */
  #recover(
    restore: JournalOptions['restore'],
    apply: JournalOptions['apply'],
  ): [Recovered, Segment] {
    const names = readdirSync(this.directory);
    const base = Math.max(0, ...numbers(names, SNAPSHOT));
    if (base > 0) restore?.(readFileSync(join(this.directory, `snapshot-${base}`)));
    const segments = numbers(names, SEGMENT).filter((number) => number >= base);
    const found: Recovered = { snapshot: base > 0, records: 0, torn: 0 };
    for (const [i, number] of segments.entries()) {
      const path = join(this.directory, `journal-${number}`);
      const file = readFileSync(path);
      const end = readRecords(file, (record) => {
        apply(record);
        found.records++;
      });
      if (end === file.length) continue;
      // What follows the last record of the last file was never told to be durable. The others were
      // whole before the next was begun.
      if (i < segments.length - 1) throw corrupt(path, end);
      found.torn = file.length - end;
      truncate(path, end);
    }
    const next = Math.max(base, 0, ...segments) + 1;
    return [found, this.#begin(next)];
  }

  #begin(number: number): Segment {
    const segment = new Segment(join(this.directory, `journal-${number}`), number, this.#mode);
    syncDirectory(this.directory);
    return segment;
  }

  /**
   * Adds a record. Of many that are added at once the disk is asked once (group commit).
   * @returns resolves when the record is durable; rejects with the errors of write(2), which leave the journal
   * as it was; after an error of fdatasync(2) nothing more is taken
   * @throws ERR_JOURNAL_CLOSED; ERR_JOURNAL_FORKED in a copy of the process
   */
  append = (record: string | Uint8Array): Promise<void> => {
    this.#check();
    const bytes = typeof record === 'string' ? Buffer.from(record) : record;
    if (!(bytes instanceof Uint8Array))
      throw invalidType('record', 'a string or Uint8Array', record);
    return this.#segment.append(frame(bytes));
  };

  /**
   * Writes a snapshot in the background, and removes the records that are in it once it is durable. What is
   * appended from this call on is not in it: `write` is to write what the program is at this moment, and so
   * is no async function.
   * @returns as {@link snapshot} does
   */
  snapshot = async (
    write: (file: SnapshotFile) => void,
    options: Omit<SnapshotOptions, 'concurrent' | 'async'> = {},
  ): Promise<Snapshot> => {
    this.#check();
    if (this.#snapshotting)
      throw failure('ERR_SNAPSHOT_RUNNING', 'A snapshot of this journal is being written');
    this.#snapshotting = true;
    try {
      const before = this.#segment;
      const number = before.number + 1;
      const path = join(this.directory, `snapshot-${number}`);
      // In this order, without a turn of the event loop: a new file for what comes, then the memory. A
      // snapshot for which there is no new file would hide what is appended to the old one.
      this.#segment = this.#begin(number);
      const picture = snapshot(path, write, { mode: this.#mode, ...options, async: false });
      picture.catch(() => {});
      await before.close();
      const done = await picture;
      this.#removeBefore(number);
      return done;
    } finally {
      this.#snapshotting = false;
    }
  };

  #snapshotting = false;

  #removeBefore(number: number): void {
    const names = readdirSync(this.directory);
    for (const old of numbers(names, SEGMENT)) {
      if (old < number) rmSync(join(this.directory, `journal-${old}`));
    }
    for (const old of numbers(names, SNAPSHOT)) {
      if (old < number) rmSync(join(this.directory, `snapshot-${old}`));
    }
  }

  #check(): void {
    if (this.#closed) throw failure('ERR_JOURNAL_CLOSED', 'The journal is closed');
    if (process.pid === this.#owner) return;
    throw failure(
      'ERR_JOURNAL_FORKED',
      `The journal belongs to process ${this.#owner}, of which this one is a copy: two must not write to it`,
    );
  }

  /** Resolves when all that was appended is durable, and another process may have the journal. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#check();
    this.#closed = true;
    try {
      await this.#segment.close();
    } finally {
      closeSync(this.#lock);
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

/** A file of records that is written to. */
class Segment {
  readonly number: number;
  readonly #fd: number;
  #waiting: Waiting[] = [];
  #size = 0;
  #busy: Promise<void> | undefined;
  #broken: Error | undefined;

  constructor(path: string, number: number, mode: number) {
    this.number = number;
    this.#fd = openSync(path, 'wx', mode);
  }

  append(record: Waiting['frame']): Promise<void> {
    return new Promise((resolve, reject) => {
      if (this.#broken !== undefined) return reject(this.#broken);
      this.#waiting.push({ frame: record, resolve, reject });
      this.#busy ??= this.#flush();
    });
  }

  async close(): Promise<void> {
    await this.#busy;
    closeSync(this.#fd);
  }

  /** Writes all that waits, and what comes meanwhile. */
  async #flush(): Promise<void> {
    // What is appended in the same turn of the event loop comes along.
    await new Promise<void>((resolve) => setImmediate(resolve));
    while (this.#waiting.length > 0) {
      const batch = this.#waiting;
      this.#waiting = [];
      try {
        await this.#write(batch);
        for (const { resolve } of batch) resolve();
      } catch (error) {
        for (const { reject } of batch) reject(error as Error);
      }
    }
    this.#busy = undefined;
  }

  async #write(batch: readonly Waiting[]): Promise<void> {
    if (this.#broken !== undefined) throw this.#broken;
    const fs = process.getBuiltinModule('node:fs');
    const all = Buffer.concat(batch.flatMap(({ frame }) => frame));
    try {
      for (let at = 0; at < all.length; ) {
        const length = all.length - at;
        at += await call<number>((done) =>
          fs.write(this.#fd, all, at, length, this.#size + at, done),
        );
      }
    } catch (error) {
      // Such as a full disk. What is there of it must not come before what is written next.
      ftruncateSync(this.#fd, this.#size);
      throw error;
    }
    try {
      await call<void>((done) => fs.fdatasync(this.#fd, done));
    } catch (error) {
      // The kernel may have dropped what it could not write, and says so once.
      this.#broken = error as Error;
      throw error;
    }
    this.#size += all.length;
  }
}

const call = <T>(start: (done: (error: Error | null, value?: T) => void) => void): Promise<T> =>
  new Promise((resolve, reject) => {
    start((error, value) =>
      error === null || error === undefined ? resolve(value as T) : reject(error),
    );
  });

function numbers(names: readonly string[], pattern: RegExp): number[] {
  return names
    .flatMap((name) => pattern.exec(name)?.[1] ?? [])
    .map(Number)
    .sort((a, b) => a - b);
}

function takeLock(fd: number, directory: string): void {
  try {
    flock(fd, LOCK_EX | LOCK_NB);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') throw error;
    throw posixError(-os.errno.EBUSY, 'flock', directory, 'another process has this journal open');
  }
}

function truncate(path: string, size: number): void {
  const fd = openSync(path, 'r+');
  ftruncateSync(fd, size);
  fsyncSync(fd);
  closeSync(fd);
}

function syncDirectory(path: string): void {
  const fd = openSync(path, 'r');
  fsyncSync(fd);
  closeSync(fd);
}

function corrupt(path: string, offset: number): Error {
  const error = failure(
    'ERR_JOURNAL_CORRUPT',
    `${path} is damaged at byte ${offset}, with newer journals behind it: restore it from a copy, or move this and ` +
      'the newer ones away to go on with what is before it',
  );
  return Object.assign(error, { path, offset });
}

const failure = (code: string, message: string): Error =>
  Object.assign(new Error(message), { code });
