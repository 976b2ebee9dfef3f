// A successor's side of daemon.handover(): it takes over from the daemon that has started it, which is its parent.
// One line at a time, so that at each moment exactly one of the two has the pidfile and speaks to the service manager:
//
//   successor -> predecessor   {"word":"ready"}    it serves; listeners that it has not asked for, and whether it has
//                                                  the same pidfile
//   predecessor -> successor   take                the pidfile names nobody: it is the successor's to write
//   successor -> predecessor   {"word":"taken"}    it names the successor
//   predecessor -> successor   go                  the service manager knows
//   successor -> predecessor   0                   the end, as a launcher is told
//
// If the predecessor is gone, its part is done.

import { readSync } from '../builtin/fs.js';
import { closeListenersNotTaken } from '../image/handoff.js';
import { close, POLLIN, poll } from '../posix/descriptor.js';

/** The event loop of the predecessor answers, unless that hangs. In ms. */
const PATIENCE = 10_000;

/** What the daemon does when it is its turn. */
export interface TakingOver {
  /** Whether the pidfile is the one that the predecessor has. */
  samePidfile: boolean;
  writePidfile(): void;
  /** Speaks to the service manager from now on. */
  speak(): void;
}

/** What a successor says. */
export type SuccessorWord =
  | { word: 'ready'; unused: readonly string[]; samePidfile: boolean }
  | { word: 'taken' };

export class Predecessor {
  #orders: number | undefined;
  readonly #parts: TakingOver;

  /** @param orders a pipe from it, which is this object's to close */
  constructor(orders: number, parts: TakingOver) {
    this.#orders = orders;
    this.#parts = parts;
  }

  /**
   * Takes over. When it returns, this process is the service.
   * @param say sends a line
   * @throws if the predecessor does not answer; what writing the pidfile does
   */
  takeOver(say: (line: string) => void): void {
    if (this.#orders === undefined) return;
    const tell = (word: SuccessorWord) => say(`${JSON.stringify(word)}\n`);
    const { samePidfile, writePidfile, speak } = this.#parts;
    tell({ word: 'ready', unused: closeListenersNotTaken(), samePidfile });
    this.#await('take');
    writePidfile();
    tell({ word: 'taken' });
    this.#await('go');
    speak();
    this.release();
  }

  #await(order: string): void {
    const fd = this.#orders!;
    const [events = 0] = poll([{ fd, events: POLLIN }], PATIENCE);
    if (events === 0) {
      throw new Error(`the predecessor has not said "${order}" within ${PATIENCE / 1000} s`);
    }
    // Nothing: it has ended.
    readSync(fd, Buffer.alloc(order.length + 1));
  }

  /** In a copy of this process that does not take over. */
  release(): void {
    if (this.#orders !== undefined) close(this.#orders);
    this.#orders = undefined;
  }
}
