// A terminal that is ours for a while: its other screen, no cursor, keys as they are pressed.

import { cut, write } from './output.js';

const ENTER = '\x1b[?1049h\x1b[?25l';
const LEAVE = '\x1b[?25h\x1b[?1049l';
const HOME = '\x1b[H';
const CLEAR_LINE = '\x1b[K';
const CLEAR_BELOW = '\x1b[J';

const CTRL_C = '\x03';

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/** Gives the terminal back as it was, however the program ends. `q` and Ctrl-C end it. */
export class Screen implements Disposable {
  #lines: readonly string[] = [];

  /** Whether there is a terminal to read keys from and to draw on. */
  static get isThere(): boolean {
    return process.stdin.isTTY && process.stdout.isTTY;
  }

  constructor() {
    process.on('exit', this.#leave);
    for (const signal of SIGNALS) process.on(signal, this.#onSignal);
    process.stdin.setRawMode(true);
    process.stdin.on('data', this.#onKey);
    process.stdout.on('resize', this.#redraw);
    write(ENTER);
  }

  /** Shows as much of these lines as fits. */
  draw(lines: readonly string[]): void {
    this.#lines = lines;
    this.#redraw();
  }

  readonly #redraw = (): void => {
    // A terminal that does not know how large it is says 0.
    const columns = process.stdout.columns || 80;
    const rows = process.stdout.rows || 24;
    const shown = this.#lines.slice(0, this.#lines.length > rows ? rows - 1 : rows);
    if (shown.length < this.#lines.length) shown.push(`… ${this.#lines.length - rows + 1} more`);
    const text = shown.map((line) => `${cut(line, columns)}${CLEAR_LINE}`).join('\r\n');
    write(`${HOME}${text}${CLEAR_BELOW}`);
  };

  readonly #onKey = (keys: Buffer): void => {
    if (keys.includes('q') || keys.includes(CTRL_C)) process.exit();
  };

  readonly #onSignal = (signal: NodeJS.Signals): void => {
    this[Symbol.dispose]();
    process.kill(process.pid, signal);
  };

  readonly #leave = (): void => {
    process.stdin.setRawMode(false);
    process.stdout.write(LEAVE);
  };

  [Symbol.dispose](): void {
    process.off('exit', this.#leave);
    for (const signal of SIGNALS) process.off(signal, this.#onSignal);
    process.stdin.off('data', this.#onKey);
    process.stdin.pause();
    process.stdout.off('resize', this.#redraw);
    this.#leave();
  }
}
