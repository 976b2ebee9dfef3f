// What the programs of a test say on fd 3: one JSON value per line.

/** The values as they come in. */
export class Reports {
  /** All so far. */
  readonly all: unknown[] = [];
  /** Resolved once nobody is left who could report. */
  readonly closed: Promise<void>;
  readonly #onReport: (value: unknown) => void;
  #taken = 0;
  #closed = false;
  #wake = () => {};
  #rest = '';

  constructor(stream: NodeJS.ReadableStream, onReport: (value: unknown) => void = () => {}) {
    this.#onReport = onReport;
    stream.setEncoding('utf8').on('data', (text: string) => this.#read(text));
    this.closed = new Promise((resolve) => {
      stream.on('close', () => {
        this.#closed = true;
        this.#wake();
        resolve();
      });
    });
  }

  #read(text: string): void {
    const lines = (this.#rest + text).split('\n');
    this.#rest = lines.pop()!;
    for (const line of lines) {
      const value: unknown = JSON.parse(line);
      this.all.push(value);
      this.#onReport(value);
    }
    this.#wake();
  }

  /** The next value; an error if all programs have ended without one. */
  async next(): Promise<unknown> {
    const index = this.#taken++;
    while (index >= this.all.length) {
      if (this.#closed) throw new Error('all programs have ended without another report');
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    return this.all[index];
  }
}
