// Starts the processes of workers: forks of the supervisor, or with the exec engine other images.

import { execInto } from '../detach/exec-into.js';
import { errorText } from '../posix/errors.js';
import { forkProcess } from '../posix/fork.js';
import { runChildHooks } from '../posix/fork-hooks.js';
import { _exit, PR_SET_PDEATHSIG, prctl, setpgid } from '../posix/process.js';
import { SIG_SETMASK, sigprocmask } from '../posix/signal.js';
import type { Groups, WorkerGroup } from './cgroup.js';
import { blockSignals } from './self-pipe.js';
import type { Spawner } from './spawner.js';
import type { WorkerIdentity } from './worker.js';
import { openWorkerPipe, type WorkerPipeReader, type WorkerPipeWriter } from './worker-pipe.js';

/** A worker's process, as its supervisor has it. */
export interface StartedProcess {
  kind: 'started';
  pid: number;
  pipe: WorkerPipeReader;
  group: WorkerGroup | undefined;
  /** Whether it still has to reach supervise(), and says so then. */
  arriving: boolean;
  /** Why it could not execute its program: it ends with code 127. */
  error: Error | undefined;
}

/** A worker's process, as that has itself. */
export interface ForkedWorker {
  kind: 'forked';
  identity: WorkerIdentity;
  pipe: WorkerPipeWriter;
}

/** What a worker's process is made with. */
interface Parts {
  reader: WorkerPipeReader;
  writer: WorkerPipeWriter;
  group: WorkerGroup | undefined;
}

export class Starter {
  readonly #spawner: Spawner | undefined;
  readonly #groups: Groups | undefined;
  readonly #program: readonly string[] | undefined;

  /**
   * @param spawner the exec engine; undefined: workers are forks
   * @param groups in which each gets one of its own
   * @param program what a fork becomes, with its arguments; undefined: it goes on as it is
   */
  constructor(
    spawner: Spawner | undefined,
    groups: Groups | undefined,
    program: readonly string[] | undefined,
  ) {
    this.#spawner = spawner;
    this.#groups = groups;
    this.#program = program;
  }

  /**
   * Starts a process. Returns in a fork, too.
   * @param leaveSupervisor in a fork, undoes what makes a supervisor
   * @throws the error of fork(2) and of what it needs, with nothing started
   */
  start(identity: WorkerIdentity, leaveSupervisor: () => void): StartedProcess | ForkedWorker {
    const supervisor = process.pid;
    // Until the child has its own handlers, no signal may reach ours in it.
    const unblockSignals = blockSignals();
    let parts: Parts | undefined;
    let made: { pid: number; error: Error | undefined };
    try {
      parts = openParts(this.#groups);
      made =
        this.#spawner === undefined
          ? { pid: forkProcess({ parent: 'main-thread', recordLocks: 'lose' }), error: undefined }
          : this.#spawner.start(identity, parts.writer, parts.group);
    } catch (error) {
      if (parts !== undefined) discard(parts);
      unblockSignals();
      throw error;
    }
    if (made.pid !== 0) {
      keepInSupervisor(made.pid, parts);
      unblockSignals();
      const arriving = made.error === undefined && this.#spawner?.arrives === true;
      return { kind: 'started', ...made, pipe: parts.reader, group: parts.group, arriving };
    }
    try {
      becomeWorker(supervisor, parts);
      leaveSupervisor();
      unblockSignals();
      if (this.#program !== undefined) runProgram(this.#program);
      runChildHooks({ moved: false });
    } catch (error) {
      parts.writer.error(errorText(error));
      _exit(127);
    }
    return { kind: 'forked', identity, pipe: parts.writer };
  }
}

function openParts(groups: Groups | undefined): Parts {
  const { reader, writer } = openWorkerPipe();
  try {
    return { reader, writer, group: groups?.add() };
  } catch (error) {
    discard({ reader, writer, group: undefined });
    throw error;
  }
}

function discard({ reader, writer, group }: Parts): void {
  group?.close();
  group?.remove();
  reader[Symbol.dispose]();
  writer.close();
}

function keepInSupervisor(pid: number, { writer, group }: Parts): void {
  writer.close();
  group?.close();
  giveGroup(pid);
}

/** Has a child lead a process group. */
export function giveGroup(pid: number): void {
  try {
    // Both do it: whoever comes first, nobody sees it in the wrong group.
    setpgid(pid, pid);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    // It has exec'ed another program already, or ended.
    if (code !== 'EACCES' && code !== 'ESRCH') throw error;
  }
}

/** In the fork, signals blocked. */
function becomeWorker(supervisor: number, { reader, group }: Parts): void {
  setpgid(0, 0);
  endWith(supervisor);
  group?.enter();
  reader[Symbol.dispose]();
}

/** A process must not outlive its parent, however that ends. */
export function endWith(parent: number): void {
  try {
    prctl(PR_SET_PDEATHSIG, 9);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOSYS') throw error;
  }
  // It may have ended before that.
  if (process.ppid !== parent) _exit(1);
}

function runProgram(argv: readonly string[]): never {
  sigprocmask(SIG_SETMASK, []);
  execInto({ path: argv[0]!, argv }, process.env);
}
