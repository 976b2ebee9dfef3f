// Shows that something takes its time: a spinner on a terminal, lines elsewhere.

import colors from 'picocolors';
import type { ChangePhase } from '../supervise/images.js';
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

  /** Says what is going on now, to a terminal only. */
  show(text: string): void {
    this.#text = text;
    if (this.#timer !== undefined) this.#draw();
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

const PHASES: Readonly<Record<ChangePhase['phase'], (image: string) => string>> = {
  collecting: (image) => `${image} says what it leaves to the next one`,
  starting: (image) => `${image} is started`,
  arrived: (image) => `${image} runs; its workers are not ready yet`,
  resuming: (image) => `${image} is forking workers`,
  serves: (image) => `${image} serves; the one before answers its last requests`,
};

/** On a terminal in the line that moves, in JSON a line on stderr; a log of a deploy needs neither. */
export function tellPhase(
  name: string,
  said: ChangePhase,
  progress: Progress,
  json: boolean,
): void {
  if (json) process.stderr.write(`${JSON.stringify({ name, ...said })}\n`);
  // Another release may know of more.
  const text = PHASES[said.phase]?.(`image ${said.image} (pid ${said.imagePid})`);
  if (text !== undefined) progress.show(`${name}: ${text}`);
}
