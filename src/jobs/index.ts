// The face of jobs: what is behind it is loaded when it is called.

import { requirePart } from '../posix/parts.js';
import type { Job, JobContext, JobOptions } from './in-fork.js';
import type { Pool, PoolOptions } from './pool.js';

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

type Jobs = typeof import('./jobs.js');
let jobs: Jobs | undefined;

function load(): Jobs {
  jobs ??= requirePart<Jobs>('jobs.js');
  return jobs;
}
