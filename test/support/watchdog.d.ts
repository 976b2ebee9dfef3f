/** Ends all processes of the running test once they take too long. */
export declare class Watchdog {
    #private;
    /**
     * @param describe what to add to a failure: outputs, for example
     * @param deadline in ms
     */
    constructor(describe: () => string, deadline?: number);
    /** The promise's outcome, or the failure of a hang. */
    guard<T>(promise: Promise<T>): Promise<T>;
    /** All is over. */
    stop(): void;
}
