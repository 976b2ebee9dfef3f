// What process 1 of a container has to do that other processes need not: the kernel does not end it by a
// signal for which it has no handler, and gives it the orphans of all others, to be waited for.

import { constants } from '../builtin/os.js';
import { childProcesses } from '../posix/fork.js';
import { kill, WNOHANG, waitpid } from '../posix/process.js';
import { allProcesses } from '../posix/processes.js';
import { trace } from '../posix/trace.js';

/** Those with which people and container runtimes end a process. */
const ENDING = ['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGQUIT'] as const;

/** What nobody has waited for within this time is an orphan: addons wait for their own children. In ms. */
const PATIENCE = 1000;

/** Has this process, which is process 1, end by signals as others do, and reap orphans. */
export function beProcessOne(): void {
  for (const name of ENDING) process.on(name, end);
  process.on('SIGCHLD', lookLater);
  // Some may have come before.
  lookLater();
}

function end(name: NodeJS.Signals): void {
  // The program has a handler of its own.
  if (process.listenerCount(name) > 1) return;
  if (process.pid === 1) process.exit(128 + constants.signals[name]);
  // A copy of process 1, which the kernel ends.
  process.off(name, end);
  kill(process.pid, name);
}

let isWaiting = false;
/** Ended processes of the last look, by pid and start time. */
let seen: ReadonlySet<string> = new Set();

function lookLater(): void {
  if (process.pid !== 1) return;
  if (isWaiting) return;
  isWaiting = true;
  setTimeout(look, PATIENCE).unref();
}

function look(): void {
  isWaiting = false;
  if (process.pid !== 1) return;
  const own = new Set(childProcesses().map(({ pid }) => pid));
  const ended = allProcesses().filter(
    ({ ppid, state, pid }) => ppid === 1 && state === 'Z' && !own.has(pid),
  );
  const waiting = new Set<string>();
  for (const { pid, startTime } of ended) {
    const key = `${pid} ${startTime}`;
    if (seen.has(key)) reap(pid);
    else waiting.add(key);
  }
  seen = waiting;
  if (waiting.size > 0) lookLater();
}

function reap(pid: number): void {
  try {
    waitpid(pid, WNOHANG);
    trace?.('process 1', `has reaped ${pid}`);
  } catch (error) {
    // Somebody has waited for it after all.
    if ((error as NodeJS.ErrnoException).code !== 'ECHILD') throw error;
  }
}
