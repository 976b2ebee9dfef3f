// doublefork status [names...]: exits with the code that LSB gives it.

import type { Command } from 'commander';
import colors from 'picocolors';
import { existsSync } from '../builtin/fs.js';
import { logInUse } from '../logs/in-use.js';
import type { SupervisorStatus } from '../supervise/status.js';
import { lastLines } from './last-lines.js';
import { complain, print, printJson } from './output.js';
import { describe, printLines, printTable, type Summary } from './summary.js';
import {
  asking,
  type Control,
  controlOf,
  declareSupervisors,
  isNobody,
  type SupervisorOptions,
} from './supervisor.js';
import { isKnown, STRANGER, type Subject, subjectsOrAll } from './targets.js';
import { headline, workerTable } from './workers.js';

/** A daemon, and its workers if it is a supervisor. */
interface Report extends Summary {
  /** null: it is none, or has not answered. */
  supervisor: SupervisorStatus | null;
  /** The last lines of workers that are down, or wait to be started again. */
  crashes: { id: number; lines: string[] }[];
  /** Why it has not answered; null: it has, or it is none. */
  problem: string | null;
}

interface Options extends SupervisorOptions {
  json?: boolean;
}

export function declare(command: Command): void {
  declareSupervisors(command)
    .option('--json', 'in JSON')
    .addHelpText(
      'after',
      '\nOf workers, CPU is the mean since their start.\nExit codes: 0 running, 1 dead with a pidfile, 3 not running, 4 unknown.',
    )
    .action(async (names: string[], options: Options) => {
      try {
        await status(names, options);
      } catch (error) {
        complain(error);
        // 1 would be a daemon that is dead.
        process.exitCode = 4;
      }
    });
}

async function status(names: string[], options: Options): Promise<void> {
  const { control, json } = options;
  const reports =
    control === undefined
      ? await Promise.all((await subjectsOrAll(names, options)).map(ofDaemon))
      : [await ofSocket({ label: control, path: control })];
  if (json) printJson(reports);
  else {
    if (reports.length === 0) print('no daemon is known here');
    else if (control === undefined) printTable(reports);
    for (const { name, supervisor, problem, crashes } of reports) {
      if (problem !== null) print(colors.yellow(problem));
      if (supervisor === null) continue;
      if (control === undefined) print('');
      print(`${headline(name, supervisor)}\n${workerTable(supervisor)}`);
      for (const { id, lines } of crashes) {
        print(colors.dim(`worker ${id} wrote before it ended:`));
        printLines(lines);
      }
    }
  }
  // Without a name: 3, as of one that is not running.
  process.exitCode = reports.length === 0 ? 3 : Math.max(...reports.map(({ code }) => code));
}

async function ofDaemon(subject: Subject): Promise<Report> {
  const { label, target } = subject;
  const summary = describe(label, target);
  if (!isKnown(subject)) summary.reason = STRANGER;
  const path = controlOf(target);
  // Most daemons are no supervisors.
  const { supervisor, problem, nobody } =
    path === undefined || !existsSync(path) ? NOBODY : await ask({ label, path });
  const crashes = crashesOf(supervisor, summary.pid);
  return { ...summary, supervisor, crashes, problem: nobody ? null : problem };
}

function crashesOf(supervisor: SupervisorStatus | null, pid: number | null): Report['crashes'] {
  const log = pid === null ? undefined : logInUse(pid)?.path;
  return (supervisor?.workers ?? [])
    .filter(({ state, lastExit }) => (state === 'down' || state === 'waiting') && lastExit !== null)
    .map(({ id }) => ({ id, lines: lastLines(log, id) }))
    .filter(({ lines }) => lines.length > 0);
}

/** A supervisor of which nothing is known but what it says itself. */
async function ofSocket(control: Control): Promise<Report> {
  const { supervisor, problem, nobody } = await ask(control);
  const [status, code] =
    supervisor !== null
      ? (['running', 0] as const)
      : nobody
        ? (['stopped', 3] as const)
        : (['unknown', 4] as const);
  return {
    name: control.label,
    status,
    code,
    pid: supervisor?.pid ?? null,
    uptime: supervisor?.uptime ?? null,
    memory: supervisor?.rss ?? null,
    pidfile: null,
    log: null,
    command: null,
    failed: false,
    reason: problem ?? 'the supervisor has answered',
    lastLines: [],
    supervisor,
    crashes: crashesOf(supervisor, supervisor?.pid ?? null),
    problem,
  };
}

interface Asked extends Pick<Report, 'supervisor' | 'problem'> {
  /** Nobody listens there. */
  nobody: boolean;
}

const NOBODY: Asked = { supervisor: null, problem: null, nobody: true };

async function ask(control: Control): Promise<Asked> {
  try {
    const supervisor = await asking(control, (client) => client.status());
    return { supervisor, problem: null, nobody: false };
  } catch (error) {
    return { supervisor: null, problem: (error as Error).message, nobody: isNobody(error) };
  }
}
