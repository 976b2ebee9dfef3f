// What doublefork does, step by step, for whoever looks for a fault: DOUBLEFORK_DEBUG=1 prints it on
// stderr, DOUBLEFORK_DEBUG=/path appends it to a file.

import { closeSync, constants, writeSync } from '../builtin/fs.js';
import { resolve } from '../builtin/path.js';
import { O_CLOEXEC, open } from './descriptor.js';

type Trace = (who: string, what: string) => void;

// As it is when this is loaded: the daemon may have another environment, and another directory.
const destination = process.env.DOUBLEFORK_DEBUG ?? '';

/**
 * Notes a step; undefined unless it is asked for, so that `trace?.(...)` does not even put the text
 * together.
 */
export const trace: Trace | undefined = destination === '' ? undefined : traceTo(destination);

function traceTo(destination: string): Trace {
  const write = destination === '1' ? writeToStderr : appenderTo(resolve(destination));
  return (who, what) => {
    const line = `${new Date().toISOString()} doublefork ${process.pid} ${who}: ${what}`;
    write(`${line.replaceAll('\n', '\\n')}\n`);
  };
}

function writeToStderr(line: string): void {
  try {
    writeSync(2, line);
  } catch {
    // Closed, full or gone: there is nowhere to say so, and the program is not to fail of it.
  }
}

/** Opened for each line: a descriptor would be one more that has to be kept over forks, and closed. */
function appenderTo(path: string): (line: string) => void {
  let usable = true;
  return (line) => {
    if (!usable) return;
    try {
      const { O_WRONLY, O_APPEND, O_CREAT, O_NOCTTY } = constants;
      const fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_NOCTTY | O_CLOEXEC, 0o600);
      try {
        writeSync(fd, line);
      } finally {
        closeSync(fd);
      }
    } catch (error) {
      // It may be outside of a new root, or closed to another user.
      usable = false;
      writeToStderr(`doublefork: DOUBLEFORK_DEBUG is of no use any more: ${error}\n`);
    }
  };
}
