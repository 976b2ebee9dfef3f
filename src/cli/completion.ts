// doublefork completion <bash|zsh|fish>: a script for the shell, of what the commands declare.

import { Argument, type Command } from 'commander';
import { print } from './output.js';

export function declare(command: Command): void {
  command
    .addArgument(new Argument('<shell>').choices(['bash', 'zsh', 'fish']))
    .addHelpText(
      'after',
      `
bash:  source <(doublefork completion bash)
zsh:   source <(doublefork completion zsh)
fish:  doublefork completion fish | source`,
    )
    .action((shell: 'bash' | 'zsh' | 'fish') => print(SCRIPTS[shell](commandsOf(command.parent!))));
}

/** What can be typed behind a command. */
export interface Described {
  name: string;
  summary: string;
  options: { flags: string[]; summary: string; takesValue: boolean }[];
  /** Whether it is about daemons by name. */
  takesNames: boolean;
  /** The words that there are for its argument. */
  choices: readonly string[];
}

export function commandsOf(program: Command): Described[] {
  const visible = program.createHelp().visibleCommands(program);
  return visible.map((command) => ({
    name: command.name(),
    summary: command.summary(),
    options: command.options.map(({ short, long, description, required, optional }) => ({
      flags: [short, long].filter((flag) => flag != null),
      summary: description,
      takesValue: required || optional,
    })),
    takesNames: command.registeredArguments.some((argument) => argument.name() === 'names'),
    choices: command.registeredArguments.flatMap(({ argChoices }) => argChoices ?? []),
  }));
}

const NAMES = 'doublefork list --quiet 2>/dev/null';

const flagsOf = ({ options }: Described) => options.flatMap(({ flags }) => flags);

const SCRIPTS = { bash, zsh, fish };

function bash(commands: Described[]): string {
  const cases = commands.map((command) => {
    const names = command.takesNames ? [`$(${NAMES})`] : [];
    const words = [...flagsOf(command), '--help', ...command.choices, ...names];
    return `    ${command.name}) words="${words.join(' ')}" ;;`;
  });
  return `_doublefork() {
  local current=\${COMP_WORDS[COMP_CWORD]} words
  case \${COMP_WORDS[1]} in
${cases.join('\n')}
    *) words="" ;;
  esac
  if [ "$COMP_CWORD" -eq 1 ]; then words="${commands.map(({ name }) => name).join(' ')} --help --version"; fi
  case \${COMP_WORDS[COMP_CWORD-1]} in
    --pidfile|--log|--config|--cwd|--control) COMPREPLY=($(compgen -f -- "$current")); return ;;
  esac
  case " \${COMP_WORDS[*]:0:COMP_CWORD} " in
    *" -- "*) COMPREPLY=($(compgen -c -f -- "$current")); return ;;
  esac
  COMPREPLY=($(compgen -W "$words" -- "$current"))
}
complete -F _doublefork doublefork`;
}

function zsh(commands: Described[]): string {
  const quoted = (text: string) => text.replace(/'/g, "'\\''").replace(/([[\]:])/g, '\\$1');
  const cases = commands.map((command) => {
    const options = command.options.flatMap(({ flags, summary, takesValue }) =>
      flags.map((flag) => `'${flag}[${quoted(summary)}]${takesValue ? ':value:_files' : ''}'`),
    );
    const words = command.takesNames ? `$(${NAMES})` : command.choices.join(' ');
    const names = words === '' ? '' : ` '*:name:(${words})'`;
    return `    ${command.name}) _arguments ${[...options, "'--help'"].join(' ')}${names} ;;`;
  });
  return `#compdef doublefork
_doublefork() {
  if (( CURRENT == 2 )); then
    local -a commands=(${commands.map(({ name, summary }) => `'${name}:${quoted(summary)}'`).join(' ')})
    _describe command commands
    return
  fi
  local command=$words[2]
  shift words
  (( CURRENT-- ))
  case $command in
${cases.join('\n')}
  esac
}
compdef _doublefork doublefork`;
}

function fish(commands: Described[]): string {
  const quoted = (text: string) => `'${text.replace(/(['\\])/g, '\\$1')}'`;
  const lines = commands.flatMap((command) => {
    const here = `complete -c doublefork -n '__fish_seen_subcommand_from ${command.name}'`;
    const options = command.options.map(({ flags, summary, takesValue }) => {
      const spelled = flags.map((flag) =>
        flag.startsWith('--') ? `-l ${flag.slice(2)}` : `-s ${flag.slice(1)}`,
      );
      return `${here} ${spelled.join(' ')}${takesValue ? ' -r' : ''} -d ${quoted(summary)}`;
    });
    const words = command.takesNames ? `(${NAMES})` : command.choices.join(' ');
    const names = words === '' ? [] : [`${here} -f -a '${words}'`];
    return [
      `complete -c doublefork -n __fish_use_subcommand -f -a ${command.name} -d ${quoted(command.summary)}`,
      ...options,
      ...names,
    ];
  });
  return lines.join('\n');
}
