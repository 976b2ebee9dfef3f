// How a job can end without an answer.

import type { Ended } from './copy.js';

/** The copy ended before the function returned: `process.exit()`, a signal, a crash, out of memory. */
export class JobExitedError extends Error {
  readonly code = 'ERR_JOB_EXITED';
  /** The code that it exited with; null: a signal ended it. */
  readonly exitCode: number | null;
  /** The signal that ended it; null: it exited. */
  readonly signal: NodeJS.Signals | null;

  constructor({ exitCode, signal }: Ended) {
    const how = signal === null ? `exited with code ${exitCode}` : `was ended by ${signal}`;
    super(`The job ${how} before it returned`);
    this.exitCode = exitCode;
    this.signal = signal;
  }
}

/** The function took longer than `timeout`, and was ended. */
export class JobTimeoutError extends Error {
  readonly code = 'ERR_JOB_TIMEOUT';

  constructor(timeout: number) {
    super(`The job was not done within ${timeout} ms and was ended`);
  }
}

/** The copy had more memory of its own than `memoryLimit`, and was ended. */
export class JobMemoryError extends Error {
  readonly code = 'ERR_JOB_MEMORY';

  /** @param bytes what it had; undefined: that was not told */
  constructor(limit: number, bytes?: number) {
    const had = bytes === undefined ? '' : ` (${bytes})`;
    super(`The job had more than ${limit} bytes of memory of its own${had}, and was ended`);
  }
}

/** The pool was closed and takes no more jobs. */
export class PoolClosedError extends Error {
  readonly code = 'ERR_POOL_CLOSED';

  constructor() {
    super('The pool is closed and takes no more jobs');
  }
}

/** A snapshot of that file is being written already. */
export class SnapshotRunningError extends Error {
  readonly code = 'ERR_SNAPSHOT_RUNNING';
  readonly path: string;

  constructor(path: string) {
    super(
      `A snapshot is being written to ${path} already; wait for it, or say { concurrent: true }`,
    );
    this.path = path;
  }
}
