// The face of jobs: what is behind it is loaded when it is called.

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

/** It has to be there at once, and import() is not synchronous: as in src/supervise/index.ts. */
function load(): Jobs {
  const { createRequire } = process.getBuiltinModule('node:module');
  jobs ??= createRequire(import.meta.filename)('./jobs.js') as Jobs;
  return jobs;
}
