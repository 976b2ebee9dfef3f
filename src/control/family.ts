// What a daemon has started: it ends with it. Nothing of doublefork stays behind a daemon that could
// have kept a list, so that is read off the processes that there are, again and again.

import {
  allProcesses,
  commandLineOf,
  controlGroupsOf,
  descendantsOf,
  type ProcessEntry,
  processEntry,
  readProc,
} from '../posix/processes.js';
import { FAMILY_VARIABLE, GROUP_PREFIX } from './folders.js';
import { type DaemonRecord, readRecord } from './record.js';
import type { Target } from './target.js';

/** A process that a daemon has started, or that what it has started has. */
export interface Relative {
  pid: number;
  /** Clock ticks after the boot. */
  startTime: number;
  /** Its program and arguments. */
  command: string;
}

/**
 * The processes that belong to a daemon, the daemon itself left out:
 *
 * - its descendants, and theirs;
 * - whoever is in a session that one of these leads;
 * - of a daemon that was started under a name, whoever is in its session, which was made for it;
 * - of such a one that has a control group of its own, which it was not started in: whoever is in there, or
 *   below, and descends from it, as the environment tells. So also in those that a supervisor has made for its
 *   workers, and left when it was killed.
 *
 * What has left by a double fork and a setsid(2) of its own before the first look is a daemon itself,
 * and is not found elsewhere. Nor is anything where there is no /proc.
 */
export class Family {
  readonly #daemon: number | undefined;
  /** Whether a process is one of the family by its session, or by its control group. */
  readonly #isInSession: (entry: ProcessEntry) => boolean;
  readonly #isInGroup: (entry: ProcessEntry) => boolean;
  /** Those that were seen, by pid: once its parent has ended nobody tells whose a process was. */
  readonly #seen = new Map<number, Relative>();

  /** @param daemon undefined: it has ended, and may have left somebody */
  constructor(target: Target, daemon: number | undefined) {
    this.#daemon = daemon;
    const record = 'name' in target ? readRecord(target.name) : undefined;
    const isUsable = record?.isOfThisBoot === true;
    this.#isInSession = isUsable ? sessionOf(record, daemon) : () => false;
    this.#isInGroup = isUsable ? groupOf(record, daemon) : () => false;
    this.look();
  }

  /** Those that are alive. The command that asks is not one of them, although the daemon may have started it. */
  look(): Relative[] {
    const processes = allProcesses();
    const byPid = new Map(processes.map((entry) => [entry.pid, entry]));
    const own = ownLine(byPid);
    const isSeen = ({ pid, startTime }: ProcessEntry) =>
      this.#seen.get(pid)?.startTime === startTime;
    const roots = processes.filter((entry) => entry.pid === this.#daemon || isSeen(entry));
    const below = roots.flatMap(({ pid }) => descendantsOf(pid, processes));
    const leaders = new Set(
      [...roots, ...below].filter(({ pid, session }) => pid === session).map(({ pid }) => pid),
    );
    const inSession = processes.filter(
      (entry) => leaders.has(entry.session) || this.#isInSession(entry) || this.#isInGroup(entry),
    );
    for (const { pid, startTime } of [...below, ...inSession]) {
      if (own.has(pid) || pid === this.#daemon || isSeen(byPid.get(pid)!)) continue;
      const command = commandLineOf(pid);
      // It has ended since the list was made; or it is becoming another program, and has no words yet.
      if (command === undefined && !isThere(pid, startTime)) continue;
      this.#seen.set(pid, { pid, startTime, command: command ?? 'a process' });
    }
    return [...this.#seen.values()].filter(({ pid, startTime }) => {
      const entry = byPid.get(pid);
      return entry?.startTime === startTime && isRunning(entry);
    });
  }
}

function isThere(pid: number, startTime: number): boolean {
  const entry = processEntry(pid);
  return entry?.startTime === startTime && isRunning(entry);
}

const isRunning = ({ state }: ProcessEntry): boolean => state !== 'Z' && state !== 'X';

/** This process, and those that it descends from. */
function ownLine(processes: ReadonlyMap<number, ProcessEntry>): Set<number> {
  const line = new Set<number>();
  for (let pid = process.pid; pid > 1 && !line.has(pid); pid = processes.get(pid)?.ppid ?? 0) {
    line.add(pid);
  }
  return line;
}

/**
 * While somebody is in a session its number is given to no other. When all have left that may happen;
 * so where the daemon is not in it (any more) those that are must have its mark in their environment.
 */
function sessionOf(
  record: DaemonRecord,
  daemon: number | undefined,
): (entry: ProcessEntry) => boolean {
  if (record.session === undefined) return () => false;
  const isSure = daemon !== undefined && processEntry(daemon)?.session === record.session;
  return ({ pid, session }) =>
    session === record.session && (isSure || isMarked(pid, record.control));
}

function isMarked(pid: number, control: string): boolean {
  const mark = `${FAMILY_VARIABLE}=${control}`;
  return readProc(`/proc/${pid}/environ`)?.split('\0').includes(mark) ?? false;
}

/**
 * A group may be shared with others who came there by themselves, so those that are meant have the
 * daemon's mark as well.
 */
function groupOf(
  { pid: recorded, groups = [], control }: DaemonRecord,
  daemon: number | undefined,
): (entry: ProcessEntry) => boolean {
  const present = daemon === undefined ? [] : (controlGroupsOf(daemon) ?? []);
  // That of the start, and one above it, is others' as well.
  const own = present.filter((group) => !groups.some((each) => isWithin(each, group)));
  const isOfSupervisor = (group: string) => group.includes(`/${GROUP_PREFIX}${recorded}.`);
  return ({ pid }) =>
    (controlGroupsOf(pid) ?? []).some(
      (group) => isOfSupervisor(group) || own.some((each) => isWithin(group, each)),
    ) && isMarked(pid, control);
}

/** `0::/a/b` is within `0::/a`, and everything is within `0::/`. */
function isWithin(group: string, other: string): boolean {
  return group === other || group.startsWith(other.endsWith('/') ? other : `${other}/`);
}
