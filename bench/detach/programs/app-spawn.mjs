// app.mjs in the background, by child_process alone.

import { spawn } from 'node:child_process';
import { join } from 'node:path';

spawn(process.execPath, [join(import.meta.dirname, 'app.mjs')], {
  detached: true,
  stdio: 'ignore',
}).unref();
