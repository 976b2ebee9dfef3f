// Which service manager, or init of a container, has started this process and watches it. What such a
// manager has started itself must not leave: the manager would see it end, and start it again.
//
// What is looked for is a sign that means this process alone. Most variables do not: whatever the service
// starts inherits them, a shell for instance, from which somebody starts a daemon.

import { readProc } from '../posix/processes.js';
import { isNotifySocketOurs, takenVariables } from '../systemd/environment.js';

/** What of the process tells. */
export interface ManagerFacts {
  pid: number;
  ppid: number;
  env: Readonly<Record<string, string | undefined>>;
  /** The name of the parent, as the kernel has it: its first 15 bytes. '': it is not known. */
  parent: string;
  /** Of the parent; undefined: it is not known. */
  grandparent?: { pid: number; name: string } | undefined;
}

/** Who has been recognized, and by what. */
export interface ServiceManagerSign {
  /** `'systemd'`, `'s6'`, `'runit'`, ... */
  name: string;
  /** The sign, for people: `'its parent is s6-supervise'`. */
  sign: string;
}

/** All that is given must hold. */
interface Row {
  name: string;
  /** A variable whose value is this process's id. */
  pidIn?: string;
  /** A variable that is not empty. */
  set?: string;
  /** One that is not there. */
  unset?: string;
  /** Names that the parent may have. */
  parent?: RegExp;
  pid?: number;
  ppid?: number;
}

/**
 * The first that fits. Names are those that comm of proc(5) shows, cut off after 15 bytes. Each row has a
 * test with the real one, but that of launchd.
 */
const MANAGERS: readonly Row[] = [
  { name: 'systemd', pidIn: 'SYSTEMD_EXEC_PID' },
  // Before version 248, which is the first to set that variable.
  { name: 'systemd', set: 'INVOCATION_ID', unset: 'SYSTEMD_EXEC_PID', parent: /^systemd$/ },
  { name: 's6', parent: /^s6-supervise$/ },
  { name: 'runit', parent: /^runsv$/ },
  { name: 'daemontools', parent: /^supervise$/ },
  // Its own name is that of its script, or of the interpreter (`python3 -m supervisor.supervisord`).
  { name: 'supervisord', set: 'SUPERVISOR_ENABLED', parent: /^(supervisord|python[\d.]*)$/ },
  { name: 'OpenRC', parent: /^supervise-daemo$/ },
  // docker run --init has it under another name.
  { name: 'tini', parent: /^(tini|tini-static|docker-init)$/ },
  { name: 'dumb-init', parent: /^dumb-init$/ },
  // podman run --init.
  { name: 'catatonit', parent: /^(catatonit|podman-init)$/ },
  { name: 'launchd', set: 'XPC_SERVICE_NAME', parent: /^$/, ppid: 1 },
  { name: 'a container', pid: 1 },
  // Its parent is in another pid namespace: runc exec, or a pod that shares its namespace.
  { name: 'a container', ppid: 0 },
];

/** undefined: nobody who is known. */
export function recognizeManager(facts: ManagerFacts): ServiceManagerSign | undefined {
  if (isNotifySocketOurs(facts.env, facts.pid, facts.ppid)) {
    const row = MANAGERS.find((row) => fits(row, facts));
    return { name: row?.name ?? 'a service manager', sign: 'NOTIFY_SOCKET is set' };
  }
  const row = MANAGERS.find((row) => fits(row, facts));
  return row && { name: row.name, sign: signOf(row, facts) };
}

/** What runs a program as its child, and is often meant to become it. */
const WRAPPER = /^(sh|bash|dash|ash|busybox|ksh|zsh|npm.*|yarn|pnpm)$/;

/**
 * The manager of the parent, if that is a script or the like. Whether this process is what it watches is not
 * known: a script may start a daemon on purpose, or may have been meant to end with `exec`.
 */
export function recognizeWrapper(facts: ManagerFacts): ServiceManagerSign | undefined {
  const { ppid, env, parent, grandparent } = facts;
  if (grandparent === undefined || !WRAPPER.test(parent)) return undefined;
  const ofParent = { pid: ppid, ppid: grandparent.pid, env, parent: grandparent.name };
  const row = MANAGERS.find((row) => fits(row, ofParent));
  return row && { name: row.name, sign: `its parent, ${parent}, is watched` };
}

/** Of this process. */
export function managerFacts(): ManagerFacts {
  const { pid, ppid } = process;
  // With what was taken out already.
  const env = { ...process.env, ...takenVariables() };
  const above = parentOf(ppid);
  const grandparent = above === undefined ? undefined : { pid: above, name: nameOf(above) };
  return { pid, ppid, env, parent: nameOf(ppid), grandparent };
}

function parentOf(pid: number): number | undefined {
  const text = readProc(`/proc/${pid}/stat`);
  // After the name, which may hold anything: the state, the parent.
  return text === undefined
    ? undefined
    : Number(text.slice(text.lastIndexOf(')') + 2).split(' ')[1]);
}

function nameOf(pid: number): string {
  return readProc(`/proc/${pid}/comm`)?.trimEnd() ?? '';
}

function fits(row: Row, { pid, ppid, env, parent }: ManagerFacts): boolean {
  const isSet = (name: string) => (env[name] ?? '') !== '';
  return (
    (row.pidIn === undefined || env[row.pidIn] === String(pid)) &&
    (row.set === undefined || isSet(row.set)) &&
    (row.unset === undefined || !isSet(row.unset)) &&
    (row.parent === undefined || row.parent.test(parent)) &&
    (row.pid === undefined || row.pid === pid) &&
    (row.ppid === undefined || row.ppid === ppid)
  );
}

function signOf({ pidIn, set, parent, pid, ppid }: Row, facts: ManagerFacts): string {
  const signs: string[] = [];
  if (pidIn !== undefined) signs.push(`${pidIn} is its process id`);
  if (set !== undefined) signs.push(`${set} is set`);
  if (parent !== undefined && facts.parent !== '') signs.push(`its parent is ${facts.parent}`);
  if (pid !== undefined) signs.push('it is process 1');
  if (ppid === 0) signs.push('its parent is in another pid namespace');
  return signs.join(', ');
}
