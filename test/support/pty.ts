// A user's terminal: a shell on a pty of its own, that runs one command and then waits for the next.

import { execFileSync } from 'node:child_process';
import { constants, openSync } from 'node:fs';
import { Socket } from 'node:net';
import { constants as os } from 'node:os';
import { join } from 'node:path';
import { type IPty, spawn } from 'node-pty';
import { temporaryFolder } from './folder.js';
import { node, root } from './node.js';
import { until } from './processes.js';
import { inline, type RunOptions } from './program.js';
import { Reports } from './reports.js';
import { type Exit, Running } from './running.js';
import { Watchdog } from './watchdog.js';

/** The command runs in the foreground group, and gets Ctrl-C; the shell stays to tell of its end. */
const SHELL = `trap : INT; "$@" 3>"$0"; echo "[exit $?]"; read -r answer`;
const EXITED = /\[exit (\d+)\]/;

export interface TerminalEnded extends Exit {
  /** All that was written on the terminal, echoes included. */
  output: string;
  // biome-ignore lint/suspicious/noExplicitAny: each test knows what its own program reports
  reports: any[];
}

export interface TerminalOptions extends Omit<RunOptions, 'stdio' | 'onReport'> {
  /** What the shell does, with the command as "$@" and the report pipe as "$0". */
  shell?: string;
}

/** A program on a terminal. `pid` is the shell, which leads the session. */
export class Terminal extends Running<TerminalEnded> {
  /** All that was written so far. */
  readonly output: () => string;
  /** Waits until a text is on the screen. */
  shows(text: string): Promise<void> {
    return until(() => this.output().includes(text), `the terminal shows ${text}`);
  }
  /** Presses keys. */
  readonly type: (keys: string) => void;
  /** Takes the terminal away: the session gets SIGHUP, reads and writes fail. */
  readonly hangUp: () => void;

  /** Starts an inline program; see {@link inline}. */
  static start(source: string, options: TerminalOptions = {}): Terminal {
    return Terminal.launch(node, inline(source, options), options);
  }

  /** Starts a command line. */
  static launch(command: string, args: readonly string[], options: TerminalOptions = {}): Terminal {
    // A pty passes on fd 0-2 only.
    const fifo = join(temporaryFolder(), 'reports');
    execFileSync('mkfifo', [fifo]);
    const pipe = new Socket({ fd: openSync(fifo, constants.O_RDONLY | constants.O_NONBLOCK) });
    const pty = spawn('/bin/sh', ['-c', options.shell ?? SHELL, fifo, command, ...args], {
      cwd: options.cwd ?? root,
      env: { ...process.env, ...options.env },
    });
    return new Terminal(pty, pipe, options.deadline);
  }

  private constructor(pty: IPty, pipe: Socket, deadline: number | undefined) {
    let output = '';
    let notice = (_exit: Exit) => {};
    const exited = new Promise<Exit>((resolve) => {
      notice = resolve;
    });
    pty.onData((text) => {
      output += text;
      const code = EXITED.exec(output)?.[1];
      if (code !== undefined) notice(decode(Number(code)));
    });
    const shellExited = new Promise<Exit>((resolve) => {
      pty.onExit(({ exitCode, signal }) => resolve({ code: exitCode, signal: name(signal ?? 0) }));
    });
    shellExited.then(notice);
    const reports = new Reports(pipe);
    const watchdog = new Watchdog(
      () => `terminal: ${output}\nreports: ${JSON.stringify(reports.all)}`,
      deadline,
    );
    const ended = async (): Promise<TerminalEnded> => {
      const exit = await exited;
      await reports.closed;
      // The user leaves too.
      pty.write('\n');
      await shellExited;
      return { ...exit, output, reports: reports.all };
    };
    super(pty.pid, reports, watchdog, exited, ended());
    this.output = () => output;
    this.type = (keys) => pty.write(keys);
    // node-pty's public face has no way to close the terminal.
    this.hangUp = () => (pty as IPty & { destroy(): void }).destroy();
  }
}

/** A shell tells of a death by a signal as 128 and its number. */
function decode(code: number): Exit {
  const signal = name(code - 128);
  return signal === null ? { code, signal } : { code: null, signal };
}

function name(signal: number): NodeJS.Signals | null {
  const entry = Object.entries(os.signals).find(([, number]) => number === signal);
  return (entry?.[0] as NodeJS.Signals | undefined) ?? null;
}
