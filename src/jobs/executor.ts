// Where a job runs that is not for a copy which takes one after the other.

/** Runs jobs, as many at a time as it is given. */
export interface Executor {
  /** Rejects with what the job throws, or why it did not end. Nothing of it runs any more then. */
  run(argument: unknown, signal: AbortSignal | undefined): Promise<unknown>;
  /** To be called when no job runs. */
  close(): Promise<void>;
}
