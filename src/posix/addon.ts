// The addon, typed. Each call returns its result, or -errno; the functions beside this file turn
// that into Node's errors.

import { missing, unloadable } from './missing.js';
import { here, nativeFile } from './parts.js';

/** `[-errno, sentence, function]`: why the fork engine refused, with nothing changed. */
export type Refusal = [errno: number, sentence: string, call: string];

/** An open descriptor and what it refers to, as /proc names it: a path, or such as 'pipe:[123]'. */
export interface OpenDescriptor {
  fd: number;
  closeOnExec: boolean;
  /** Whether it is a terminal that the program was started on. */
  terminal: boolean;
  object: string;
}

/** A process that the exec engine makes: native/exec/exec.h. */
export interface ImageRequest {
  path: string;
  argv: string[];
  /** Where it starts; '': here. */
  cwd: string;
  /** The name of the handoff's variable, and what of its value is known already; '': there is none. */
  variable: string;
  handoff: string;
  kept: number[];
  /** Those of fd 0-2 that lead to `nullFd` at first, a descriptor of /dev/null. */
  nullFds: number[];
  nullFd: number;
  closed: number[];
}

export interface LaunchRequest extends ImageRequest {
  confinement: ConfinementRequest | undefined;
  /** Closed in the launcher once the new image runs. */
  closeInLauncher: number[];
}

export type SocketConstant =
  | 'AF_UNIX'
  | 'AF_INET'
  | 'AF_INET6'
  | 'SOCK_STREAM'
  | 'SOCK_DGRAM'
  | 'SOCK_SEQPACKET'
  | 'SOL_SOCKET'
  | 'SO_REUSEADDR'
  | 'SO_REUSEPORT'
  | 'SO_ACCEPTCONN'
  | 'SO_TYPE'
  | 'IPPROTO_IPV6'
  | 'IPV6_V6ONLY'
  | 'MSG_DONTWAIT';

/** Who the new process is, and what it may do: native/confine/confinement.h. */
export interface ConfinementRequest {
  /** -1 for soft and hard: no limit. */
  limits: [resource: number, soft: number, hard: number][];
  /** Empty: unchanged. */
  oomScoreAdj: string;
  chroot: string;
  /** null: unchanged. */
  nice: number | null;
  uid: number | null;
  gid: number | null;
  groups: number[] | null;
  /** The numbers of those that are kept. */
  capabilities: number[] | null;
  noNewPrivileges: boolean;
}

/** An entry of the user database. */
export interface User {
  name: string;
  uid: number;
  gid: number;
  /** The home directory. */
  dir: string;
  shell: string;
}

/** An entry of the group database. */
export interface Group {
  name: string;
  gid: number;
}

