// Files whose change asks for a reload. They are looked at, not watched by the kernel: that watches what
// a path led to, and a deploy has it lead elsewhere.

import { lstatSync, statSync } from '../builtin/fs.js';

/** How often to look, in ms. A change counts once two looks have found the same. */
const INTERVAL = 500;

export class FileWatch {
  readonly #paths: readonly string[];
  #known: string;
  #last: string;
  /** When to look next; Infinity: never. */
  next: number;

  /** @param paths absolute; a link counts by itself and by what it leads to */
  constructor(paths: readonly string[], now: number) {
    this.#paths = paths;
    this.#known = this.#last = this.#look();
    this.next = paths.length > 0 ? now + INTERVAL : Number.POSITIVE_INFINITY;
  }

  /** @returns whether they have changed, and stay as they are now */
  changed(now: number): boolean {
    if (now < this.next) return false;
    this.next = now + INTERVAL;
    const before = this.#last;
    this.#last = this.#look();
    if (this.#last !== before || this.#last === this.#known) return false;
    this.#known = this.#last;
    return true;
  }

  #look(): string {
    return this.#paths.map(signature).join('\n');
  }
}

function signature(path: string): string {
  return [lstatSync, statSync]
    .map((look) => {
      const file = look(path, { throwIfNoEntry: false, bigint: true });
      // While there is none it is being replaced: that is no version.
      return file === undefined ? '' : `${file.dev}:${file.ino}:${file.mtimeNs}:${file.size}`;
    })
    .join(' ');
}
