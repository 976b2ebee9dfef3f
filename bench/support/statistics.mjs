// Medians of measurements that were taken in turns.

/** @param {number[]} values */
export function median(values) {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

/**
 * Measures all variants in every round, one after the other, so that whatever else the machine does
 * falls on each alike. The order is turned from round to round: none always follows the same one.
 * @template {string} Name
 * @param {Record<Name, () => Promise<number>>} variants
 * @param {number} rounds besides one to warm up
 * @returns {Promise<Record<Name, number[]>>}
 */
export async function interleave(variants, rounds) {
  const names = Object.keys(variants);
  const taken = Object.fromEntries(names.map((name) => [name, []]));
  for (let round = 0; round <= rounds; round++) {
    for (let turn = 0; turn < names.length; turn++) {
      const name = names[(turn + round) % names.length];
      const value = await variants[name]();
      if (round > 0) taken[name].push(value);
    }
  }
  return taken;
}
