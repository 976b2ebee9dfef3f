// Shows that something takes its time: a spinner on a terminal, lines elsewhere.

import colors from 'picocolors';
import { duration } from './output.js';

const FRAMES = ['⠋', '⠙', '⠹', '⠸', '⠼', '⠴', '⠦', '⠧', '⠇', '⠏'];

/** On stderr, so that what is printed on stdout stays clean. */
export class Progress implements Disposable {
  readonly #since = Date.now();
  readonly #timer: NodeJS.Timeout | undefined;
  #text: string;
  #frame = 0;

  constructor(text: string) {
    this.#text = text;
    if (process.stderr.isTTY) {
      this.#timer = setInterval(() => this.#draw(), 80);
      this.#timer.unref();
    }
  }

  /** Says what is going on now. */
  update(text: string): void {
    this.#text = text;
    if (this.#timer === undefined) process.stderr.write(`${text}\n`);
  }

  #draw(): void {
    this.#frame = (this.#frame + 1) % FRAMES.length;
    const elapsed = duration(Date.now() - this.#since);
    // The cursor stays in front: what somebody else prints goes over it.
    process.stderr.write(
      `\r\x1b[K${colors.cyan(FRAMES[this.#frame]!)} ${this.#text} ${colors.dim(elapsed)}\r`,
    );
  }

  [Symbol.dispose](): void {
    if (this.#timer === undefined) return;
    clearInterval(this.#timer);
    process.stderr.write('\r\x1b[K');
  }
}
