// Commands: names for the signals that a daemon is sent.

import { outOfRange } from '../posix/errors.js';
import { signalNumber } from '../posix/process.js';

/** Commands by name, each with the signal that stands for it. */
export type Commands = Readonly<Record<string, NodeJS.Signals>>;

/** Those that every daemon knows. SIGUSR1 is left to Node, which starts its inspector with it. */
export const COMMANDS = {
  stop: 'SIGTERM',
  reload: 'SIGHUP',
  reopen: 'SIGUSR2',
} as const satisfies Commands;

/**
 * The commands that every daemon knows, and the program's own. One that is given anew has its new
 * signal only.
 * @param argument what `own` is called in an error
 * @throws ERR_OUT_OF_RANGE if two commands would come by one signal: both would be carried out
 */
export function allCommands(own: Commands, argument: string): Commands {
  const all: Commands = { ...COMMANDS, ...own };
  for (const name of Object.keys(own)) {
    const number = signalNumber(own[name]!);
    const other = Object.keys(all).find(
      (other) => other !== name && signalNumber(all[other]!) === number,
    );
    if (other === undefined) continue;
    throw outOfRange(
      `${argument}.${name}`,
      `a signal that no other command has: "${other}" has this one`,
      own[name],
    );
  }
  return all;
}

/**
 * The signal for a command or for a signal as people write it: `reload`, `SIGHUP`, `HUP`, `1`.
 * @throws ERR_OUT_OF_RANGE if it is neither
 */
export function signalOf(word: string | number, commands: Commands = {}): NodeJS.Signals | number {
  if (typeof word === 'number') return signalNumber(word);
  const command = { ...COMMANDS, ...commands }[word];
  if (command !== undefined) return command;
  if (/^[1-9]\d*$/.test(word)) return signalNumber(Number(word));
  const name = word.toUpperCase();
  const signal = (name.startsWith('SIG') ? name : `SIG${name}`) as NodeJS.Signals;
  signalNumber(signal);
  return signal;
}
