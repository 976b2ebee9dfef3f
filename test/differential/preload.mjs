// Turns the program that follows into a daemon: before it begins, or in its midst.

import { writeSync } from 'node:fs';
import { daemonize } from 'doublefork';

function detach() {
  daemonize({
    cwd: 'keep',
    umask: 'keep',
    stdout: process.env.DIFFERENTIAL_STDOUT,
    stderr: process.env.DIFFERENTIAL_STDERR,
    keepFds: [3],
    env: { DIFFERENTIAL_STDOUT: undefined, DIFFERENTIAL_STDERR: undefined },
  });
  writeSync(3, `${process.pid}\n`);
}

if (process.env.DIFFERENTIAL_MODE === 'before') detach();
else globalThis.midpoint = detach;
delete process.env.DIFFERENTIAL_MODE;
