// What a program or a library wants done when this process is copied, or goes on as another:
// pthread_atfork(3) for JavaScript.

import { invalidType } from './errors.js';
import { refuseUnknown } from './known.js';
import { shared } from './shared.js';

/** How the process came to be in which a hook runs. */
export interface NewProcess {
  /**
   * false: a copy, and the original goes on with the same memory: whatever must differ between the two,
   * such as a stock of random numbers, is to be made anew. true: {@link daemonize} has moved the
   * program, which is nowhere else; what is new is the process id.
   */
  moved: boolean;
}

/** What {@link onFork} takes. */
export interface ForkHooks {
  /** Runs in the new process before anything else of the program does. */
  child?: (process: NewProcess) => void;
  /** Runs in the process that called `fork()`, with the id of its child. */
  parent?: (child: { pid: number }) => void;
}

/** In the order in which they came; one list for every copy of this package in the process. */
const registered = shared('onFork', () => new Set<ForkHooks>());

/**
 * Has functions called whenever this process is forked, for what cannot be the same in two processes:
 * stocks of random numbers, cached process ids, connections that only one may use.
 *
 * `child` runs in the child of `fork()`, in each worker of `supervise()` whenever one is started or
 * started again, and in the daemon (`moved: true`); `parent` runs after `fork()` in the process that
 * called it, but not in one that gives way: a supervisor, a launcher, `fork({ parent: 'frozen' })`. All
 * run in the order in which they were registered, as pthread_atfork(3) has it, before the call returns.
 * With the exec engine nothing is copied, and no hook runs.
 *
 * They are synchronous. A new process whose `child` hook throws, or returns a promise, ends at once with
 * the error on stderr: that daemon's start has failed, that worker is started again by the rules for a
 * failure, that child exits with code 1. What a `parent` hook throws is an uncaught exception.
 * @returns disposed of, it takes the functions away again
 * @throws ERR_INVALID_ARG_TYPE, ERR_INVALID_ARG_VALUE
 * @see pthread_atfork(3)
 */
export function onFork(hooks: ForkHooks): Disposable {
  refuseUnknown(hooks, ['child', 'parent'], 'hooks');
  for (const [name, hook] of Object.entries(hooks)) {
    if (hook !== undefined && typeof hook !== 'function') {
      throw invalidType(`hooks.${name}`, 'of type function', hook);
    }
  }
  // A copy: the same functions may be registered twice, and are two registrations then.
  const registration = { ...hooks };
  registered.add(registration);
  return { [Symbol.dispose]: () => void registered.delete(registration) };
}

/** @throws what the first of them throws; those after it have not run */
export function runChildHooks(process: NewProcess): void {
  for (const { child } of [...registered]) {
    // Nobody waits for it, and the program would go on while it is half prepared.
    if (isPromise(child?.(process))) {
      throw new TypeError('a hook of onFork() returned a promise: hooks must be synchronous');
    }
  }
}

/** The child is there: its id must reach the caller, whatever they throw. */
export function runParentHooks(child: { pid: number }): void {
  for (const { parent } of [...registered]) {
    try {
      parent?.(child);
    } catch (error) {
      queueMicrotask(() => {
        throw error;
      });
    }
  }
}

const isPromise = (value: unknown): boolean =>
  typeof (value as PromiseLike<unknown> | undefined)?.then === 'function';
