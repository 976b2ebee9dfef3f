import { join } from 'node:path';

/** The path of one of the programs that are measured. @param {string} file */
export const program = (file) => join(import.meta.dirname, 'programs', file);
