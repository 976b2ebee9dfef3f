// What the tests of jobs have in common.

import { expect } from 'vitest';
import { type RunOptions, run } from '../../support/program.js';

/** In front of the programs. */
export const PROGRAM = `
const { inFork, createPool, jobs } = doublefork;
const failed = async (promise) => {
  try { await promise; return 'nothing'; } catch (error) { return error; }
};
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
// An answer is there before its copy has ended.
const childless = async () => {
  while (fs.readFileSync('/proc/self/task/' + process.pid + '/children', 'utf8') !== '') await sleep(1);
};
`;

/** Runs a program that may use jobs, and ends well. @returns what it reports and prints */
export async function program(source: string, options: RunOptions = {}) {
  const { code, reports, stdout, stderr } = await run(PROGRAM + source, options);
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  return { reports, stdout };
}
