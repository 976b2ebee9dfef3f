// What this process has become, once and for all.

import type { Capture } from '../logs/capture.js';
import { shared } from '../posix/shared.js';
import type { Daemon } from './daemon.js';

interface ThisProcess {
  /** If it is a daemon: supervise() speaks for it. */
  daemon: Daemon | undefined;
  /** The logger that writes what it prints, if one does. */
  capture: Capture | undefined;
  /** Whether supervise() has forked it: a daemon of its own would be out of its supervisor's sight. */
  isWorker: boolean;
  /** What it is then to its supervisor. */
  worker: { health(text: string): void } | undefined;
}

export const thisProcess = shared<ThisProcess>('this-process', () => ({
  daemon: undefined,
  capture: undefined,
  isWorker: false,
  worker: undefined,
}));
