// Service directories: daemontools, and the managers that descend from it.

import { refuse, seconds, type UnitFacts, type UnitFile } from './facts.js';
import { commandLine, launchWords, preparation, quote, script } from './shell.js';

const EXECUTABLE = 0o755;

const run = (facts: UnitFacts, variables: Readonly<Record<string, string>> = {}): string =>
  script(facts.name, [...preparation(facts), `exec ${commandLine(launchWords(facts, variables))}`]);

/** What writes the log; it reads what the program prints from a pipe that the manager holds. */
const logRun = ({ name, logger }: UnitFacts): string =>
  script(name, [`exec ${commandLine(logger!)}`]);

const withLog = (facts: UnitFacts, file: string): UnitFile[] =>
  facts.logger === undefined ? [] : [{ file, text: logRun(facts), mode: EXECUTABLE }];

/** Left by the program in a way that a new start would not better: as `Restart=on-failure` of systemd. */
const GOOD_END = '[ "$1" -eq 0 ]';

/** Supervised by s6-supervise, in a scan directory. */
export function s6(facts: UnitFacts): UnitFile[] {
  return [...s6Service(facts, facts.name), ...withLog(facts, `${facts.name}/log/run`)];
}

/** The source of s6-rc: a longrun, and one for the logger that it is piped into. */
export function s6rc(facts: UnitFacts): UnitFile[] {
  const { name, logger } = facts;
  const logName = `${name}-log`;
  const files = [...s6Service(facts, name), { file: `${name}/type`, text: 'longrun\n' }];
  if (logger === undefined) return files;
  return [
    ...files,
    { file: `${name}/producer-for`, text: `${logName}\n` },
    { file: `${logName}/run`, text: logRun(facts), mode: EXECUTABLE },
    { file: `${logName}/type`, text: 'longrun\n' },
    { file: `${logName}/consumer-for`, text: `${name}\n` },
    { file: `${logName}/pipeline-name`, text: `${name}-pipeline\n` },
  ];
}

function s6Service(facts: UnitFacts, directory: string): UnitFile[] {
  const { name, ready, timeout, stop } = facts;
  // Another user than root's could not look into the directory of s6-supervise for it.
  const told: Record<string, string> = ready === 'notify' ? { DOUBLEFORK_NOTIFY_FD: '3' } : {};
  const file = (file: string, text: string): UnitFile => ({ file: `${directory}/${file}`, text });
  return [
    { file: `${directory}/run`, text: run(facts, told), mode: EXECUTABLE },
    {
      file: `${directory}/finish`,
      // 125: it stays down.
      text: script(name, [`if ${GOOD_END}; then exit 125; fi`]),
      mode: EXECUTABLE,
    },
    ...(ready === 'none'
      ? []
      : [file('notification-fd', '3\n'), file('timeout-up', `${Math.ceil(timeout)}\n`)]),
    file('down-signal', `SIG${stop.signal}\n`),
    // 0: it is never killed.
    file('timeout-kill', `${seconds(stop.grace, 0) * 1000}\n`),
    file('timeout-down', `${seconds(stop.total, 0) * 1000}\n`),
  ];
}

/** Supervised by runsv. */
export function runit(facts: UnitFacts): UnitFile[] {
  const { name, stop, reload, control } = facts;
  const executable = (file: string, ...lines: string[]): UnitFile => ({
    file: `${name}/${file}`,
    text: script(name, lines),
    mode: EXECUTABLE,
  });
  return [
    { file: `${name}/run`, text: run(facts), mode: EXECUTABLE },
    executable('finish', `if ${GOOD_END}; then exec sv down .; fi`),
    executable(
      'control/h',
      '# sv hup: unless this succeeds, runsv sends SIGHUP.',
      `[ -S ${quote(control)} ] || exit 1`,
      `${commandLine([...reload, control])}`,
      'exit 0',
    ),
    ...(stop.signal === 'TERM'
      ? []
      : [executable('control/t', `kill -${stop.signal} "$(cat supervise/pid)"`)]),
    ...withLog(facts, `${name}/log/run`),
  ];
}

/** Supervised by supervise(8). */
export function daemontools(facts: UnitFacts): UnitFile[] {
  const { name, stop } = facts;
  if (stop.signal !== 'TERM') {
    refuse(
      'daemontools',
      `stop: ${stop.schedule}`,
      'svc -d sends TERM; let the program end by that',
    );
  }
  return [
    { file: `${name}/run`, text: run(facts), mode: EXECUTABLE },
    ...withLog(facts, `${name}/log/run`),
  ];
}
