// Node's own reports of crashes (process.report): where they go, and how many are kept.

import { accessSync, constants, readdirSync, rmSync, statSync } from '../builtin/fs.js';
import { constants as os } from '../builtin/os.js';
import { join, resolve } from '../builtin/path.js';
import { integer, invalidType, posixError, text } from '../posix/errors.js';
import { refuseUnknown } from '../posix/known.js';

/** Where Node writes a report when the program crashes. */
export interface CrashReportOptions {
  /** Must be there, and the daemon's user may write to it. */
  directory: string;
  /** How many are kept when a process of the program begins; the newest. 0: all. Default 10. */
  keep?: number;
}

export interface CrashReportSettings {
  /** Absolute. */
  directory: string;
  keep: number;
}

/** As Node names them, if nobody has set `process.report.filename`. */
const NAME = /^report\.\d{8}\.\d{6}\.\d+\.\d+\.\d+\.json$/;

/** @throws ERR_INVALID_ARG_TYPE, ERR_INVALID_ARG_VALUE, ERR_OUT_OF_RANGE */
export function checkCrashReports(
  value: string | CrashReportOptions,
  cwd: string,
): CrashReportSettings {
  const name = 'options.crashReports';
  if (typeof value === 'string') return { directory: resolve(cwd, text(value, name)), keep: 10 };
  if (typeof value !== 'object' || value === null) {
    throw invalidType(name, 'a path or { directory, keep }', value);
  }
  refuseUnknown(value, ['directory', 'keep'], name);
  return {
    directory: resolve(cwd, text(value.directory, `${name}.directory`)),
    keep: integer(value.keep ?? 10, `${name}.keep`, 0),
  };
}

/**
 * Has Node write a report when an exception is not caught, or a fatal error of its own ends the process, such as a heap
 * that is full. What a process has set stays set in its copies.
 * @throws ENOENT, ENOTDIR, EACCES for the directory
 */
export function enableCrashReports({ directory, keep }: CrashReportSettings): void {
  if (!statSync(directory).isDirectory()) {
    const why = `${directory}, where reports of crashes are to go, is no directory`;
    throw posixError(-os.errno.ENOTDIR, 'open', directory, why);
  }
  accessSync(directory, constants.W_OK | constants.X_OK);
  const report = process.report as NonNullable<typeof process.report> & {
    excludeEnv?: boolean;
    excludeNetwork?: boolean;
  };
  report.directory = directory;
  report.reportOnUncaughtException = true;
  report.reportOnFatalError = true;
  // Looking names up takes seconds while the program is down.
  report.excludeNetwork = true;
  // There may be secrets in it. Node 20 writes it all the same.
  report.excludeEnv = true;
  if (keep > 0) for (const file of reportsIn(directory).slice(keep)) rmSync(file, { force: true });
}

/** Newest first: the names have their times. */
function reportsIn(directory: string): string[] {
  const names = readdirSync(directory).filter((name) => NAME.test(name));
  return names
    .sort()
    .reverse()
    .map((name) => join(directory, name));
}
