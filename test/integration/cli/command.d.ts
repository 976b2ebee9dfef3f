import { type Ended, type RunOptions } from '../../support/program.js';
import type { Running } from '../../support/running.js';
export declare const COMMAND: string;
/** A place with no daemons, where the command can be given. */
export declare class Place {
    readonly folder: string;
    readonly state: string;
    readonly logs: string;
    readonly env: {
        RUNTIME_DIRECTORY: string;
        LOGS_DIRECTORY: string;
        NO_COLOR: string;
    };
    /** Gives the command and waits until it has exited; its daemons may live. */
    run(...args: string[]): Promise<Ended>;
    /** `start --name it OPTIONS -- PROGRAM`, the options as on a command line. */
    startIt(options: string, program: readonly string[]): Promise<Ended>;
    launch(args: readonly string[], options?: RunOptions): Running<Ended>;
    /** What `status --json` says of a daemon. */
    status(name: string): Promise<any>;
}
