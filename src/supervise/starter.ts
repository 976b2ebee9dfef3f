// Starts the processes of workers: forks of the supervisor, or with the exec engine other images.

import { readSync, writeSync } from '../builtin/fs.js';
import { START_VARIABLE } from '../detach/command.js';
import { execInto } from '../detach/exec-into.js';
import { thisProcess } from '../detach/this-process.js';
import { addon } from '../posix/addon.js';
import { prctlIfKnown } from '../posix/attribute.js';
import { blockSignals } from '../posix/block-signals.js';
import { close, pipe } from '../posix/descriptor.js';
import { errorText } from '../posix/errors.js';
import { forkProcess } from '../posix/fork.js';
import { runChildHooks } from '../posix/fork-hooks.js';
import { _exit, PR_SET_PDEATHSIG, setpgid } from '../posix/process.js';
import { SIG_SETMASK, sigprocmask } from '../posix/signal.js';
import type { Groups, WorkerGroup } from './cgroup.js';
import { MANAGER_VARIABLES, type ProgramChannel, type ProgramChannels } from './program-channel.js';
import type { Spawner } from './spawner.js';
import { type Update, UpdateWriter } from './updates.js';
import type { WorkerIdentity } from './worker.js';
import { WorkerOutput } from './worker-output.js';
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
  /** Where it hears of updates. */
  updates: UpdateWriter | undefined;
  group: WorkerGroup | undefined;
  /** Another child, which holds its memory: see native/fork/holder.h. */
  holder: number | undefined;
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
  /** Where it hears of updates. */
  updates: number | undefined;
}

/** A worker's process that waits for its name. */
export interface SpareProcess extends Omit<StartedProcess, 'kind'> {
  kind: 'spare';
  /** Where it waits. */
  name: number;
  /** What it will print; the logger reads it once it has a name. */
  output: WorkerOutput | undefined;
}

/** What a worker's process is made with. */
interface Parts {
  reader: WorkerPipeReader;
  writer: WorkerPipeWriter;
  group: WorkerGroup | undefined;
  channel: ProgramChannel | undefined;
  updates: { reader: number; writer: UpdateWriter } | undefined;
}

/** Another program, that workers run. */
export interface Program {
  /** Its path and its arguments. */
  argv: readonly string[];
  channels: ProgramChannels;
}

interface Made extends Pick<StartedProcess, 'pid' | 'holder' | 'error'> {}

export class Starter {
  readonly #spawner: Spawner | undefined;
  readonly #groups: Groups | undefined;
  readonly #program: Program | undefined;
  readonly #inForce: (() => readonly Update[]) | undefined;

  /**
   * @param spawner the exec engine; undefined: workers are forks
   * @param groups in which each gets one of its own
   * @param program what a worker becomes; undefined: it goes on as it is
   * @param inForce what workers hear updates of; undefined: of nothing
   */
  constructor(
    spawner: Spawner | undefined,
    groups: Groups | undefined,
    program: Program | undefined,
    inForce: (() => readonly Update[]) | undefined,
  ) {
    this.#spawner = spawner;
    this.#groups = groups;
    this.#program = program;
    this.#inForce = inForce;
  }

