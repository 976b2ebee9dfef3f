import { type Exit, Running } from './running.js';
export interface RunOptions {
    /** Options of node, before the program. */
    flags?: readonly string[];
    /** Arguments of the program. */
    args?: readonly string[];
    env?: Readonly<Record<string, string>>;
    cwd?: string;
    /** In ms. Then the run has failed, with the stacks of all its processes. Default 60,000. */
    deadline?: number;
    /** fd 0-2: 'pipe' (default), 'ignore' or a descriptor. */
    stdio?: readonly ('pipe' | 'ignore' | number)[];
    /** Called with each value as it is reported. */
    onReport?: (value: unknown, launcher: number) => void;
}
export interface Ended extends Exit {
    stdout: string;
    stderr: string;
    /** What the program passed to report(), in order. */
    reports: any[];
    pid: number;
}
/**
 * The arguments of node for an inline ES module with `daemonize`, `fork`, `posix`, `fs` and `report`
 * at hand.
 */
export declare function inline(source: string, options?: RunOptions): string[];
/** Runs an inline program to its end; see {@link inline}. */
export declare function run(source: string, options?: RunOptions): Promise<Ended>;
/** Starts an inline program; see {@link inline}. */
export declare function start(source: string, options?: RunOptions): Running<Ended>;
/** Runs a command line to its end. */
export declare function execute(command: string, args: readonly string[], options?: RunOptions): Promise<Ended>;
/** Starts a command line. */
export declare function launch(command: string, args: readonly string[], options?: RunOptions): Running<Ended>;
