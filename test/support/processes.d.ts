/** Set by strays.ts for every test; whatever a program starts inherits it. */
export declare const MARK = "DOUBLEFORK_TEST";
/** What /proc/PID/stat says, by the names of proc(5). */
export interface Stat {
    pid: number;
    state: string;
    ppid: number;
    pgrp: number;
    session: number;
    ttyNr: number;
    startTime: number;
}
/** undefined: there is no such process. */
export declare function stat(pid: number): Stat | undefined;
/** One field of /proc/PID/status, such as 'SigIgn' or 'Groups'. */
export declare function status(pid: number, field: string): string;
/** An open descriptor, as /proc/PID/fd and /proc/PID/fdinfo tell. */
export interface Descriptor {
    /** Its file, or a name such as 'pipe:[123]'. */
    target: string;
    /** The flags of open(2). */
    flags: number;
}
/** The open descriptors of a process. */
export declare function descriptors(pid: number): Map<number, Descriptor>;
/** All processes whose environment holds the mark. Zombies have none, and are found by their parent. */
export declare function marked(mark: string): number[];
/** Every thread's stack, for the report of a hang. */
export declare function stacks(pid: number): string;
/** Kills by pid; one that is gone already is what was wanted. */
export declare function killQuietly(pid: number): void;
/** Waits for a condition that has no event to wait for, such as another process's parent. */
export declare function until(condition: () => boolean | Promise<boolean>, what: string, deadline?: number): Promise<void>;