export interface Addon {
  getpid(): number;
  setsid(): number;
  getsid(pid: number): number;
  getpgid(pid: number): number;
  setpgid(pid: number, pgid: number): number;
  umask(mask: number): number;
  chdir(path: string): number;
  kill(pid: number, signal: number): number;
  waitpid(pid: number, options: number): [pid: number, status: number];
  peekEnded(): number;
  execve(path: string, argv: string[], env: string[]): number;
  _exit(code: number): never;
  prctl?(option: number, a: number, b: number, c: number, d: number): number;
  pidfdOpen?(pid: number, flags: number): number;
  pidfdSendSignal?(pidfd: number, signal: number): number;
  open(path: string, flags: number, mode: number): number;
  close(fd: number): number;
  dup(fd: number): number;
  dup2(from: number, to: number): number;
  dup3(from: number, to: number, flags: number): number;
  fcntl(fd: number, command: number, argument: number): number;
  closeRange(first: number, last: number, flags: number): number;
  isatty(fd: number): number;
  ttyname(fd: number): number | string;
  pipe(flags: number): number | [number, number];
  poll(fds: number[], events: number[], timeout: number): number | number[];
  flock(fd: number, operation: number): number;
  fcntlLock(
    fd: number,
    command: number,
    type: number,
    start: number,
    length: number,
  ): number | [type: number, start: number, length: number, pid: number];
  lockedFiles(): { fd: number; path: string }[];
  watch(
    fd: number,
    callback: (status: number) => void,
    writable: boolean,
    repeats: boolean,
  ): number | (() => void);
  sigprocmask(how: number, signals: number[]): number | number[];
  disposition(signal: number): number;
  setDisposition(signal: number, ignored: number): number;
  socket(domain: number, type: number, protocol: number): number;
  bind(fd: number, domain: number, name: string, port: number): number;
  connect(fd: number, domain: number, name: string, port: number): number;
  listen(fd: number, backlog: number): number;
  accept(fd: number): number;
  getsockname(fd: number): number | [domain: number, name: string, port: number];
  setsockopt(fd: number, level: number, name: number, value: number): number;
  getsockopt(fd: number, level: number, name: number): number;
  peerCredentials(fd: number): number | [pid: number, uid: number, gid: number];
  socketpair(domain: number, type: number): number | [number, number];
  sendmsg(fd: number, data: Uint8Array, fds: number[], flags: number): number;
  sendmsg(
    fd: number,
    data: Uint8Array,
    fds: number[],
    flags: number,
    domain: number,
    name: string,
    port: number,
  ): number;
  recvmsg(fd: number, into: Uint8Array, mostFds: number, flags: number): number | number[];
  socketConstants: Readonly<Record<SocketConstant, number>>;
  openInbox(signals: number[]): number;
  takeInbox(): number[];
  closeInbox(): void;
  fork(
    parent: number,
    timeoutMs: number,
    heldThreads: number,
    makeHolder: boolean,
  ): number | Refusal;
  /** The process that holds the memory of the child that fork() has made last; 0: there is none. */
  memoryHolder(): number;
  /** Takes page faults now that the program would take later. */
  prefault(sibling: number): void;
  /** Lets those threads go on that fork() has held back in this process; nothing if it has not. */
  releaseThreads(): void;
  /**
   * Stops what the event loop's handles do; descriptors of sockets above 2 become copies of `inert`,
   * terminals of `terminal` unless it is -1.
   */
  silenceLoop(inert: number, terminal: number): void;
  detach(
    quiesceTimeoutMs: number,
    readyTimeoutMs: number,
    confinement: ConfinementRequest | undefined,
    waits: boolean,
  ): number | Refusal;
  confine(confinement: ConfinementRequest, quiesceTimeoutMs: number): undefined | Refusal;
  forkSupport(): string;
  openDescriptors(): OpenDescriptor[] | number;
  ignoredSignals(): number[];
  hasAddons(): boolean;
  childProcesses(): { pid: number; name: string; started: number; worker: boolean }[];
  launch(request: LaunchRequest, readyTimeoutMs: number): Refusal;
  /**
   * `procs`: the file of a control group to enter; -1: none. The id of a refused one is above 0 if there
   * is a process, which has ended.
   */
  spawn(request: ImageRequest, readyFd: number, procs: number): number | [...Refusal, pid: number];
  spawnOrphan(request: ImageRequest, readyFd: number): number | Refusal;
  setresuid(real: number, effective: number, saved: number): number;
  setresgid(real: number, effective: number, saved: number): number;
  setgroups(groups: number[]): number;
  initgroups(user: string, group: number): number;
  getresuid(): number[] | number;
  getresgid(): number[] | number;
  getgroups(): number[] | number;
  chroot(path: string): number;
  getpwnam(user: string | number): User | null | number;
  getgrnam(group: string | number): Group | null | number;
  getgrouplist(user: string, group: number): number[];
  getrlimit(resource: number): [soft: number, hard: number] | number;
  setrlimit(resource: number, soft: number, hard: number): number;
  nice(increment: number): [value: number] | number;
  getxattr?(path: string, name: string): string | number;
  /** The numbers of the RLIMIT_* that this system has. */
  resources: Readonly<Record<string, number>>;
  loopHandles(): { children: number[]; descriptors: number[]; terminal: boolean };
}

function load(): Addon {
  const file = nativeFile('doublefork.node');
  if (file === undefined) return compiledElsewhere();
  // Not require(): to start that takes longer than a double fork.
  const module = { exports: {} };
  try {
    process.dlopen(module, file);
  } catch (error) {
    throw unloadable(file, error as Error);
  }
  return module.exports as Addon;
}

/** `bindings` knows all the places where builds for a debugger and other tools than node-gyp leave it. */
function compiledElsewhere(): Addon {
  // Not imported: it takes longer to load than the addon, and bundlers would follow.
  const { createRequire } = process.getBuiltinModule('node:module');
  try {
    return createRequire(`${here}/`)('bindings')('doublefork');
  } catch (error) {
    // It was found, and says why it does not load.
    if ((error as NodeJS.ErrnoException).code === 'ERR_DLOPEN_FAILED') throw error;
    throw missing();
  }
}

export const addon = load();
