// doublefork manual: the manual page, man(7), of what the commands declare. docs/doublefork.1 is it.

import type { Command } from 'commander';
import { print } from './output.js';

export function declare(command: Command): void {
  command.action(() => print(page(command.parent!)));
}

const roff = (text: string) =>
  text
    .replace(/\\/g, '\\e')
    .replace(/-/g, '\\-')
    .replace(/^([.'])/gm, '\\&$1')
    .replace(/’/g, "'");

function page(program: Command): string {
  const help = program.createHelp();
  const commands = help.visibleCommands(program).filter((command) => command.name() !== 'help');
  const sections = commands.flatMap((command) => [
    `.SS ${roff(help.commandUsage(command).replace(/\n.*/s, ''))}`,
    `${roff(sentence(command.summary()))}`,
    ...command.options.flatMap((option) => [
      '.TP',
      `.B ${roff(option.flags)}`,
      roff(sentence(option.description)),
    ]),
  ]);
  return [
    `.TH DOUBLEFORK 1 "" "doublefork ${program.version()}" "User Commands"`,
    '.SH NAME',
    `doublefork \\- ${roff('start programs as daemons, and look after them')}`,
    '.SH SYNOPSIS',
    '.B doublefork',
    '.I command',
    '[options] [names...]',
    '.SH DESCRIPTION',
    ...DESCRIPTION.map(roff),
    '.SH COMMANDS',
    ...sections,
    '.SH EXIT STATUS',
    ...EXIT_STATUS.flatMap(([code, meaning]) => ['.TP', `.B ${code}`, roff(meaning)]),
    '.SH FILES',
    ...FILES.flatMap(([file, meaning]) => ['.TP', `.I ${roff(file)}`, roff(meaning)]),
    '.SH EXAMPLES',
    '.nf',
    ...EXAMPLES.map(roff),
    '.fi',
    '.SH SEE ALSO',
    '.BR daemon (7),',
    '.BR start\\-stop\\-daemon (8),',
    '.BR sd_notify (3)',
  ].join('\n');
}

const sentence = (text: string) => `${text[0]!.toUpperCase()}${text.slice(1)}.`;

const DESCRIPTION = [
  'Starts any program as a daemon: detached from the terminal by a double fork and setsid(2), its',
  'standard streams on a log, its pid in a file that is locked while it runs. JavaScript and',
  'TypeScript files are run with node. The program must stay in the foreground, as it would under',
  'a service manager; doublefork is what puts it into the background.',
  '',
  'A daemon is known by its name. stop, status and the others signal only the process that has the',
  'pidfile locked, never one that was given its pid later.',
  '',
  'Of a program that calls supervise(), status and top show a line for each worker: pid, state, uptime,',
  'restarts, resident memory, CPU and how its last process ended. CPU is in percent of one processor:',
  'the mean since the start of the worker, in top after the first table the mean since the one before.',
  'They ask on the control socket whose path start gives the program in DOUBLEFORK_CONTROL.',
];

const EXIT_STATUS = [
  ['0', 'Done; of status: it runs.'],
  ['1', 'Failed; of status: it is dead, and its pidfile is still there.'],
  ['2', 'The command line is wrong.'],
  ['3', 'Of status: it is not running.'],
  ['4', 'Of status: that is unknown.'],
  ['126, 127', 'Of start: the program cannot be run; there is no such program.'],
  ['other', 'Of start: the code of a program that died at once; 128 and the number of a signal.'],
] as const;

const FILES = [
  [
    '/run/doublefork',
    'Pidfiles of root; else ~/.local/state/doublefork. $RUNTIME_DIRECTORY goes first.',
  ],
  ['/run/doublefork/NAME.d/control', 'The control socket of a daemon that is a supervisor.'],
  [
    '/var/log/doublefork',
    'Logs of root; else $XDG_STATE_HOME/doublefork, by default ~/.local/state/doublefork.',
  ],
  [
    'doublefork.config.json, .yaml, .toml',
    'Apps, in the current directory; or the key "doublefork" of package.json.',
  ],
] as const;

const EXAMPLES = [
  "doublefork start --name web -- nginx -g 'daemon off;'",
  'doublefork status web',
  'doublefork logs -f web',
  'doublefork top web',
  'doublefork reload web',
  'doublefork stop web',
];
