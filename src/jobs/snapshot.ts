// A consistent picture of memory in a file, written in the background: what Redis calls BGSAVE.

import { closeSync, fsyncSync, openSync, renameSync, rmSync, writeSync } from '../builtin/fs.js';
import { dirname, resolve } from '../builtin/path.js';
import { invalidType, text } from '../posix/errors.js';
import { SnapshotRunningError } from './errors.js';
import { inFork, isAsync, type JobOptions } from './in-fork.js';

/** What `write` of {@link snapshot} writes to. */
export interface SnapshotFile {
  /** Adds to the file. Text is UTF-8. @throws ENOSPC and the other errors of write(2) */
  write(chunk: string | Uint8Array): void;
}

/** Options of {@link snapshot}. */
export interface SnapshotOptions extends Omit<JobOptions, 'stdio'> {
  /** Permission bits of the file, before the umask. Default 0o600: memory may hold secrets. */
  mode?: number;
  /** Whether one may be begun while another of the same file is being written. Default false. */
  concurrent?: boolean;
}

/** What {@link snapshot} resolves with. */
export interface Snapshot {
  path: string;
  /** The size of the file. */
  bytes: number;
}

/** So much is written at once. In bytes. */
const BUFFER = 1 << 20;
const DEFAULT_MODE = 0o600;

/** Files that are being written. */
const running = new Set<string>();
/** Tells the files of several snapshots apart that are not there yet. */
let count = 0;

/**
 * Writes a file from a copy of this process, with the memory as it is at the call (see {@link inFork}), and
 * resolves once the file is there, whole and durable: written under another name, fsync(2) of the file,
 * rename(2), fsync(2) of the directory. The program goes on meanwhile. If anything fails the file that was
 * there is as it was.
 * @param path the file
 * @param write runs in the copy, and writes
 * @returns rejects as {@link inFork} does; with the errors of open(2), write(2), fsync(2), rename(2); with
 * ERR_SNAPSHOT_RUNNING while another one of this file is being written, unless `concurrent` is set
 * @throws ERR_INVALID_ARG_TYPE, ERR_INVALID_ARG_VALUE, ERR_OUT_OF_RANGE
 */
export function snapshot(
  path: string,
  write: (file: SnapshotFile) => void | Promise<void>,
  options: SnapshotOptions = {},
): Promise<Snapshot> {
  if (typeof write !== 'function') throw invalidType('write', 'of type function', write);
  const { mode = DEFAULT_MODE, concurrent = false, ...job } = options;
  // Where the program is now; it may change its directory.
  const target = resolve(text(path, 'path'));
  if (running.has(target) && !concurrent) return Promise.reject(new SnapshotRunningError(target));
  const temporary = `${target}.${process.pid}.${++count}.tmp`;
  const usesLoop = job.async ?? isAsync(write);
  running.add(target);
  const copy = inFork<number | Promise<number>>(
    usesLoop
      ? async () => {
          const file = new TemporaryFile(temporary, mode);
          await write(file);
          return file.become(target);
        }
      : () => {
          const file = new TemporaryFile(temporary, mode);
          const result: unknown = write(file);
          // A promise: inFork() says what to do.
          return result === undefined ? file.become(target) : (result as Promise<number>);
        },
    { ...job, async: usesLoop },
  );
  return copy
    .then((bytes) => ({ path: target, bytes: bytes as number }))
    .finally(() => {
      running.delete(target);
      // Of a copy that failed or was killed.
      rmSync(temporary, { force: true });
    });
}

/** In the copy: the file before it has its name. */
class TemporaryFile implements SnapshotFile {
  readonly #path: string;
  readonly #fd: number;
  #waiting: Buffer[] = [];
  #size = 0;
  #bytes = 0;

  constructor(path: string, mode: number) {
    this.#path = path;
    this.#fd = openSync(path, 'wx', mode);
  }

  write = (chunk: string | Uint8Array): void => {
    const buffer = typeof chunk === 'string' ? Buffer.from(chunk) : Buffer.from(chunk);
    this.#waiting.push(buffer);
    this.#size += buffer.length;
    if (this.#size >= BUFFER) this.#flush();
  };

  #flush(): void {
    const all = this.#waiting.length === 1 ? this.#waiting[0]! : Buffer.concat(this.#waiting);
    for (let at = 0; at < all.length; ) at += writeSync(this.#fd, all, at);
    this.#bytes += all.length;
    this.#waiting = [];
    this.#size = 0;
  }

  /** @returns its size */
  become(target: string): number {
    this.#flush();
    fsyncSync(this.#fd);
    closeSync(this.#fd);
    renameSync(this.#path, target);
    const directory = openSync(dirname(target), 'r');
    fsyncSync(directory);
    closeSync(directory);
    return this.#bytes;
  }
}
