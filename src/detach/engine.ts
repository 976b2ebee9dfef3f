// The two ways to make a daemon, behind one face. What comes before and after is the same for both,
// and written in daemonize.ts.

import { encodeHandoff, VARIABLE } from '../image/handoff.js';
import { sameImage } from '../image/image.js';
import { callsUpTo } from '../image/replay.js';
import { openListeners } from '../listen/listen.js';
import type { Pidfile } from '../pidfile/pidfile.js';
import { addon, type ConfinementRequest, type OpenDescriptor } from '../posix/addon.js';
import { close } from '../posix/descriptor.js';
import { posixError } from '../posix/errors.js';
import { type Child, detach, refuseChildren, refuseWorkers } from '../posix/fork.js';
import { refuseRecordLocks } from '../posix/lock.js';
import { openNull } from '../posix/null.js';
import { trace } from '../posix/trace.js';
import { checkImage, forNewImage } from './confinement.js';
import { unwanted } from './descriptors.js';
import type { DaemonSettings } from './options.js';
import type { Redirection } from './redirect.js';

/** What the launcher has opened for the daemon. */
export interface Files {
  pidfile: Pidfile | undefined;
  redirection: Redirection;
}

/** What the new process is to have of this one. */
export interface Inheritance {
  /** Of the open descriptors, those that were inherited and stay. */
  kept: ReadonlySet<number>;
  open: readonly OpenDescriptor[];
  confinement: ConfinementRequest | undefined;
  /** Child processes of Workers, which would wait for them in vain: they are the launcher's. */
  children: readonly Child[];
}

/**
 * Makes the daemon, a grandchild in a session of its own. In the launcher it returns never: it waits
 * there and exits; or throws, with nothing changed, if there is no daemon.
 * @returns in the daemon, the descriptor on which to speak to the launcher
 */
export type Engine = (settings: DaemonSettings, files: Files, inheritance: Inheritance) => number;

/** Moves the process into the daemon, which goes on from here with everything that was loaded. */
const fork: Engine = (settings, _files, { confinement, children }) => {
  refuseChildren('daemonize', children);
  return detach(settings.quiesceTimeout, settings.readyTimeout, confinement, settings.manual);
};

/** Runs the program again from its start; the daemon arrives in daemonize() with a Handoff. */
const exec: Engine = (settings, { redirection, pidfile }, { kept, open, confinement }) => {
  if (settings.recordLocks === 'refuse') refuseRecordLocks('daemonize');
  const { path, argv, script, cwd } = sameImage('daemonize');
  if (settings.chroot !== undefined) checkImage(settings.chroot, [path, ...script]);
  const handoff = encodeHandoff({
    calls: callsUpTo({ call: 'daemonize', detached: true }),
    stdio: redirection.descriptors,
    pidfile: pidfile?.handedOver,
    listeners: openListeners(),
  });
  trace?.('launcher', `starts a new image: ${[path, ...argv.slice(1)].join(' ')}`);
  const nullFd = openNull();
  const [errno, sentence, call] = addon.launch(
    {
      path,
      argv,
      cwd: settings.chroot === undefined ? (cwd ?? '') : (cwd ?? process.cwd()),
      variable: VARIABLE,
      handoff: handoff.text,
      kept: [...kept, ...handoff.descriptors],
      closed: unwanted(open, kept),
      confinement: confinement && forNewImage(confinement),
      // The launcher has printed what the program prints before it calls daemonize(). Not so for
      // stderr: an exception on the way there is for the user to see.
      nullFds: [0, 1].filter((fd) => redirection.descriptors[fd] !== undefined),
      nullFd,
      // The event loop turns no more; the daemon is to find its own ports free when it gets there.
      closeInLauncher: addon.loopHandles().descriptors.filter((fd) => fd > 2),
    },
    settings.readyTimeout,
  );
  close(nullFd);
  refuseWorkers('daemonize');
  const paths: Record<string, string | undefined> = {
    execve: path,
    chdir: cwd,
    chroot: settings.chroot,
  };
  throw posixError(errno, call, paths[call], sentence || undefined);
};

/**
 * Fork where that works. Not by asking forkSupport() before: that reads what the fork finds out on its
 * way, page by page of the memory, and takes as long as the fork. A refusal has changed nothing.
 */
const auto: Engine = (settings, files, inheritance) => {
  // Those of a loader's, such as tsx's, the new image starts anew.
  if (inheritance.children.length > 0) return exec(settings, files, inheritance);
  try {
    return fork(settings, files, inheritance);
  } catch (error) {
    const { code, syscall } = error as NodeJS.ErrnoException;
    // ENOENT: there is no /proc.
    if (syscall !== 'fork' || (code !== 'ENOTSUP' && code !== 'ENOENT')) throw error;
    trace?.('launcher', `takes the exec engine: ${(error as Error).message}`);
    return exec(settings, files, inheritance);
  }
};

/** By the option that asks for it. */
export const engines: Readonly<Record<'auto' | 'fork' | 'exec', Engine>> = { auto, fork, exec };
