// A guardian as zh-five/xdaemon has it, a library for Go: the program goes to the background and is
// started again whenever it exits, within limits. guard() returns only in the worker, so that
//
//   if (process.argv.includes('-d')) guard({ logFile: 'app.log' });
//   startTheServer();
//
// is all that a program needs.

import { daemonize, supervise } from 'doublefork';

/**
 * @param {object} options
 * @param {string} options.logFile where stdout and stderr go, and a line for each start and exit
 * @param {number} [options.maxCount] how often the worker is started at most; 0: for ever
 * @param {number} [options.maxError] the guardian ends with code 1 after more failures in a row
 * @param {number} [options.minExitTime] a life shorter than this, in seconds, is a failure, whatever
 * the exit code
 */
export function guard({ logFile, maxCount = 0, maxError = 3, minExitTime = 10 }) {
  daemonize({ log: logFile, cwd: 'keep' });
  return supervise({
    // At once, as there.
    backoff: { initial: 0, max: 0 },
    minUptime: minExitTime * 1000,
    maxFailures: maxError,
    // The first start is no restart, and 0 restarts means any number.
    restart: maxCount === 1 ? 'never' : 'always',
    maxRestarts: Math.max(0, maxCount - 1),
  });
}
