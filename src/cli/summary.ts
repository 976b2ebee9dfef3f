// One line about a daemon.

import colors from 'picocolors';
import { readFileSync } from '../builtin/fs.js';
import { type DaemonRecord, readRecord } from '../control/record.js';
import { type DaemonStatus, daemonStatus, type Target } from '../control/target.js';
import { startTime } from '../pidfile/process.js';
import { lastLines } from './last-lines.js';
import { clean, duration, print, size, table } from './output.js';

/** What `status` and `list` say of a daemon. */
export interface Summary {
  name: string;
  status: DaemonStatus['status'];
  code: DaemonStatus['code'];
  pid: number | null;
  /** In ms. */
  uptime: number | null;
  /** Resident memory, in bytes. */
  memory: number | null;
  /** null: there is none, or it is not known. */
  pidfile: string | null;
  log: string | null;
  command: string[] | null;
  /** Whether its last start failed. */
  failed: boolean;
  reason: string;
  /** The last that it has written, if it failed or was killed. */
  lastLines: string[];
}

export function describe(name: string, target: Target): Summary {
  const { status, code, pid, pidfile, reason } = daemonStatus(target);
  const record = 'name' in target ? readRecord(target.name) : undefined;
  const running = status === 'running' && pid !== undefined;
  return {
    name,
    status,
    code,
    pid: running ? pid : null,
    uptime: running ? uptime(pid) : null,
    memory: running ? memory(pid) : null,
    pidfile,
    log: record?.log ?? null,
    command: record === undefined ? null : [record.app.program, ...record.app.args],
    failed: !running && record?.ended !== undefined,
    reason: running ? reason : whyNot(name, status, record, reason),
    lastLines:
      !running && (record?.ended !== undefined || status === 'dead') ? lastLines(record?.log) : [],
  };
}

/** Why it does not run, and where to look. */
function whyNot(
  name: string,
  status: DaemonStatus['status'],
  record: DaemonRecord | undefined,
  reason: string,
): string {
  if (record === undefined || status === 'unknown') return reason;
  const logs = `see doublefork logs ${name}`;
  if (record.ended !== undefined) return `${record.ended}; ${logs}`;
  return status === 'dead' ? `ended without a word (${reason}); ${logs}` : reason;
}

const COLOURS = {
  running: colors.green,
  dead: colors.red,
  stopped: colors.dim,
  unknown: colors.yellow,
};

/** A line for each, below a line of titles. */
export function summaryTable(summaries: readonly Summary[]): string {
  const head = ['NAME', 'STATUS', 'PID', 'UPTIME', 'MEMORY', 'COMMAND'].map(colors.bold);
  const rows = summaries.map(({ name, status, pid, uptime, memory, command }) => [
    name,
    COLOURS[status](status),
    pid === null ? '-' : String(pid),
    uptime === null ? '-' : duration(uptime),
    memory === null ? '-' : size(memory),
    command === null ? '-' : command.join(' '),
  ]);
  return table([head, ...rows]);
}

/** What a program has written last, below what is said of it. */
export function printLines(lines: readonly string[]): void {
  for (const line of lines) print(`  ${clean(line)}`);
}

/** The table, and behind it why those do not run that do not. */
export function printTable(summaries: readonly Summary[]): void {
  print(summaryTable(summaries));
  for (const { name, status, command, reason, failed, lastLines } of summaries) {
    // A daemon that was started here and has stopped needs no reason.
    if (status === 'running' || (status === 'stopped' && command !== null && !failed)) continue;
    print(colors.dim(`${name}: ${reason}`));
    printLines(lastLines);
  }
}

/** Of the process itself: it tells of restarts that no record knows. */
function uptime(pid: number): number | null {
  const ticks = startTime(pid);
  const boot = read('/proc/uptime');
  if (ticks === undefined || boot === undefined) return null;
  // USER_HZ is 100 on every architecture that Node runs on.
  return Math.max(0, Number.parseFloat(boot) * 1000 - ticks * 10);
}

function memory(pid: number): number | null {
  const kilobytes = /^VmRSS:\s+(\d+) kB/m.exec(read(`/proc/${pid}/status`) ?? '')?.[1];
  return kilobytes === undefined ? null : Number(kilobytes) * 1024;
}

/** undefined: the process has ended meanwhile, or there is no /proc. */
function read(path: string): string | undefined {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    return undefined;
  }
}
