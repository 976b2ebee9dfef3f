// The exec engine for workers: each is a fresh image of the program, or another program.

import { thisProcess } from '../detach/this-process.js';
import { encodeHandoff, VARIABLE } from '../image/handoff.js';
import type { Image } from '../image/image.js';
import { openDescriptors, wasInherited } from '../image/inherited.js';
import { callsUpTo } from '../image/replay.js';
import { openListeners } from '../listen/listen.js';
import { addon, type ImageRequest } from '../posix/addon.js';
import { close, dup, setCloseOnExec } from '../posix/descriptor.js';
import { posixError } from '../posix/errors.js';
import { openNull } from '../posix/null.js';
import type { WorkerGroup } from './cgroup.js';
import type { WorkerIdentity } from './worker.js';
import type { WorkerPipeWriter } from './worker-pipe.js';

/** A child that was started. */
export interface Spawned {
  pid: number;
  /** Why it could not become the image: it ends with code 127. */
  error: Error | undefined;
}

export class Spawner {
  readonly #image: Image | undefined;
  readonly #program: readonly string[];
  #releasing = true;

  /** @param image this program, or another one and its arguments */
  constructor(image: Image | readonly string[]) {
    this.#image = 'path' in image ? image : undefined;
    this.#program = 'path' in image ? [] : image;
  }

  /** Whether its processes reach supervise(), and say so. */
  get arrives(): boolean {
    return this.#image !== undefined;
  }

  /**
   * Starts a process, which has its own image when this returns. Signals must be blocked.
   * @throws EAGAIN, ENOMEM, EMFILE and the like, with nothing started
   */
  start(
    identity: WorkerIdentity,
    pipe: WorkerPipeWriter,
    group: WorkerGroup | undefined,
    updates?: number,
  ): Spawned {
    const procs = group?.procs ?? -1;
    const spawned =
      this.#image === undefined
        ? startProgram(this.#program, [], procs)
        : this.#startImage(this.#image, identity, pipe.fd!, procs, updates);
    this.#release();
    return spawned;
  }

  #startImage(
    { path, argv, cwd = '' }: Image,
    identity: WorkerIdentity,
    pipe: number,
    procs: number,
    updates: number | undefined,
  ): Spawned {
    const opened: number[] = [];
    // This process has printed what the program prints before the call; but not so for stderr: an
    // exception on the way there is for somebody to see.
    const duplicate = (fd: number) => {
      const copy = dup(fd);
      opened.push(copy);
      setCloseOnExec(copy, true);
      return { fd: copy, created: false };
    };
    try {
      const handoff = encodeHandoff({
        calls: callsUpTo({ call: 'supervise', ...identity }),
        stdio: [duplicate(0), duplicate(1), undefined],
        logger: thisProcess.capture,
        listeners: openListeners(),
        ...(updates === undefined ? {} : { orders: updates }),
      });
      const inherited = openDescriptors().filter(wasInherited);
      const nullFd = openNull();
      opened.push(nullFd);
      return spawn(
        {
          path,
          argv,
          cwd,
          variable: VARIABLE,
          handoff: handoff.text,
          kept: [...inherited.map(({ fd }) => fd), ...handoff.descriptors],
          nullFds: [0, 1],
          nullFd,
          closed: [],
        },
        pipe,
        procs,
      );
    } finally {
      for (const fd of opened) close(fd);
    }
  }

  /**
   * The supervisor's event loop no longer turns. Once there is a worker, workers may open what the loop
   * has open, so it is closed here; except what workers inherit: the next one is to inherit it, too.
   */
  #release(): void {
    if (!this.#releasing) return;
    this.#releasing = false;
    const shared = new Set([
      ...openListeners().map(({ fd }) => fd),
      ...openDescriptors()
        .filter(wasInherited)
        .map(({ fd }) => fd),
    ]);
    const descriptors = new Set(addon.loopHandles().descriptors);
    for (const fd of descriptors) if (fd > 2 && !shared.has(fd)) close(fd);
  }
}

/**
 * Starts another program. It inherits what is not close-on-exec, as from a fork.
 * @param keep descriptors that it has in any case
 * @param procs of the control group that it is to be in
 * @throws the error of fork(2) and of what it needs, with nothing started
 */
export function startProgram(
  argv: readonly string[],
  keep: readonly number[],
  procs = -1,
): Spawned {
  const inherited = openDescriptors().flatMap(({ fd, closeOnExec }) => (closeOnExec ? [] : fd));
  const request = {
    path: argv[0]!,
    argv: [...argv],
    cwd: '',
    variable: VARIABLE,
    handoff: '',
    kept: [...new Set([...inherited, ...keep])],
    nullFds: [],
    nullFd: -1,
    closed: [],
  };
  return spawn(request, -1, procs);
}

/** @throws the error of fork(2) and of what it needs, with nothing started */
export function spawn(request: ImageRequest, pipe: number, procs: number): Spawned {
  const result = addon.spawn(request, pipe, procs);
  if (typeof result === 'number') return { pid: result, error: undefined };
  const [errno, sentence, call, pid] = result;
  const path = call === 'execve' ? request.path : call === 'chdir' ? request.cwd : undefined;
  const error = posixError(errno, call, path, sentence || undefined);
  if (pid <= 0) throw error;
  return { pid, error };
}
