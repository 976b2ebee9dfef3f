// A worker and whatever it has started: ended together.

import { prctlIfKnown } from '../posix/attribute.js';
import { waitUntil } from '../posix/pause.js';
import {
  kill,
  PR_SET_CHILD_SUBREAPER,
  peekEnded,
  type WaitResult,
  waitpid,
} from '../posix/process.js';
import { descendantsOf, type ProcessEntry, startTimeOf } from '../posix/processes.js';
import type { WorkerGroup } from './cgroup.js';
import { ownChildren } from './proc.js';

/** How long the end of a worker waits for what was killed with it. In ms. */
const CLEARING = 1000;

/** How a worker has ended. */
export interface EndedWorker extends WaitResult {
  /** Whether the kernel has killed in its group for want of memory; undefined: the group does not tell. */
  ranOut: boolean | undefined;
}

/**
 * The processes below this one. Each worker leads a process group of its own; what leaves that group
 * is found by descent, or is in the worker's control group if it has one. Orphans become children of
 * this process, which reaps them.
 */
export class Families {
  /** Workers, and what of each has been seen to descend from it. */
  readonly #workers = new Map<number, ProcessEntry[]>();
  readonly #groups = new Map<number, WorkerGroup>();
  /** Groups of workers that are gone, in which somebody may be about to end. */
  readonly #left = new Set<WorkerGroup>();
  /** Children that are neither workers nor what workers have started: spares, and holders of memory. */
  readonly #attendants = new Map<number, WorkerGroup | undefined>();
  /** Children from before, such as those of a shell that has exec'ed this program. */
  readonly #strangers: ReadonlySet<number> = new Set(children());

  constructor() {
    adoptOrphans();
  }

  /** A worker; it may have been an attendant. */
  add(worker: number, group: WorkerGroup | undefined): void {
    this.#attendants.delete(worker);
    this.#workers.set(worker, []);
    if (group !== undefined) this.#groups.set(worker, group);
  }

  /** A child that is no worker, and no orphan of one. */
  attend(pid: number, group?: WorkerGroup): void {
    this.#attendants.set(pid, group);
  }

  /** Whether it is such a child, and has not been reaped. */
  attends(pid: number): boolean {
    return this.#attendants.has(pid);
  }

  /** Remembers what descends from a worker that is about to end: later nobody can tell. */
  note(worker: number): void {
    if (this.#workers.has(worker)) this.#workers.set(worker, descendantsOf(worker));
  }

  /** SIGKILL for a worker and all that descends from it. */
  kill(worker: number): void {
    this.note(worker);
    killQuietly(worker);
    this.#killRest(worker);
  }

  /** Kills what is left of a worker that has ended. Until it is reaped its group is its own. */
  #killRest(worker: number): void {
    killQuietly(-worker);
    this.#groups.get(worker)?.kill();
    for (const { pid, startTime } of this.#workers.get(worker) ?? []) {
      if (startTimeOf(pid) === startTime) killQuietly(pid);
    }
  }

  /** The children that have ended, reaped; of them the workers. */
  *reap(): Generator<EndedWorker> {
    for (let pid = peekEnded(); pid > 0; pid = peekEnded()) {
      const isWorker = this.#workers.has(pid);
      if (isWorker) this.#killRest(pid);
      const result = waitpid(pid);
      const ranOut = this.#groups.get(pid)?.ranOut();
      this.#forget(pid);
      if (!isWorker) continue;
      // What has left the group of the only worker there was can be nobody else's; beside the next
      // one it could.
      if (this.#workers.size === 0) this.#endOrphans();
      yield { ...result, ranOut };
    }
    this.#removeLeft();
  }

  #endOrphans(): void {
    const areGone = () => {
      this.#reapEnded();
      return !this.#killOrphans((pid) => this.#attendants.has(pid));
    };
    waitUntil(areGone, CLEARING, 1);
  }

  /** Reaps all that have ended. */
  #reapEnded(): void {
    for (let pid = peekEnded(); pid > 0; pid = peekEnded()) {
      waitpid(pid);
      this.#forget(pid);
    }
  }

  /** One that was reaped. */
  #forget(pid: number): void {
    const group = this.#groups.get(pid) ?? this.#attendants.get(pid);
    if (group !== undefined) this.#left.add(group);
    this.#groups.delete(pid);
    this.#workers.delete(pid);
    this.#attendants.delete(pid);
  }

  #removeLeft(): void {
    for (const group of this.#left) if (group.remove()) this.#left.delete(group);
  }

  /**
   * Not what they have started: that may become an orphan at any moment, and does when they die.
   * @returns whether there was one; until there is none, nobody knows what is to come. Not counted are
   * those whom we may not end, as they would be waited for in vain
   */
  #killOrphans(isSpared: (pid: number) => boolean = () => false): boolean {
    const orphans = children().filter(
      (pid) => !this.#workers.has(pid) && !this.#strangers.has(pid) && !isSpared(pid),
    );
    return orphans.filter((pid) => killQuietly(pid)).length > 0;
  }

  /** Ends everything that is left. @returns whether there was something; call it until there is not */
  clear(): boolean {
    for (const worker of this.#workers.keys()) this.kill(worker);
    const left = this.#killOrphans();
    this.#reapEnded();
    this.#removeLeft();
    return left || this.#workers.size > 0 || this.#left.size > 0;
  }
}

function children(): number[] {
  return (
    ownChildren() ??
    descendantsOf(process.pid).flatMap(({ pid, ppid }) => (ppid === process.pid ? pid : []))
  );
}

/** Without it orphans go to init, which reaps them, but nobody ends them. */
function adoptOrphans(): void {
  prctlIfKnown(PR_SET_CHILD_SUBREAPER, 1);
}

/**
 * Sends a signal to one that may be gone by now: reaped, and its end not yet decided upon.
 * @returns whether it was sent
 */
export function killQuietly(pid: number, signal: NodeJS.Signals = 'SIGKILL'): boolean {
  try {
    kill(pid, signal);
    return true;
  } catch (error) {
    // It is gone; or it runs as another user, whom we may not end.
    const { code } = error as NodeJS.ErrnoException;
    if (code !== 'ESRCH' && code !== 'EPERM') throw error;
    return false;
  }
}
