// Signals for a program without an event loop: a handler writes to a pipe that poll(2) watches.
// native/supervise/inbox.cc has the handlers.

import { addon } from '../posix/addon.js';
import { check } from '../posix/errors.js';
import { signalName, signalNumber } from '../posix/process.js';

/** A signal that came, and who sent it; 0: the kernel. */
export interface Received {
  signal: NodeJS.Signals;
  sender: number;
}

/** The signals that came since they were last taken. There is one such pipe in a process. */
export class SelfPipe implements Disposable {
  /** Readable when a signal has come. */
  readonly fd: number;

  /** Takes these signals over from the handlers they had. Those that are ignored stay so. */
  constructor(signals: readonly NodeJS.Signals[]) {
    this.fd = check(addon.openInbox(signals.map((signal) => signalNumber(signal))), 'pipe');
  }

  take(): Received[] {
    const pairs = addon.takeInbox();
    const received: Received[] = [];
    for (let i = 0; i < pairs.length; i += 2) {
      received.push({ signal: signalName(pairs[i]!), sender: pairs[i + 1]! });
    }
    return received;
  }

  /**
   * Gives the signals back to their handlers; in a forked child too, which gets those that came for
   * it in between.
   */
  close(): void {
    addon.closeInbox();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}
