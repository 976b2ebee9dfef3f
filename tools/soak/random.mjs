// Choices that a seed repeats.

/** mulberry32, a small generator. @param {number} seed an integer @returns {() => number} in [0, 1) */
export function generator(seed) {
  let state = seed | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

export class Choices {
  #random;
  /** @param {number} seed an integer */
  constructor(seed) {
    this.#random = generator(seed);
  }
  /** An integer from `least` to `most`. */
  between(least, most) {
    return least + Math.floor(this.#random() * (most - least + 1));
  }
  /** @template T @param {readonly T[]} list @returns {T} */
  one(list) {
    return list[this.between(0, list.length - 1)];
  }
  /** Each of them with this probability. @template T @param {readonly T[]} list @returns {T[]} */
  some(list, probability) {
    return list.filter(() => this.#random() < probability);
  }
  chance(probability) {
    return this.#random() < probability;
  }
}
