// The two ways to make a daemon, behind one face. What comes before and after is the same for both,
// and written in daemonize.ts.

import type { Pidfile } from '../pidfile/pidfile.js';
import { addon } from '../posix/addon.js';
import { close } from '../posix/descriptor.js';
import { posixError } from '../posix/errors.js';
import { detach, refuseWorkers } from '../posix/fork.js';
import { sameImage } from './image.js';
import type { Plan } from './options.js';
import { openNull, type Redirection } from './redirect.js';
import { format, VARIABLE } from './stage.js';

/** What the launcher has opened for the daemon. */
export interface Files {
  pidfile: Pidfile | undefined;
  redirection: Redirection;
}

/** Descriptors that were inherited: those that stay, and those that do not. */
export interface Inherited {
  kept: ReadonlySet<number>;
  closed: readonly number[];
}

/**
 * Makes the daemon, a grandchild in a session of its own. In the launcher it returns never: it waits
 * there and exits; or throws, with nothing changed, if there is no daemon.
 * @returns in the daemon, the descriptor on which to speak to the launcher
 */
export type Engine = (plan: Plan, files: Files, inherited: Inherited) => number;

/** Copies the process: the daemon goes on from here, with everything that was loaded. */
const fork: Engine = (plan) => detach(plan.quiesceTimeout, plan.readyTimeout);

/** Runs the program again from its start; the daemon arrives in daemonize() with a {@link Stage}. */
const exec: Engine = (plan, { redirection, pidfile }, { kept, closed }) => {
  refuseWorkers('daemonize');
  const { path, argv, cwd } = sameImage();
  const handedOver = [...redirection.descriptors, pidfile?.handedOver];
  const nothing = openNull();
  const [errno, sentence, call] = addon.launch(
    {
      path,
      argv,
      cwd: cwd ?? '',
      variable: VARIABLE,
      descriptors: format(handedOver),
      kept: [...kept, ...handedOver.flatMap((it) => it?.fd ?? [])],
      closed: [...closed],
      // The launcher has printed what the program prints before it calls daemonize(). Not so for
      // stderr: an exception on the way there is for the user to see.
      silent: [0, 1].filter((fd) => redirection.descriptors[fd] !== undefined),
      nothing,
      // The event loop turns no more; the daemon is to find its own ports free when it gets there.
      released: addon.loopHandles().descriptors.filter((fd) => fd > 2),
    },
    plan.readyTimeout,
  );
  close(nothing);
  const paths: Record<string, string | undefined> = { execve: path, chdir: cwd };
  throw posixError(errno, call, paths[call], sentence || undefined);
};

/**
 * Fork where that works. Not by asking forkSupport() before: that reads what the fork finds out on its
 * way, page by page of the memory, and takes as long as the fork. A refusal has changed nothing.
 */
const auto: Engine = (plan, files, inherited) => {
  try {
    return fork(plan, files, inherited);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOTSUP') throw error;
    return exec(plan, files, inherited);
  }
};

/** By the option that asks for it. */
export const engines: Readonly<Record<'auto' | 'fork' | 'exec', Engine>> = { auto, fork, exec };