  /** Whether its processes are forks, which alone can be made before they have a name. */
  get forks(): boolean {
    return this.#spawner === undefined;
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
    let output: WorkerOutput | undefined;
    let made: Made;
    try {
      parts = this.#openParts();
      output = thisProcess.capture && WorkerOutput.enter(thisProcess.capture);
      // Before there is a process that could be waited for: a short text is in the pipe then.
      if (this.#spawner !== undefined) parts.updates?.writer.begin(this.#inForce?.() ?? []);
      made =
        this.#spawner === undefined
          ? this.#fork('none')
          : { ...startImage(this.#spawner, identity, parts), holder: undefined };
    } catch (error) {
      if (parts !== undefined) discard(parts);
      output?.leave();
      output?.discard();
      unblockSignals();
      throw error;
    }
    if (made.pid !== 0) {
      output?.leave();
      output?.attach(identity, made.pid);
      keepInSupervisor(made.pid, parts);
      unblockSignals();
      const arriving = made.error === undefined && this.#spawner?.arrives === true;
      return { kind: 'started', ...made, ...sourcesOf(parts), arriving };
    }
    return this.#live(parts, () => {
      becomeWorker(supervisor, parts);
      output?.keep();
      output?.discard();
      leaveSupervisor();
      unblockSignals();
      return identity;
    });
  }

  /**
   * Forks a process ahead, of which nothing runs before it is given a name: its other threads are held,
   * and signals are blocked. Returns in that when it has one.
   * @param sibling a worker that shows what one writes to; 0: there is none
   * @param leaveSupervisor see {@link start}
   * @throws as {@link start} does
   */
  startSpare(sibling: number, leaveSupervisor: () => void): SpareProcess | ForkedWorker {
    rehearse();
    const supervisor = process.pid;
    const unblockSignals = blockSignals();
    let parts: Parts | undefined;
    let name: [read: number, write: number] | undefined;
    let output: WorkerOutput | undefined;
    let made: Made;
    try {
      name = pipe();
      parts = this.#openParts();
      output = thisProcess.capture && WorkerOutput.enter(thisProcess.capture);
      made = this.#fork('for-spare');
    } catch (error) {
      if (parts !== undefined) discard(parts);
      output?.leave();
      output?.discard();
      for (const fd of name ?? []) close(fd);
      unblockSignals();
      throw error;
    }
    const [read, write] = name;
    if (made.pid !== 0) {
      output?.leave();
      close(read);
      keepInSupervisor(made.pid, parts);
      unblockSignals();
      return { kind: 'spare', ...made, ...sourcesOf(parts), arriving: false, name: write, output };
    }
    return this.#live(parts, () => {
      close(write);
      output?.keep();
      output?.discard();
      becomeWorker(supervisor, parts);
      leaveSupervisor();
      addon.prefault(sibling);
      const identity = awaitName(read);
      unblockSignals();
      addon.releaseThreads();
      return identity;
    });
  }

  #fork(heldThreads: 'none' | 'for-spare'): Made {
    const pid = forkProcess({
      parent: 'main-thread',
      recordLocks: 'lose',
      heldThreads,
      // What becomes another program at once has no memory that anybody would wait for.
      memoryHolder: this.#program === undefined,
    });
    return { pid, holder: addon.memoryHolder() || undefined, error: undefined };
  }

  #openParts(): Parts {
    return openParts(this.#groups, this.#program?.channels, this.#inForce !== undefined);
  }

  /** In the fork. */
  #live({ writer, channel, updates }: Parts, become: () => WorkerIdentity): ForkedWorker {
    try {
      const identity = become();
      if (this.#program !== undefined) runProgram(this.#program, channel!);
      runChildHooks({ moved: false });
      return { kind: 'forked', identity, pipe: writer, updates: updates?.reader };
    } catch (error) {
      writer.error(errorText(error));
      return _exit(127);
    }
  }
}

let rehearsed = false;

/**
 * Does once, without effect, what a worker does that dies of an exception: to compile that, and to load
 * what it needs, takes a worker as long as the rest of its end.
 */
function rehearse(): void {
  if (rehearsed) return;
  rehearsed = true;
  JSON.stringify(errorText(new Error('none')));
}

function sourcesOf({
  reader,
  channel,
  group,
  updates,
}: Parts): Pick<StartedProcess, 'sources' | 'group' | 'updates'> {
  return { sources: [reader, ...(channel?.sources ?? [])], group, updates: updates?.writer };
}

/** @returns it as a worker, or undefined if it has ended */
export function nameSpare(
  { name, output, ...spare }: SpareProcess,
  identity: WorkerIdentity,
): StartedProcess | undefined {
  try {
    // In one piece, as it is short: see pipe(7).
    writeSync(name, JSON.stringify(identity));
    output?.attach(identity, spare.pid);
    return { ...spare, kind: 'started' };
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EPIPE') throw error;
    output?.discard();
    return undefined;
  } finally {
    close(name);
  }
}

/** In a spare: waits until it is named, or nobody is left who could. */
function awaitName(fd: number): WorkerIdentity {
  const buffer = Buffer.alloc(256);
  const size = readSync(fd, buffer);
  if (size === 0) _exit(0);
  close(fd);
  return JSON.parse(buffer.toString('latin1', 0, size)) as WorkerIdentity;
}

function openParts(
  groups: Groups | undefined,
  channels: ProgramChannels | undefined,
  hears: boolean,
): Parts {
  const parts: Parts = {
    ...openWorkerPipe(),
    group: undefined,
    channel: undefined,
    updates: undefined,
  };
  try {
    if (hears) {
      const [reader, writer] = pipe();
      parts.updates = { reader, writer: new UpdateWriter(writer) };
    }
    parts.channel = channels?.add();
    parts.group = groups?.add();
    return parts;
  } catch (error) {
    discard(parts);
    throw error;
  }
}

function discard({ reader, writer, group, channel, updates }: Parts): void {
  if (updates !== undefined) close(updates.reader);
  updates?.writer.close();
  channel?.[Symbol.dispose]();
  group?.close();
  group?.remove();
  reader[Symbol.dispose]();
  writer.close();
}

function keepInSupervisor(pid: number, { writer, group, channel, updates }: Parts): void {
  writer.close();
  if (updates !== undefined) close(updates.reader);
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
function becomeWorker(supervisor: number, { reader, group, updates }: Parts): void {
  updates?.writer.close();
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
  { writer, group, channel, updates }: Parts,
): { pid: number; error: Error | undefined } {
  if (channel === undefined) return spawner.start(identity, writer, group, updates?.reader);
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
