// Starts the processes of workers: forks of the supervisor, or with the exec engine other images.

import { START_VARIABLE } from '../detach/command.js';
import { execInto } from '../detach/exec-into.js';
import { prctlIfKnown } from '../posix/attribute.js';
import { errorText } from '../posix/errors.js';
import { forkProcess } from '../posix/fork.js';
import { runChildHooks } from '../posix/fork-hooks.js';
import { _exit, PR_SET_PDEATHSIG, setpgid } from '../posix/process.js';
import { SIG_SETMASK, sigprocmask } from '../posix/signal.js';
import type { Groups, WorkerGroup } from './cgroup.js';
import { MANAGER_VARIABLES, type ProgramChannel, type ProgramChannels } from './program-channel.js';
import { blockSignals } from './self-pipe.js';
import type { Spawner } from './spawner.js';
import type { WorkerIdentity } from './worker.js';
import {
  type MessageSource,
  openWorkerPipe,
  type WorkerPipeReader,
  type WorkerPipeWriter,
} from './worker-pipe.js';

/** A worker's process, as its supervisor has it. */
export interface StartedProcess {
  kind: 'started';
  pid: number;
  /** What it says, and how: by the pipe of workers, and as another program does. */
  sources: readonly MessageSource[];
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
  channel: ProgramChannel | undefined;
}

/** Another program, that workers run. */
export interface Program {
  /** Its path and its arguments. */
  argv: readonly string[];
  channels: ProgramChannels;
}

export class Starter {
  readonly #spawner: Spawner | undefined;
  readonly #groups: Groups | undefined;
  readonly #program: Program | undefined;

  /**
   * @param spawner the exec engine; undefined: workers are forks
   * @param groups in which each gets one of its own
   * @param program what a worker becomes; undefined: it goes on as it is
   */
  constructor(
    spawner: Spawner | undefined,
    groups: Groups | undefined,
    program: Program | undefined,
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
      parts = openParts(this.#groups, this.#program?.channels);
      made =
        this.#spawner === undefined
          ? { pid: forkProcess({ parent: 'main-thread', recordLocks: 'lose' }), error: undefined }
          : startImage(this.#spawner, identity, parts);
    } catch (error) {
      if (parts !== undefined) discard(parts);
      unblockSignals();
      throw error;
    }
    if (made.pid !== 0) {
      keepInSupervisor(made.pid, parts);
      unblockSignals();
      const arriving = made.error === undefined && this.#spawner?.arrives === true;
      const sources = [parts.reader, ...(parts.channel?.sources ?? [])];
      return { kind: 'started', ...made, sources, group: parts.group, arriving };
    }
    try {
      becomeWorker(supervisor, parts);
      leaveSupervisor();
      unblockSignals();
      if (this.#program !== undefined) runProgram(this.#program, parts.channel!);
      runChildHooks({ moved: false });
    } catch (error) {
      parts.writer.error(errorText(error));
      _exit(127);
    }
    return { kind: 'forked', identity, pipe: parts.writer };
  }
}

function openParts(groups: Groups | undefined, channels: ProgramChannels | undefined): Parts {
  const parts: Parts = { ...openWorkerPipe(), group: undefined, channel: undefined };
  try {
    parts.channel = channels?.add();
    parts.group = groups?.add();
    return parts;
  } catch (error) {
    discard(parts);
    throw error;
  }
}

function discard({ reader, writer, group, channel }: Parts): void {
  channel?.[Symbol.dispose]();
  group?.close();
  group?.remove();
  reader[Symbol.dispose]();
  writer.close();
}

function keepInSupervisor(pid: number, { writer, group, channel }: Parts): void {
  writer.close();
  channel?.release();
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
  prctlIfKnown(PR_SET_PDEATHSIG, 9);
  // It may have ended before that.
  if (process.ppid !== parent) _exit(1);
}

function runProgram({ argv }: Program, channel: ProgramChannel): never {
  sigprocmask(SIG_SETMASK, []);
  channel.attach();
  // A program that calls daemonize() itself stays where its supervisor sees it.
  const env = { ...environmentFor(channel), [START_VARIABLE]: String(process.pid) };
  execInto({ path: argv[0]!, argv }, env);
}

/** A service manager's words are for this process alone. */
function environmentFor({ env }: ProgramChannel): Record<string, string | undefined> {
  const own = { ...process.env };
  for (const name of MANAGER_VARIABLES) delete own[name];
  return { ...own, ...env };
}

/** The new process has the environment of this one, which no other thread changes meanwhile. */
function startImage(
  spawner: Spawner,
  identity: WorkerIdentity,
  { writer, group, channel }: Parts,
): { pid: number; error: Error | undefined } {
  if (channel === undefined) return spawner.start(identity, writer, group);
  const before = MANAGER_VARIABLES.map((name) => [name, process.env[name]] as const);
  const set = (name: string, value: string | undefined) => {
    if (value === undefined) delete process.env[name];
    else process.env[name] = value;
  };
  try {
    for (const name of MANAGER_VARIABLES) set(name, channel.env[name]);
    return spawner.start(identity, writer, group);
  } finally {
    for (const [name, value] of before) set(name, value);
  }
}
