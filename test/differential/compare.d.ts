export declare const programs: string[];
/** Those with a moment in their midst at which they may be daemonized. */
export declare const programsWithMidpoint: string[];
export interface Observation {
    stdout: string;
    stderr: string;
    code: number | null;
    signal: NodeJS.Signals | null;
}
export declare function observe(name: string, mode?: 'before' | 'midst'): Promise<Observation>;
