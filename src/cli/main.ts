#!/usr/bin/env node
// The command `doublefork`. It starts fast: a command's module is loaded, and its options are
// declared, only when it is the one that was given.

import { Command, CommanderError } from 'commander';
import { EXIT } from './exit.js';
import { complain, inJson } from './output.js';

/** Of package.json, put in when this is bundled. */
declare const VERSION: string;

interface Entry {
  summary: string;
  alias?: string;
  load: () => Promise<{ declare: (command: Command) => void }>;
  hidden?: boolean;
}

const COMMANDS: Readonly<Record<string, Entry>> = {
  start: { summary: 'start a program as a daemon', load: () => import('./start.js') },
  stop: { summary: 'stop a daemon, and make sure of it', load: () => import('./stop.js') },
  restart: { summary: 'stop a daemon and start it again', load: () => import('./restart.js') },
  reload: {
    summary: 'have a supervisor run the new version, another daemon read its configuration',
    load: () => import('./reload.js'),
  },
  rollback: {
    summary: 'have a supervisor run the version before the reload',
    load: () => import('./rollback.js'),
  },
  recycle: {
    summary: 'replace a supervisor’s workers, of the same version',
    load: () => import('./recycle.js'),
  },
  deploy: {
    summary: 'have a new version serve, once it is ready and healthy, or not at all',
    load: () => import('./deploy.js'),
  },
  reconfigure: {
    summary: 'have a supervisor read the configuration of its program again',
    load: () => import('./reconfigure.js'),
  },
  signal: { summary: 'send a signal or a command to a daemon', load: () => import('./signal.js') },
  scale: { summary: 'have a supervisor run so many workers', load: () => import('./scale.js') },
  status: {
    summary: 'say whether a daemon runs, and how its workers are',
    load: () => import('./status.js'),
  },
  top: {
    summary: 'show what daemons and their workers use, again and again',
    load: () => import('./top.js'),
  },
  dashboard: {
    summary: 'serve a page on which to see them all, and to reload, restart and scale',
    load: () => import('./dashboard.js'),
  },
  list: {
    summary: 'list all daemons that are known here',
    alias: 'ls',
    load: () => import('./list.js'),
  },
  delete: { summary: 'forget daemons that have stopped', load: () => import('./delete.js') },
  logs: {
    summary: 'print the ends of logs, or what is asked for of them',
    load: () => import('./logs.js'),
  },
  logrotate: {
    summary: 'print how logrotate(8) is to rotate logs',
    load: () => import('./logrotate.js'),
  },
  unit: {
    summary: 'make what systemd or another manager needs to run a program, and install it',
    load: () => import('./unit.js'),
  },
  save: {
    summary: 'note what runs now, to be started at boot',
    load: () => import('./save.js'),
  },
  startup: {
    summary: 'have what runs now come back at boot',
    load: () => import('./startup.js'),
  },
  check: { summary: 'look whether a config file is right', load: () => import('./check.js') },
  import: {
    summary: 'make a config file of one of pm2, or of a Procfile',
    load: () => import('./import.js'),
  },
  doctor: {
    summary: 'look what works on this system, and why not',
    load: () => import('./doctor.js'),
  },
  completion: {
    summary: 'print a completion script for a shell',
    load: () => import('./completion.js'),
  },
  manual: { summary: 'print the manual page', load: () => import('./manual.js'), hidden: true },
};

const nameOf = (word: string): string =>
  Object.entries(COMMANDS).find(([, { alias }]) => alias === word)?.[0] ?? word;

/** Those whose options are needed: the one that was given, or all to describe them. */
function wanted(words: readonly string[]): string[] {
  const named = words.map(nameOf).filter((word) => Object.hasOwn(COMMANDS, word));
  const describes = named[0] === 'completion' || named[0] === 'manual';
  return describes ? Object.keys(COMMANDS) : named.slice(0, 1);
}

async function build(words: readonly string[]): Promise<Command> {
  const program = new Command('doublefork')
    .description('Turns programs into Unix daemons, and looks after them.')
    .version(VERSION, '-v, --version')
    .enablePositionalOptions()
    .showHelpAfterError(inJson() ? false : '(add --help for more)')
    .configureOutput({
      outputError: (text) => complain(text.replace(/^error: /, '')),
    })
    .exitOverride();
  const needed = wanted(words);
  for (const [name, { summary, alias, load, hidden = false }] of Object.entries(COMMANDS)) {
    const command = program.command(name, { hidden }).summary(summary).description(summary);
    if (alias !== undefined) command.alias(alias);
    command.copyInheritedSettings(program);
    if (needed.includes(name)) (await load()).declare(command);
  }
  return program;
}

async function main(): Promise<void> {
  const program = await build(process.argv.slice(2));
  await program.parseAsync();
}

main().catch((error: unknown) => {
  if (error instanceof CommanderError) {
    process.exitCode = error.exitCode === 0 ? EXIT.ok : EXIT.usage;
    return;
  }
  process.exitCode = EXIT.of(error);
  complain(error);
});
