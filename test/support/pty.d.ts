import { type RunOptions } from './program.js';
import { type Exit, Running } from './running.js';
export interface TerminalEnded extends Exit {
    /** All that was written on the terminal, echoes included. */
    output: string;
    reports: any[];
}
export interface TerminalOptions extends Omit<RunOptions, 'stdio' | 'onReport'> {
    /** What the shell does, with the command as "$@" and the report pipe as "$0". */
    shell?: string;
}
/** A program on a terminal. `pid` is the shell, which leads the session. */
export declare class Terminal extends Running<TerminalEnded> {
    /** All that was written so far. */
    readonly output: () => string;
    /** Waits until a text is on the screen. */
    shows(text: string): Promise<void>;
    /** Presses keys. */
    readonly type: (keys: string) => void;
    /** Takes the terminal away: the session gets SIGHUP, reads and writes fail. */
    readonly hangUp: () => void;
    /** Starts an inline program; see {@link inline}. */
    static start(source: string, options?: TerminalOptions): Terminal;
    /** Starts a command line. */
    static launch(command: string, args: readonly string[], options?: TerminalOptions): Terminal;
    private constructor();
}
