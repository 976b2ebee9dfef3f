// What a Worker of piscina runs: see threads.ts.

import { describeError, type ErrorRecord } from './frames.js';
import { callModule } from './module.js';

/** A result, or what was thrown with all that a message between threads would leave out. */
export type ThreadAnswer = { value: unknown } | { error: ErrorRecord };

export default async function perform(job: {
  url: string;
  argument: unknown;
}): Promise<ThreadAnswer> {
  try {
    return { value: await callModule(job.url, job.argument) };
  } catch (error) {
    return { error: describeError(error) };
  }
}
