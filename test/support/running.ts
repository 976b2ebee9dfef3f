// A program on its way: what it reports, and how it ends.

import type { Reports } from './reports.js';
import type { Watchdog } from './watchdog.js';

/** How the process that was started ended. */
export interface Exit {
  code: number | null;
  signal: NodeJS.Signals | null;
}

/** Waits for a program; a wait that takes too long fails with stack traces. */
export class Running<Ended> {
  /** The process that was started has exited; daemons of it may live. */
  readonly exited: Promise<Exit>;
  /** It and all that came of it have ended. */
  readonly ended: Promise<Ended>;
  readonly #reports: Reports;
  readonly #watchdog: Watchdog;

  constructor(
    readonly pid: number,
    reports: Reports,
    watchdog: Watchdog,
    exited: Promise<Exit>,
    ended: Promise<Ended>,
  ) {
    this.#reports = reports;
    this.#watchdog = watchdog;
    this.exited = watchdog.guard(exited);
    this.ended = watchdog.guard(ended).finally(() => watchdog.stop());
    // A test may wait for one of them only.
    this.exited.catch(() => {});
    this.ended.catch(() => {});
  }

  /** The next value that is reported. */
  // biome-ignore lint/suspicious/noExplicitAny: each test knows what its own program reports
  report(): Promise<any> {
    return this.#watchdog.guard(this.#reports.next());
  }
}
