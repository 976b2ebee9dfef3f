// The face of jobs: what is behind it is loaded when it is called.

import { requirePart } from '../posix/parts.js';
import type { Job, JobContext, JobOptions } from './in-fork.js';
import type { JobsOptions, Pool, PoolOptions } from './pool.js';
import type { Snapshot, SnapshotFile, SnapshotOptions } from './snapshot.js';

/** See {@link import('./in-fork.js').inFork}. */
export function inFork<T>(
  fn: (context: JobContext) => T | PromiseLike<T>,
  options: JobOptions = {},
): Job<T> {
  return load().inFork(fn, options);
}

/** See {@link import('./pool.js').createPool}. */
export function createPool<A, R>(options: PoolOptions<A, R>): Pool<A, R> {
  return load().createPool(options);
}

/** See {@link import('./pool.js').jobs}. */
export function jobs<A, R>(options: JobsOptions<A, R>): Pool<A, R> {
  return load().jobs(options);
}

/** See {@link import('./snapshot.js').snapshot}. */
export function snapshot(
  path: string,
  write: (file: SnapshotFile) => void | Promise<void>,
  options: SnapshotOptions = {},
): Promise<Snapshot> {
  return load().snapshot(path, write, options);
}

type Jobs = typeof import('./jobs.js');
let loaded: Jobs | undefined;

function load(): Jobs {
  loaded ??= requirePart<Jobs>('jobs.js');
  return loaded;
}
