import type { Reports } from './reports.js';
import type { Watchdog } from './watchdog.js';
/** How the process that was started ended. */
export interface Exit {
    code: number | null;
    signal: NodeJS.Signals | null;
}
/** Waits for a program; a wait that takes too long fails with stack traces. */
export declare class Running<Ended> {
    #private;
    readonly pid: number;
    /** The process that was started has exited; daemons of it may live. */
    readonly exited: Promise<Exit>;
    /** It and all that came of it have ended. */
    readonly ended: Promise<Ended>;
    constructor(pid: number, reports: Reports, watchdog: Watchdog, exited: Promise<Exit>, ended: Promise<Ended>);
    /** The next value that is reported. */
    report(): Promise<any>;
}
