/** The values as they come in. */
export declare class Reports {
    #private;
    /** All so far. */
    readonly all: unknown[];
    /** Resolved once nobody is left who could report. */
    readonly closed: Promise<void>;
    constructor(stream: NodeJS.ReadableStream, onReport?: (value: unknown) => void);
    /** The next value; an error if all programs have ended without one. */
    next(): Promise<unknown>;
}
