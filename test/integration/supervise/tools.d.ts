import type { Ended } from '../../support/program.js';
/** In front of the programs: a worker that serves until it is told to end. */
export declare const SERVE = "\nconst { supervise, listen } = doublefork;\nconst http = await import('node:http');\n";
/** The lines that a supervisor has told on stderr. */
export declare function decisions({ stderr }: Pick<Ended, 'stderr'>, event?: string): any[];
/** One request on one connection; the text that comes back. */
export declare function get(path: string, request?: string): Promise<string>;
